//! The public keys by which a signature is known.

use async_trait::async_trait;

/// Where a JSON Web Key Set is: a URL or a file. Failures are texts for people.
#[async_trait]
pub(crate) trait KeySet: Send + Sync {
    /// Its URL or path.
    fn place(&self) -> String;

    async fn read(&self, max_bytes: usize) -> Result<Vec<u8>, String>;
}

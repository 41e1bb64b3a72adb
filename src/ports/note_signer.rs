//! A key that signs and that this process does not hold.

use async_trait::async_trait;

use crate::failure::Failure;
use crate::signed_note::VerifierKey;

/// An Ed25519 key in another service.
#[async_trait]
pub(crate) trait NoteSigner: Send + Sync {
    /// The half that anybody may have.
    fn verifier(&self) -> &VerifierKey;

    /// The signature of a message of at most 4096 bytes. Nothing checks it here. A service that is away is a transient failure.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], Failure>;
}

//! Who confirms that the evidence log only grows.

use async_trait::async_trait;

/// A witness after c2sp.org/tlog-witness. Failures are texts for people.
#[async_trait]
pub(crate) trait Witness: Send + Sync {
    /// Asks for a cosignature: the body of `add-checkpoint`.
    async fn add_checkpoint(&self, body: String) -> Result<WitnessAnswer, String>;
}

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WitnessAnswer {
    /// The lines with its signatures.
    Cosigned(String),
    /// The last tree that it cosigned has another number of leaves than the request says: this one.
    Has(u64),
    /// The tree does not begin with the one that it cosigned last.
    Contradicts,
}

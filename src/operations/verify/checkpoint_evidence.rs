use crate::machine::{Checkpoint, ManifestRef};

/// What the checkpoint says about the manifests of a user.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckpointEvidence {
    /// The manifests that were stored, with their digests.
    pub manifests: Vec<ManifestRef>,
    /// An off-boarding is in progress, so its manifest is not stored yet.
    pub under_way: bool,
}

impl CheckpointEvidence {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        let recorded = checkpoint.state.manifest().cloned();
        let under_way = recorded.is_none();
        let previous = checkpoint.previous.iter().cloned();
        Self {
            manifests: previous.chain(recorded).collect(),
            under_way,
        }
    }
}

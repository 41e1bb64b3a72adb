use std::collections::HashMap;
use std::sync::Arc;

use super::compose;
use super::exit::CliError;
use crate::config::{CheckpointsUrl, Settings};
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::operations::verify::{CheckpointEvidence, holdings};
use crate::ports::{ArchiveStore, Checkpoints};

/// Where the digests of manifests are that the store itself does not hold. Checkpoints are a help here and
/// no more: without them everything else is still checked.
pub(super) enum KnownManifests {
    None,
    Live(Arc<dyn Checkpoints>),
    /// Read at the beginning: an embedded store is not kept from others for as long as archives are read.
    Known(HashMap<UserId, CheckpointEvidence>),
}

impl KnownManifests {
    /// Tries to; what keeps it from that is said, and is no fault of what is stored.
    pub(super) async fn open(
        settings: &Settings,
        named: Option<&[UserId]>,
        store: &dyn ArchiveStore,
    ) -> Self {
        if let CheckpointsUrl::Embedded(directory) = &settings.checkpoints
            && !directory.join("checkpoints.redb").exists()
        {
            return Self::None;
        }
        Self::try_open(settings, named, store)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!("the digests in the checkpoints are not compared: {error}");
                Self::None
            })
    }

    async fn try_open(
        settings: &Settings,
        named: Option<&[UserId]>,
        store: &dyn ArchiveStore,
    ) -> Result<Self, CliError> {
        let checkpoints = compose::checkpoints(settings)?;
        if matches!(settings.checkpoints, CheckpointsUrl::Redis { .. }) {
            checkpoints.probe().await?;
            return Ok(Self::Live(checkpoints));
        }
        let users = match named {
            Some(users) => users.to_vec(),
            None => holdings(store, None).await?.into_keys().collect(),
        };
        let mut known = HashMap::new();
        for user_id in users {
            if let Some(checkpoint) = checkpoints.read(user_id).await? {
                known.insert(user_id, witness(&checkpoint));
            }
        }
        Ok(Self::Known(known))
    }

    /// What is known of a user.
    pub(super) async fn of(&self, user_id: UserId) -> CheckpointEvidence {
        match self {
            Self::None => CheckpointEvidence::default(),
            Self::Known(known) => known.get(&user_id).cloned().unwrap_or_default(),
            Self::Live(checkpoints) => match checkpoints.read(user_id).await {
                Ok(checkpoint) => checkpoint.as_ref().map(witness).unwrap_or_default(),
                Err(failure) => {
                    tracing::warn!(
                        "{user_id}: the digest in the checkpoint is not compared: {failure}"
                    );
                    CheckpointEvidence::default()
                }
            },
        }
    }
}

fn witness(checkpoint: &Checkpoint) -> CheckpointEvidence {
    let recorded = checkpoint.state.manifest().cloned();
    let under_way = recorded.is_none();
    CheckpointEvidence {
        manifests: checkpoint
            .previous
            .iter()
            .cloned()
            .chain(recorded)
            .collect(),
        under_way,
    }
}

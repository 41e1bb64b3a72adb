//! The digests of manifests that the checkpoints know, as evidence for `verify`.

use std::collections::HashMap;
use std::sync::Arc;

use super::compose;
use super::exit::CliError;
use crate::config::{CheckpointsUrl, Settings};
use crate::job::UserId;
use crate::operations::verify::{CheckpointEvidence, holdings};
use crate::ports::{ArchiveStore, Checkpoints};

/// The digests of manifests from outside the archive store. Without them everything else is still checked.
pub(super) enum KnownManifests {
    None,
    Live(Arc<dyn Checkpoints>),
    /// Read at the beginning, so that an embedded store is not locked while the archives are read.
    Known(HashMap<UserId, CheckpointEvidence>),
}

impl KnownManifests {
    /// Opens the checkpoints. A failure is logged, and says nothing against what the store holds.
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
                known.insert(user_id, CheckpointEvidence::of(&checkpoint));
            }
        }

        Ok(Self::Known(known))
    }

    /// What the checkpoint of a user says.
    pub(super) async fn of(&self, user_id: UserId) -> CheckpointEvidence {
        match self {
            Self::None => CheckpointEvidence::default(),
            Self::Known(known) => known.get(&user_id).cloned().unwrap_or_default(),
            Self::Live(checkpoints) => match checkpoints.read(user_id).await {
                Ok(checkpoint) => checkpoint
                    .as_ref()
                    .map(CheckpointEvidence::of)
                    .unwrap_or_default(),
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

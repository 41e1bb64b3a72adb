//! The digests of manifests that the checkpoints know, as evidence for `verify`.

use std::collections::HashMap;

use super::compose;
use super::exit::CliError;
use crate::config::{CheckpointsUrl, Settings};
use crate::job::UserId;
use crate::operations::verify::{CheckpointEvidence, KnownManifests, holdings};
use crate::ports::ArchiveStore;

/// Opens the checkpoints. A failure is logged, and says nothing against what the store holds.
pub(super) async fn open(
    settings: &Settings,
    named: Option<&[UserId]>,
    store: &dyn ArchiveStore,
) -> KnownManifests {
    if let CheckpointsUrl::Embedded(directory) = &settings.checkpoints
        && !directory.join("checkpoints.redb").exists()
    {
        return KnownManifests::None;
    }
    try_open(settings, named, store)
        .await
        .unwrap_or_else(|error| {
            tracing::warn!("the digests in the checkpoints are not compared: {error}");
            KnownManifests::None
        })
}

async fn try_open(
    settings: &Settings,
    named: Option<&[UserId]>,
    store: &dyn ArchiveStore,
) -> Result<KnownManifests, CliError> {
    let checkpoints = compose::checkpoints(settings)?;
    if matches!(settings.checkpoints, CheckpointsUrl::Redis { .. }) {
        checkpoints.probe().await?;
        return Ok(KnownManifests::Live(checkpoints));
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

    Ok(KnownManifests::Known(known))
}

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::compose_documents::witnesses;
use super::exit::CliError;
use crate::config::Settings;
use crate::evidence_log::{Writer, keep_evidence_log};
use crate::steps::Services;

/// Writes the evidence log, if this worker has its key.
pub(super) fn evidence_log(
    settings: &Settings,
    services: &Services,
    name: &str,
) -> Result<Option<AbortOnDropHandle<()>>, CliError> {
    let Some(evidence) = &settings.evidence else {
        return Ok(None);
    };
    let Some(keys) = &evidence.keys else {
        return Ok(None);
    };
    let witnesses = witnesses(evidence)?;
    let store = Arc::clone(&services.archive_store);
    let writer = Writer::new(store, keys.clone(), services.clock.clone(), name.to_owned());
    Ok(Some(keep_evidence_log(writer.with_witnesses(witnesses))))
}

use std::sync::{Arc, OnceLock};

use tokio_util::task::AbortOnDropHandle;

use super::compose_documents::witnesses;
use super::compose_signers::signers;
use super::exit::CliError;
use crate::config::Settings;
use crate::evidence_log::{Writer, await_signers, keep_evidence_log};
use crate::failure::Class;
use crate::signed_note::VerifierKey;
use crate::steps::Services;

/// The evidence log of a worker. It is written until this is dropped.
#[derive(Default)]
pub(super) struct EvidenceLog {
    /// The keys of the log, once they are known; never, if this worker does not write it.
    pub(super) verifiers: Arc<OnceLock<Vec<VerifierKey>>>,
    _writing: Option<AbortOnDropHandle<()>>,
}

/// Writes the evidence log, if this worker has a key of it. A key in AWS KMS that cannot be used at all is refused; one that KMS
/// does not give now is asked for again, since no user waits for the log.
pub(super) async fn evidence_log(
    settings: &Settings,
    services: &Services,
    name: &str,
) -> Result<EvidenceLog, CliError> {
    let Some(evidence) = &settings.evidence else {
        return Ok(EvidenceLog::default());
    };
    let Some(keys) = evidence.keys.clone() else {
        return Ok(EvidenceLog::default());
    };
    let origin = evidence.origin.clone();
    let archive = settings.archive.clone();
    let witnesses = witnesses(evidence)?;
    let first = match signers(&keys, &origin, &archive).await {
        Ok(first) => Some(first),
        Err(failure) if failure.class == Class::Systemic => return Err(CliError::usage(failure)),
        Err(failure) => {
            tracing::warn!(%failure, "the key of the evidence log cannot be used yet; announcements wait for it");
            None
        }
    };

    let known = Arc::new(OnceLock::new());
    let verifiers = Arc::clone(&known);
    let store = Arc::clone(&services.archive_store);
    let clock = services.clock.clone();
    let name = name.to_owned();
    let writing = tokio::spawn(async move {
        let signers = match first {
            Some(signers) => signers,
            None => await_signers(|| signers(&keys, &origin, &archive)).await,
        };
        known.get_or_init(|| signers.verifiers().cloned().collect());
        let writer = Writer::new(store, signers, clock, name).with_witnesses(witnesses);
        keep_evidence_log(writer).await;
    });
    Ok(EvidenceLog {
        verifiers,
        _writing: Some(AbortOnDropHandle::new(writing)),
    })
}

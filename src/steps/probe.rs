use std::time::Duration;

use super::Services;
use crate::failure::{Class, Code, Failure};

const PROBE_WITHIN: Duration = Duration::from_secs(10);

impl Services {
    /// Asks the service that a fault came from whether it is over, and changes nothing. `Ok(false)`: it
    /// answers, but no probe can show that this very fault is gone.
    pub async fn probe(&self, code: Code) -> Result<bool, Failure> {
        tokio::time::timeout(PROBE_WITHIN, self.probe_patiently(code)).await.unwrap_or_else(|_elapsed| {
            let text = format!("no answer to a probe within {} s", PROBE_WITHIN.as_secs());
            Err(Failure::new(Class::Systemic, code, text))
        })
    }

    async fn probe_patiently(&self, code: Code) -> Result<bool, Failure> {
        match code {
            Code::CxoneUnreachable
            | Code::CxoneTimeout
            | Code::CxoneServerError
            | Code::CxoneUnreadable
            | Code::CxoneThrottled
            | Code::CxoneUnauthorized
            | Code::CxoneRedirected => self.cxone.probe().await.map(|()| true).map_err(Failure::from),
            // It is the write that lacks it, and a probe writes nothing.
            Code::CxoneMissingScope => self.cxone.probe().await.map(|()| false).map_err(Failure::from),
            Code::ArchiveUnreachable
            | Code::ArchiveDenied
            | Code::ArchiveMissing
            | Code::ArchiveThrottled
            | Code::ArchiveOverwrites
            | Code::ArchiveUnfit => self.archive_store.probe().await.map(|()| true),
            // The probe's object is small, and may be there already.
            Code::ArchiveFull | Code::ArchiveRejected => self.archive_store.probe().await.map(|()| false),
            Code::CheckpointsUnreachable | Code::CheckpointsRefused => {
                self.checkpoints.probe().await.map(|()| true)
            }
            Code::SettingsUnreadable => self.protected.load().await.map(|_list| true),
            // The broker is not a service of steps: whoever publishes tries again by itself, until it works.
            Code::QueueUnreachable | Code::QueueRefused | Code::QueueUnroutable => Ok(true),
            // These are single users'.
            Code::CxoneRejected
            | Code::CxoneTooLarge
            | Code::CxoneBadNextPage
            | Code::CxoneCursorLost
            | Code::CxoneVersionConflict
            | Code::CxoneNotConverged
            | Code::UserNotFound
            | Code::ProtectedUser
            | Code::ArchiveUploadLost
            | Code::ArchiveConflict
            | Code::CheckpointUnreadable
            | Code::IllegalTransition
            | Code::Panicked => Ok(false),
        }
    }

    /// A user's call failed in a way that may be the user's own or everybody's: asks the service by itself.
    /// `Some` when that fails too, so that an outage spends nobody's attempt.
    pub(crate) async fn outage(&self, failure: &Failure) -> Option<Failure> {
        let may_pass = matches!(failure.class, Class::Transient | Class::UnknownOutcome);
        let service = matches!(
            failure.code,
            Code::CxoneUnreachable
                | Code::CxoneTimeout
                | Code::CxoneServerError
                | Code::CxoneUnreadable
                | Code::ArchiveUnreachable
        );
        if !may_pass || !service || self.probe(failure.code).await.is_ok() {
            return None;
        }
        Some(Failure { class: Class::Systemic, ..failure.clone() })
    }
}

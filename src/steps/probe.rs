//! Asks a service that failed whether the fault is over, and whether a failure is one user's or everyone's.

use std::time::Duration;

use super::Services;
use crate::failure::{Class, Code, Failure};
use crate::ports::TenantRead;

const PROBE_WITHIN: Duration = Duration::from_secs(10);

impl Services {
    /// Asks the service that a fault came from whether the fault is over, and changes nothing. `Ok(false)`: the service
    /// answers, but no probe can show that this very fault is over.
    pub(crate) async fn probe(&self, code: Code) -> Result<bool, Failure> {
        let probing = tokio::time::timeout(PROBE_WITHIN, self.probe_service(code));
        probing
            .await
            .unwrap_or_else(|_elapsed| Err(no_answer(code)))
    }

    async fn probe_service(&self, code: Code) -> Result<bool, Failure> {
        match code {
            Code::CxoneUnreachable
            | Code::CxoneTimeout
            | Code::CxoneServerError
            | Code::CxoneUnreadable
            | Code::CxoneThrottled
            | Code::CxoneUnauthorized
            | Code::CxoneRedirected => {
                Ok(self.tenant.probe(TenantRead::User).await.map(|()| true)?)
            }
            // The fault was of a write, a page, or some users; a probe writes nothing and finds no user.
            Code::CxoneMissingScope
            | Code::CxoneForeignAnswer
            | Code::CxoneContradiction
            | Code::CxoneRejected
            | Code::CxoneBadNextPage => {
                Ok(self.tenant.probe(TenantRead::User).await.map(|()| false)?)
            }
            Code::ArchiveUnreachable
            | Code::ArchiveDenied
            | Code::ArchiveMissing
            | Code::ArchiveThrottled
            | Code::ArchiveOverwrites
            | Code::ArchiveUnfit => self.archive_store.probe().await.map(|()| true),
            // The probe's object is small, and may be there already.
            Code::ArchiveFull | Code::ArchiveRejected => {
                self.archive_store.probe().await.map(|()| false)
            }
            Code::CheckpointsUnreachable | Code::CheckpointsRefused => {
                self.checkpoints.probe().await.map(|()| true)
            }
            Code::SettingsUnreadable => self.protected.load().await.map(|_list| true),
            // The broker is not a service of steps: a publisher retries by itself until it succeeds.
            Code::QueueUnreachable | Code::QueueRefused | Code::QueueUnroutable => Ok(true),
            // These are faults of single users.
            Code::CxoneTooLarge
            | Code::CxoneCursorLost
            | Code::CxoneVersionConflict
            | Code::CxoneNotConverged
            | Code::CxoneOtherProfile
            | Code::UserNotFound
            | Code::ProtectedUser
            | Code::ArchiveUploadLost
            | Code::ArchiveConflict
            | Code::CheckpointUnreadable
            | Code::IllegalTransition
            | Code::Panicked
            | Code::Internal => Ok(false),
        }
    }

    /// A user's call failed in a way that may be the fault of that user or of the service: asks the service. `Some` when
    /// that fails too, so that an outage costs no user an attempt, and a refusal that every user would meet makes no
    /// dead letter.
    pub(crate) async fn outage(&self, step: &str, failure: &Failure) -> Option<Failure> {
        let code = failure.code;
        let may_pass = matches!(failure.class, Class::Transient | Class::UnknownOutcome);
        let service = matches!(
            code,
            Code::CxoneUnreachable
                | Code::CxoneTimeout
                | Code::CxoneServerError
                | Code::CxoneUnreadable
                | Code::ArchiveUnreachable
        );
        let refusal = matches!(
            code,
            Code::CxoneForeignAnswer
                | Code::CxoneContradiction
                | Code::CxoneRejected
                | Code::CxoneCursorLost
        );
        let fails_too = match (may_pass && service, refusal) {
            (true, _) => self.probe(code).await.is_err(),
            (false, true) => self.probe_alike(step, code).await.is_err(),
            (false, false) => false,
        };

        fails_too.then(|| Failure {
            class: Class::Systemic,
            ..failure.clone()
        })
    }

    /// Makes the reads of a step for a user that does not exist.
    async fn probe_alike(&self, step: &str, code: Code) -> Result<(), Failure> {
        let reads: &[TenantRead] = match step {
            "clear_queues" => &[TenantRead::User, TenantRead::Routing],
            "deactivate" | "look_again" => &[TenantRead::User, TenantRead::Account],
            "archive" => &[TenantRead::User, TenantRead::Conversations],
            _ => &[TenantRead::User],
        };
        let probing = async {
            for read in reads {
                self.tenant.probe(*read).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(PROBE_WITHIN, probing).await {
            Ok(probed) => probed,
            Err(_elapsed) => Err(no_answer(code)),
        }
    }
}

fn no_answer(code: Code) -> Failure {
    let text = format!("no answer to a probe within {} s", PROBE_WITHIN.as_secs());
    Failure::new(Class::Systemic, code, text)
}

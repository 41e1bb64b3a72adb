use std::time::Duration;

use super::Services;
use crate::adapters::cxone::{CxoneError, Look};
use crate::failure::{Class, Code, Failure};

const PROBE_WITHIN: Duration = Duration::from_secs(10);

impl Services {
    /// Asks the service that a fault came from whether it is over, and changes nothing. `Ok(false)`: it
    /// answers, but no probe can show that this very fault is gone.
    pub(crate) async fn probe(&self, code: Code) -> Result<bool, Failure> {
        let probing = tokio::time::timeout(PROBE_WITHIN, self.probe_patiently(code));
        probing
            .await
            .unwrap_or_else(|_elapsed| Err(no_answer(code)))
    }

    async fn probe_patiently(&self, code: Code) -> Result<bool, Failure> {
        match code {
            Code::CxoneUnreachable
            | Code::CxoneTimeout
            | Code::CxoneServerError
            | Code::CxoneUnreadable
            | Code::CxoneThrottled
            | Code::CxoneUnauthorized
            | Code::CxoneRedirected => Ok(self.cxone.probe(Look::User).await.map(|()| true)?),
            // It is a write, a page, or the calls of some users, and a probe writes nothing and finds nobody.
            Code::CxoneMissingScope
            | Code::CxoneForeignAnswer
            | Code::CxoneContradiction
            | Code::CxoneRejected
            | Code::CxoneBadNextPage => Ok(self.cxone.probe(Look::User).await.map(|()| false)?),
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
            // The broker is not a service of steps: whoever publishes tries again by itself, until it works.
            Code::QueueUnreachable | Code::QueueRefused | Code::QueueUnroutable => Ok(true),
            // These are single users'.
            Code::CxoneTooLarge
            | Code::CxoneCursorLost
            | Code::CxoneVersionConflict
            | Code::CxoneNotConverged
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

    /// A user's call failed in a way that may be the user's own or everybody's: asks the service by itself.
    /// `Some` when that fails too, so that an outage spends nobody's attempt, and a refusal that all would meet is
    /// nobody's dead letter.
    pub(crate) async fn outage(&self, step: &str, failure: &Failure) -> Option<Failure> {
        let (class, code) = (failure.class, failure.code);
        let may_pass = matches!(class, Class::Transient | Class::UnknownOutcome);
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

    /// Makes the reading calls of a step for a user that nobody has.
    async fn probe_alike(&self, step: &str, code: Code) -> Result<(), Failure> {
        let looks: &[Look] = match step {
            "clear_queues" => &[Look::User, Look::Routing],
            "deactivate" | "look_again" => &[Look::User, Look::Scim],
            "archive" => &[Look::User, Look::Conversations],
            _ => &[Look::User],
        };
        let probing = async {
            for look in looks {
                self.cxone.probe(*look).await?;
            }
            Ok::<(), CxoneError>(())
        };
        match tokio::time::timeout(PROBE_WITHIN, probing).await {
            Ok(probed) => Ok(probed?),
            Err(_elapsed) => Err(no_answer(code)),
        }
    }
}

fn no_answer(code: Code) -> Failure {
    let text = format!("no answer to a probe within {} s", PROBE_WITHIN.as_secs());
    Failure::new(Class::Systemic, code, text)
}

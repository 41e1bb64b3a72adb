//! Asks a service that failed whether the fault is over, and whether a failure is one user's or everyone's.

use std::time::Duration;

use super::Services;
use crate::failure::{Class, Code, Failure};
use crate::ports::TenantRead;

/// For a service of ours. A read of the tenant's API has a time of its own, which begins when it is sent: with many users
/// under way it waits longer than this for its place under the quota, and that says nothing about the API.
const PROBE_WITHIN: Duration = Duration::from_secs(10);

impl Services {
    /// Asks the service that a fault came from whether the fault is over, and changes nothing. `Ok(false)`: the service
    /// answers, but no probe can show that this very fault is over.
    pub(crate) async fn probe(&self, code: Code) -> Result<bool, Failure> {
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
            | Code::ArchiveUnfit => within(code, self.archive_store.probe())
                .await
                .map(|()| true),
            // The probe's object is small, and may be there already.
            Code::ArchiveFull | Code::ArchiveRejected => within(code, self.archive_store.probe())
                .await
                .map(|()| false),
            Code::CheckpointsUnreachable | Code::CheckpointsRefused => {
                within(code, self.checkpoints.probe()).await.map(|()| true)
            }
            Code::SettingsUnreadable => within(code, self.protected.load()).await.map(|_list| true),
            // These are not services of steps: publishers, and the writer of the evidence log, retry by themselves.
            Code::QueueUnreachable
            | Code::QueueRefused
            | Code::QueueUnroutable
            | Code::EvidenceKeyUnreachable
            | Code::EvidenceKeyUnusable => Ok(true),
            // These are faults of single users.
            Code::CxoneTooLarge
            | Code::CxoneCursorLost
            | Code::CxoneVersionConflict
            | Code::CxoneNotConverged
            | Code::CxoneOtherProfile
            | Code::UserNotFound
            | Code::ProtectedUser
            | Code::NotInOrder
            | Code::ArchiveUploadLost
            | Code::ArchiveConflict
            | Code::CheckpointUnreadable
            | Code::IllegalTransition
            // Only a user can show that the step works again.
            | Code::Surge
            | Code::Panicked
            | Code::Internal => Ok(false),
        }
    }

    /// A user's call failed in a way that may be the fault of that user or of the service: asks the service. `Some` when
    /// that fails too, so that an outage costs no user an attempt, and a refusal that every user would meet makes no
    /// dead letter. Where nobody may be read, a right is missing.
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
        let fault = match (may_pass && service, refusal) {
            (true, _) => self.probe(code).await.err(),
            (false, true) => self.probe_alike(step).await.err(),
            (false, false) => None,
        };

        fault.map(|fault| Failure {
            class: Class::Systemic,
            code: if failure.may_lack_right && fault.may_lack_right {
                Code::CxoneMissingScope
            } else {
                code
            },
            ..failure.clone()
        })
    }

    /// Makes the reads of a step for a user that does not exist. Only a read that is refused or fails shows a fault.
    async fn probe_alike(&self, step: &str) -> Result<(), Failure> {
        let reads: &[TenantRead] = match step {
            "clear_queues" => &[TenantRead::User, TenantRead::Routing],
            "deactivate" | "look_again" => &[TenantRead::User, TenantRead::Account],
            "archive" => &[TenantRead::User, TenantRead::Conversations],
            _ => &[TenantRead::User],
        };
        for read in reads {
            self.tenant.probe(*read).await?;
        }
        Ok(())
    }
}

async fn within<T>(
    code: Code,
    probing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(PROBE_WITHIN, probing)
        .await
        .unwrap_or_else(|_elapsed| {
            let text = format!("no answer to a probe within {} s", PROBE_WITHIN.as_secs());
            Err(Failure::new(Class::Systemic, code, text))
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::failure::Reason;
    use crate::steps::test_services::{Answer, TestCheckpoints, services};

    /// Longer than the probe of one of our own services may take.
    const PLACE_AFTER: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_one_user_stays_that_users_however_long_the_probe_waits_for_the_quota() {
        let directory = tempfile::tempdir().unwrap();
        let services = services(
            directory.path(),
            Arc::new(TestCheckpoints::default()),
            Answer::Probes(PLACE_AFTER, Ok(())),
        );

        let class = Class::Permanent(Reason::ApiRejected);
        let refused = Failure::new(class, Code::CxoneRejected, "400");
        let late = Failure::new(Class::Transient, Code::CxoneTimeout, "no answer");
        for (step, failure) in [("deactivate", &refused), ("archive", &late)] {
            let begun = Instant::now();
            assert_eq!(services.outage(step, failure).await, None, "{step}");
            assert!(begun.elapsed() >= PLACE_AFTER, "{step}: it was asked");
        }
        assert!(services.probe(Code::CxoneThrottled).await.unwrap());
    }

    #[tokio::test]
    async fn a_refusal_that_nobody_escapes_is_a_missing_right_where_the_api_has_no_word_for_one() {
        let class = Class::Permanent(Reason::ApiRejected);
        let refused = Failure::new(class, Code::CxoneRejected, "403");
        let hidden = Failure {
            may_lack_right: true,
            ..refused.clone()
        };
        for (of_user, of_nobody, code) in [
            (&hidden, &hidden, Code::CxoneMissingScope),
            (&hidden, &refused, Code::CxoneRejected),
            (&refused, &hidden, Code::CxoneRejected),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let services = services(
                directory.path(),
                Arc::new(TestCheckpoints::default()),
                Answer::Probes(Duration::ZERO, Err(of_nobody.clone())),
            );
            let outage = services.outage("archive", of_user).await.unwrap();
            assert_eq!((outage.class, outage.code), (Class::Systemic, code));
        }
    }
}

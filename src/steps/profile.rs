//! An off-boarding ends at the API at which it began: half of one must not continue at another.

use super::Services;
use crate::failure::{Class, Code, Failure};
use crate::job::Job;
use crate::machine::Checkpoint;
use crate::profile::TenantProfile;

impl Services {
    /// The checkpoint of a user who has none.
    pub(crate) fn begin(&self, job: &Job) -> Checkpoint {
        Checkpoint {
            profile: self.tenant.profile(),
            ..Checkpoint::new(job.user_id, job.request.clone(), self.clock.now())
        }
    }

    /// A checkpoint that was loaded is only compared, since the step that it is in may have written at its API: one of
    /// another profile stops the worker, since every user of this queue may be of that profile. It becomes ours where its
    /// API was certainly asked for nothing.
    pub(crate) fn claim_profile(&self, checkpoint: &mut Checkpoint) -> Result<(), Failure> {
        if checkpoint.is_unknown_user() || checkpoint.was_never_taken() {
            checkpoint.profile = self.tenant.profile();
        }
        self.is_our_profile(checkpoint.profile)
    }

    /// Fails where evidence is of another profile.
    pub(super) fn is_our_profile(&self, profile: TenantProfile) -> Result<(), Failure> {
        let ours = self.tenant.profile();
        if profile == ours {
            return Ok(());
        }
        let text = format!(
            "the off-boarding of this user began with the profile {profile}, and this process has the profile {ours}; \
             set OFFBOARDER_CXONE_PROFILE={profile} for it, or give each tenant its own queues, Redis and bucket"
        );
        Err(Failure::new(Class::Systemic, Code::CxoneOtherProfile, text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::failure::Reason;
    use crate::job::Request;
    use crate::machine::samples::{cancelled, queues_cleared};
    use crate::machine::{Converging, State};
    use crate::steps::test_services::{Answer, TestCheckpoints, services};

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    /// As a worker of the profile `genesys` began it.
    fn checkpoint(state: State) -> Checkpoint {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let request = Request {
            received_at: Some(AT),
            ..Request::default()
        };
        Checkpoint {
            profile: TenantProfile::Genesys,
            state,
            ..Checkpoint::new(user_id, request, AT)
        }
    }

    #[test]
    fn half_an_off_boarding_never_goes_on_at_another_api() {
        let directory = tempfile::tempdir().unwrap();
        let services = services(
            directory.path(),
            Arc::new(TestCheckpoints::default()),
            Answer::Panic,
        );

        let mut writing = checkpoint(State::Received);
        writing.step.converging = Some(Converging {
            since: AT,
            queues: Vec::new(),
        });
        // Its worker died after some of the writes of the first step, of which the checkpoint says nothing.
        let first_step = checkpoint(State::Received);
        let mut stopped = first_step.clone();
        stopped.cancel(cancelled(AT), AT);
        let queues = queues_cleared(true);
        let cleared = checkpoint(State::QueuesCleared { queues });
        for mut begun in [first_step, stopped, writing, cleared] {
            let failure = services.claim_profile(&mut begun).unwrap_err();
            assert_eq!(
                (failure.class, failure.code),
                (Class::Systemic, Code::CxoneOtherProfile)
            );
            assert!(
                failure.text.contains("profile genesys")
                    && failure.text.contains("profile tutorial"),
                "{failure}"
            );
            assert_eq!(begun.profile, TenantProfile::Genesys, "it stays as it was");
        }
    }

    #[test]
    fn what_no_worker_did_anything_for_is_no_other_profiles() {
        let directory = tempfile::tempdir().unwrap();
        let services = services(
            directory.path(),
            Arc::new(TestCheckpoints::default()),
            Answer::Panic,
        );

        let mut unknown = checkpoint(State::Received);
        let class = Class::Permanent(Reason::UserNotFound);
        let failure = Failure::new(class, Code::UserNotFound, "404");
        unknown.give_up(Reason::UserNotFound, failure, AT);
        // Cancelled by an operator, whose settings name no profile.
        let mut never_taken = checkpoint(State::Received);
        never_taken.request.received_at = None;
        never_taken.cancel(cancelled(AT), AT);
        for mut free in [unknown, never_taken] {
            services.claim_profile(&mut free).unwrap();
            assert_eq!(free.profile, TenantProfile::Tutorial);
        }
    }
}

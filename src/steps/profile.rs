//! An off-boarding ends at the API at which it began: half of one must not continue at another.

use super::Services;
use crate::failure::{Class, Code, Failure};
use crate::machine::{Checkpoint, State};
use crate::profile::TenantProfile;

impl Services {
    /// A checkpoint of our profile, from the first step on. One that says nothing of any API yet becomes ours; another
    /// one of another profile stops the worker, since every user of this queue may be of that profile.
    pub(crate) fn claim_profile(&self, checkpoint: &mut Checkpoint) -> Result<(), Failure> {
        if checkpoint.state == State::Received && checkpoint.step.converging.is_none() {
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
    use crate::job::Request;
    use crate::machine::Converging;
    use crate::machine::samples::queues_cleared;
    use crate::steps::test_services::{Answer, TestCheckpoints, services};

    fn checkpoint(state: State) -> Checkpoint {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        Checkpoint {
            profile: TenantProfile::Genesys,
            state,
            ..Checkpoint::new(user_id, Request::default(), Timestamp::UNIX_EPOCH)
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

        let mut new = checkpoint(State::Received);
        services.claim_profile(&mut new).unwrap();
        assert_eq!(new.profile, TenantProfile::Tutorial, "nothing was done yet");

        let mut writing = checkpoint(State::Received);
        writing.step.converging = Some(Converging {
            since: Timestamp::UNIX_EPOCH,
            queues: Vec::new(),
        });
        let queues = queues_cleared(true);
        for mut begun in [writing, checkpoint(State::QueuesCleared { queues })] {
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
}

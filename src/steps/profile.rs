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

//! What becomes of a job instead of a dead letter, when this release fails for one user after the other.

use jiff::SignedDuration;

use super::{GivenUp, Outcome};
use crate::failure::{Class, Code, Failure};
use crate::job::Job;
use crate::machine::StateName;
use crate::steps::{AboutToFail, CLAIM, Interrupt, RUN, Services, Stopped, SurgeVerdict};

/// How soon a job comes back that only another release can do.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Asked before anything of the dead letter is saved. `None`: it is one.
pub(super) async fn instead_of_dead_letter(
    services: &Services,
    job: &Job,
    given_up: &GivenUp,
) -> Option<Outcome> {
    let surges = services.surges.as_ref()?;
    let code = given_up.code?;
    let step = match code {
        Code::CheckpointUnreadable => CLAIM,
        _ => given_up.state.map_or(RUN, StateName::next_step),
    };
    let failing = AboutToFail {
        user_id: job.user_id,
        lane: job.lane,
        step,
        code,
        error: &given_up.error,
    };
    match Box::pin(surges.judge(failing)).await {
        SurgeVerdict::GiveUp => None,
        SurgeVerdict::StopLane(failure) => Some(Outcome::Interrupted(Interrupt::Systemic(failure))),
        SurgeVerdict::Wait(failure) => Some(Outcome::Delay {
            until: services.clock.now() + LOOK_AGAIN,
            why: failure.to_string(),
            code: Some(failure.code),
        }),
    }
}

/// What the tenant refuses to many users for good stops a worker's lane, and not all its work: the surge watch counts it
/// user by user. A right that is missing is no fault of a release.
pub(super) fn of_this_user(services: &Services, stopped: Stopped) -> Stopped {
    let Stopped::Interrupted(Interrupt::Systemic(failure)) = &stopped else {
        return stopped;
    };
    match &failure.of_one {
        Some(one)
            if services.surges.is_some()
                && matches!(one.class, Class::Permanent(_))
                && !one.may_lack_right =>
        {
            Stopped::Failed(Failure::clone(one))
        }
        _ => stopped,
    }
}

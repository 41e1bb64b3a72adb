use std::time::Duration;

use super::event::{Effect, Wait};
use crate::failure::{Class, Failure, Reason};

/// How often, and with what pauses, a user's own failures are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Attempts that may fail before the dead letter.
    pub max_attempts: u32,
    /// The first pause's upper bound.
    pub base: Duration,
    pub cap: Duration,
}

/// What follows from a failure. `attempts` were spent before this one; `jitter` is uniform in
/// `[0, 1)` and comes from the caller, since this is pure.
///
/// Full jitter, after "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
pub(crate) fn after_failure(
    failure: &Failure,
    attempts: u32,
    policy: &RetryPolicy,
    jitter: f64,
) -> Effect {
    let spent = attempts.saturating_add(1);
    match failure.class {
        Class::Transient | Class::UnknownOutcome if spent >= policy.max_attempts => {
            Effect::DeadLetter(Reason::RetriesExhausted)
        }
        Class::Transient | Class::UnknownOutcome => Effect::Wait(Wait::Retry {
            delay: failure
                .retry_after
                .unwrap_or_else(|| backoff(attempts, policy, jitter)),
            spends_attempt: true,
        }),
        // Systemic faults are interrupts and never come here; should one, it must cost nobody.
        Class::Throttled | Class::Systemic => Effect::Wait(Wait::Retry {
            delay: failure
                .retry_after
                .unwrap_or_else(|| backoff(attempts.max(2), policy, jitter)),
            spends_attempt: false,
        }),
        Class::Permanent(reason) => Effect::DeadLetter(reason),
        Class::Defect => Effect::DeadLetter(Reason::ApiRejected),
    }
}

fn backoff(attempts: u32, policy: &RetryPolicy, jitter: f64) -> Duration {
    let ceiling = policy
        .base
        .saturating_mul(2_u32.saturating_pow(attempts.min(30)))
        .min(policy.cap);
    ceiling
        .mul_f64(jitter.clamp(0.0, 1.0))
        .max(policy.base.min(policy.cap) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;
    use proptest::prelude::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 8,
        base: Duration::from_secs(2),
        cap: Duration::from_mins(15),
    };

    fn failure(class: Class) -> Failure {
        Failure::new(class, Code::CxoneServerError, "503")
    }

    #[test]
    fn the_last_attempt_becomes_a_dead_letter_and_none_before() {
        for attempts in 0..7 {
            let effect = after_failure(&failure(Class::Transient), attempts, &POLICY, 0.5);
            assert!(matches!(
                effect,
                Effect::Wait(Wait::Retry {
                    spends_attempt: true,
                    ..
                })
            ));
        }
        let last = after_failure(&failure(Class::Transient), 7, &POLICY, 0.5);
        assert_eq!(last, Effect::DeadLetter(Reason::RetriesExhausted));
    }

    #[test]
    fn throttling_spends_no_attempt_however_often() {
        for attempts in [0, 7, 1000] {
            let effect = after_failure(&failure(Class::Throttled), attempts, &POLICY, 0.5);
            assert!(matches!(
                effect,
                Effect::Wait(Wait::Retry {
                    spends_attempt: false,
                    ..
                })
            ));
        }
    }

    #[test]
    fn the_servers_wish_beats_the_backoff() {
        let mut failure = failure(Class::Throttled);
        failure.retry_after = Some(Duration::from_secs(17));
        let effect = after_failure(&failure, 0, &POLICY, 0.5);
        assert_eq!(
            effect,
            Effect::Wait(Wait::Retry {
                delay: Duration::from_secs(17),
                spends_attempt: false
            })
        );
    }

    proptest! {
        #[test]
        fn a_pause_is_never_over_the_cap_and_never_nothing(attempts in 0_u32..200, jitter in 0.0..1.0) {
            let pause = backoff(attempts, &POLICY, jitter);
            prop_assert!(pause <= POLICY.cap);
            prop_assert!(pause >= POLICY.base / 4);
        }
    }
}

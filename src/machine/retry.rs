//! What follows from a failed step: another attempt after a backoff with jitter, or a dead letter.

use std::time::Duration;

use super::{Delay, Verdict};
use crate::failure::{Class, Failure, Reason};

/// How often, and after what delays, a user's own failures are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// The attempt with this number is the last: when it fails, the job is a dead letter.
    pub max_attempts: u32,
    /// The upper bound of the first delay; it doubles with each attempt.
    pub base: Duration,
    pub cap: Duration,
}

/// What follows from a failure. `attempts` were spent before this one; `jitter` is uniform in
/// `[0, 1)` and comes from the caller, since the machine is pure.
///
/// Exponential backoff with full jitter, after "Exponential Backoff And Jitter" (AWS Architecture
/// Blog, 2015).
pub(crate) fn after_failure(
    failure: Failure,
    attempts: u32,
    policy: &RetryPolicy,
    jitter: f64,
) -> Verdict {
    let is_last = attempts.saturating_add(1) >= policy.max_attempts;

    match failure.class {
        Class::Transient | Class::UnknownOutcome if is_last => {
            let reason = Reason::RetriesExhausted;
            Verdict::DeadLetter { reason, failure }
        }
        Class::Transient | Class::UnknownOutcome => {
            let delay = failure.retry_after;
            Verdict::Delay(Delay::Retry {
                delay: delay.unwrap_or_else(|| backoff(attempts, policy, jitter)),
                spends_attempt: true,
                failure,
            })
        }
        // A systemic fault is an interrupt and never comes here; if one did, it must not use up a
        // user's attempts.
        Class::Throttled | Class::Systemic => {
            let delay = failure.retry_after;
            Verdict::Delay(Delay::Retry {
                delay: delay.unwrap_or_else(|| backoff(attempts.max(2), policy, jitter)),
                spends_attempt: false,
                failure,
            })
        }
        Class::Permanent(reason) => Verdict::DeadLetter { reason, failure },
        // A fault of ours: the API did not reject anything.
        Class::Defect => Verdict::DeadLetter {
            reason: Reason::Poison,
            failure,
        },
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

    fn verdict(class: Class, attempts: u32) -> Verdict {
        after_failure(failure(class), attempts, &POLICY, 0.5)
    }

    /// Whether the verdict is another attempt, and if so whether this one counts.
    fn retry_spends_attempt(verdict: &Verdict) -> Option<bool> {
        match verdict {
            Verdict::Delay(Delay::Retry { spends_attempt, .. }) => Some(*spends_attempt),
            Verdict::Delay(Delay::Until { .. })
            | Verdict::DeadLetter { .. }
            | Verdict::Finish
            | Verdict::Cancel => None,
        }
    }

    fn reason(verdict: Verdict) -> Reason {
        match verdict {
            Verdict::DeadLetter { reason, .. } => reason,
            other => panic!("no dead letter: {other:?}"),
        }
    }

    #[test]
    fn the_last_attempt_becomes_a_dead_letter_and_none_before() {
        for attempts in 0..7 {
            let verdict = verdict(Class::Transient, attempts);
            assert_eq!(retry_spends_attempt(&verdict), Some(true));
        }

        assert_eq!(
            reason(verdict(Class::Transient, 7)),
            Reason::RetriesExhausted
        );
    }

    #[test]
    fn throttling_spends_no_attempt_however_often() {
        for attempts in [0, 7, 1000] {
            let verdict = verdict(Class::Throttled, attempts);
            assert_eq!(retry_spends_attempt(&verdict), Some(false));
        }
    }

    #[test]
    fn a_fault_of_ours_is_poison_and_not_a_rejection_by_the_api() {
        assert_eq!(reason(verdict(Class::Defect, 0)), Reason::Poison);

        let rejected = Class::Permanent(Reason::ApiRejected);
        assert_eq!(reason(verdict(rejected, 0)), Reason::ApiRejected);
    }

    #[test]
    fn the_servers_retry_after_beats_the_backoff() {
        let mut failure = failure(Class::Throttled);
        failure.retry_after = Some(Duration::from_secs(17));

        let verdict = after_failure(failure, 0, &POLICY, 0.5);
        let Verdict::Delay(Delay::Retry { delay, .. }) = verdict else {
            panic!("no retry: {verdict:?}")
        };
        assert_eq!(delay, Duration::from_secs(17));
    }

    proptest! {
        #[test]
        fn a_backoff_is_never_over_the_cap_and_never_zero(attempts in 0_u32..200, jitter in 0.0..1.0) {
            let delay = backoff(attempts, &POLICY, jitter);
            prop_assert!(delay <= POLICY.cap);
            prop_assert!(delay >= POLICY.base / 4);
        }
    }
}

//! Times as people read them.

use jiff::{SignedDuration, Timestamp};

/// A duration in at most two units: `83 s`, `2 min 11 s`, `3 h 5 min`, `4 d 2 h`. Below ten seconds it has a decimal.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs_f64().max(0.0);
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds, never negative"
    )]
    whole_span(seconds.round() as u64)
}

/// An estimate, without decimals.
pub(crate) fn about(seconds: f64) -> String {
    const LONGEST: f64 = 1e9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1e9"
    )]
    whole_span(seconds.clamp(0.0, LONGEST).round() as u64)
}

/// A duration without decimals: `83 s`, `2 min 11 s`, `4 min`.
pub(crate) fn whole_span(seconds: u64) -> String {
    let days = seconds / 86_400;
    let hours = seconds / 3600 % 24;
    let minutes = seconds / 60 % 60;
    match (days, hours, minutes) {
        (0, 0, 0 | 1) if seconds < 100 => format!("{seconds} s"),
        (0, 0, _) if seconds.is_multiple_of(60) => format!("{minutes} min"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

/// How long ago `at` was: `12 min 3 s ago`; `in 5 s` if it is still to come.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(at).as_secs();
    let span = whole_span(passed.unsigned_abs());
    if passed < 0 {
        format!("in {span}")
    } else {
        format!("{span} ago")
    }
}

/// A time at which something is due: `until 2026-11-28T00:46:18Z`, or `due 83 s ago` once it is over.
pub(crate) fn due(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("until {at:.0}")
    } else {
        format!("due {}", ago(at, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (83, "83 s"),
            (99, "99 s"),
            (131, "2 min 11 s"),
            (120, "2 min"),
            (3_600, "1 h"),
            (86_400, "1 d"),
            (11_100, "3 h 5 min"),
            (352_800, "4 d 2 h"),
        ] {
            assert_eq!(whole_span(seconds), text);
        }
        for (seconds, text) in [
            (0.4, "0 s"),
            (99.6, "1 min 40 s"),
            (f64::INFINITY, "11574 d 1 h"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(about(seconds), text, "{seconds}");
        }
        assert_eq!(span(SignedDuration::from_millis(2_340)), "2.3 s");
        assert_eq!(span(SignedDuration::from_millis(9_960)), "10 s");
        assert_eq!(span(SignedDuration::from_secs(-5)), "0.0 s");
    }

    #[test]
    fn a_time_that_is_over_is_due_and_not_awaited() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(due(at(100), at(183)), "due 83 s ago");
        assert_eq!(due(at(100), at(100)), "due 0 s ago");
        assert_eq!(due(at(100), at(99)), "until 1970-01-01T00:01:40Z");
        assert_eq!(ago(at(105), at(100)), "in 5 s");
    }
}

//! `Retry-After` of a 429 or 503, clamped.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// A longer wait is not believed: the call is tried again after this, and a server that still throttles says so.
const LONGEST: Duration = Duration::from_hours(1);

/// Reads `Retry-After` (RFC 9110 section 10.2.3): seconds, or an HTTP date, which counts from the
/// answer's own `Date` where there is one, so that clocks need not agree, or else from `at`, when the
/// answer came. Garbage and a date in the past are ignored.
pub(crate) fn retry_after(
    value: Option<&str>,
    date: Option<&str>,
    at: Timestamp,
) -> Option<Duration> {
    let value = value?.trim();
    let wait = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let due = httpdate::parse_http_date(value).ok()?;
        let now = date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .or_else(|| SystemTime::try_from(at).ok())?;
        due.duration_since(now).ok()?
    };

    (!wait.is_zero()).then(|| wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_retry_after_is_understood_or_ignored() {
        let date = Some("Tue, 24 Nov 2026 10:00:00 GMT");
        let at = "2026-11-24T09:59:00Z".parse().unwrap();
        let wait = |value| retry_after(Some(value), date, at);
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            wait("Tue, 24 Nov 2026 10:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(wait("Tue, 24 Nov 2026 09:00:00 GMT"), None);
        assert_eq!(wait("86400"), Some(LONGEST));
        for garbage in ["", "soon", "-5", "1.5", "0", "99999999999999999999999"] {
            assert_eq!(wait(garbage), None, "{garbage}");
        }
        assert_eq!(retry_after(None, date, at), None);

        let without_date = retry_after(Some("Tue, 24 Nov 2026 10:00:30 GMT"), None, at);
        assert_eq!(without_date, Some(Duration::from_secs(90)));
    }
}

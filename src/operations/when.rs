//! Times as operators give them: a time, or a period from now.

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize as _, Deserializer, Error as _};

use crate::clock::Clock;

/// Reads a time, or a period that ends now.
pub(crate) fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    since_from(text, Clock::system().now())
}

fn since_from(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    const NEITHER: &str = "neither a time (2026-11-01T00:00:00Z) nor a period (7d)";
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    period(text)
        .and_then(|ago| now.checked_sub(ago).ok())
        .ok_or(NEITHER)
}

/// Reads a time, or a period that begins now. It has to be in the future.
pub(crate) fn parse_until(text: &str) -> Result<Timestamp, &'static str> {
    until_from(text, Clock::system().now())
}

fn until_from(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    const NEITHER: &str = "neither a time (2026-12-01T00:00:00Z) nor a period (7d)";
    let until = any_until(text, now).ok_or(NEITHER)?;
    if until <= now {
        return Err("it is in the past");
    }
    Ok(until)
}

fn any_until(text: &str, now: Timestamp) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| now.checked_add(period(text)?).ok())
}

fn period(text: &str) -> Option<SignedDuration> {
    let period = humantime::parse_duration(text).ok()?;
    // `0` and `0s` are nobody's last period.
    if period.is_zero() {
        return None;
    }
    SignedDuration::try_from(period).ok()
}

/// [`parse_since`] for a member that may be missing.
pub(crate) fn since<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(text)?;
    text.map(|text| parse_since(&text))
        .transpose()
        .map_err(D::Error::custom)
}

/// A time, or a period that begins now, for a member of a body that may be missing. It may be in the past.
pub(crate) fn until<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(text)?;
    let now = Clock::system().now();
    let neither = "it is neither a time (2026-12-01T00:00:00Z) nor a period (7d)";
    text.map(|text| any_until(&text, now).ok_or_else(|| D::Error::custom(neither)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_period_is_read_and_the_past_is_no_end() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds: i64| Ok(Timestamp::from_second(1_800_000_000 + seconds).unwrap());
        let written = since_from("2026-11-01T00:00:00Z", now).unwrap();
        assert_eq!(written.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(since_from("2h", now), at(-7200));
        assert_eq!(until_from("7d", now), at(7 * 86_400));
        for wrong in ["2001-01-01T00:00:00Z", "soon", "", "0s"] {
            assert!(until_from(wrong, now).is_err(), "{wrong}");
        }
        assert!(since_from("soon", now).is_err());
        for wrong in ["1000000y", "0", "0s"] {
            assert!(since_from(wrong, now).is_err(), "{wrong}");
        }
    }
}

//! Times as operators give them: a time, or a period from now.

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize as _, Deserializer, Error as _};

/// Reads a time, or a period that ends now.
pub(crate) fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    const NEITHER: &str = "neither a time (2026-11-01T00:00:00Z) nor a period (7d)";
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    period(text)
        .and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .ok_or(NEITHER)
}

/// Reads a time, or a period that begins now. It has to be in the future.
pub(crate) fn parse_until(text: &str) -> Result<Timestamp, &'static str> {
    const NEITHER: &str = "neither a time (2026-12-01T00:00:00Z) nor a period (7d)";
    let until = any_until(text).ok_or(NEITHER)?;
    if until <= Timestamp::now() {
        return Err("it is in the past");
    }
    Ok(until)
}

fn any_until(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| Timestamp::now().checked_add(period(text)?).ok())
}

fn period(text: &str) -> Option<SignedDuration> {
    let period = humantime::parse_duration(text).ok()?;
    SignedDuration::try_from(period).ok()
}

/// [`parse_since`] for a member that may be missing.
pub(crate) fn since<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(text)?;
    text.map(|text| parse_since(&text))
        .transpose()
        .map_err(D::Error::custom)
}

/// A time, or a period that begins now, for a member of a body. It may be in the past.
pub(crate) fn until<'de, D: Deserializer<'de>>(text: D) -> Result<Timestamp, D::Error> {
    let until = any_until(&String::deserialize(text)?);
    until.ok_or_else(|| {
        D::Error::custom("it is neither a time (2026-12-01T00:00:00Z) nor a period (7d)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_period_is_read_and_the_past_is_no_end() {
        let at = parse_since("2026-11-01T00:00:00Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-01T00:00:00Z");
        let now = Timestamp::now();
        assert!(parse_since("2h").unwrap() < now);
        assert!(parse_until("7d").unwrap() > now);
        for wrong in ["2001-01-01T00:00:00Z", "soon", "", "0s"] {
            assert!(parse_until(wrong).is_err(), "{wrong}");
        }
        assert!(parse_since("soon").is_err());
    }
}

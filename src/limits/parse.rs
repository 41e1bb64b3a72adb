//! Text → value, for settings and arguments. An error continues where the quoted value ends:
//! `is not …; what to do`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// No setting needs more, and arithmetic on points in time cannot overflow below it.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false; give one of them".to_owned()),
    }
}

pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| {
        let inside = text.parse().ok().filter(|number| range.contains(number));
        inside.ok_or_else(|| {
            let least = range.start();
            let most = range.end();
            format!("is not a whole number from {least} to {most}; give one")
        })
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|why| {
        format!(
            "is not a duration ({why}); give a number and a unit, such as 30s, 15m, 2h, 365d or 7y"
        )
    })?;
    if parsed > LONGEST {
        return Err("is more than 100 years; give less".to_owned());
    }
    Ok(parsed)
}

/// For settings that zero would silently disable.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("is no time at all; give more than 0s".to_owned()),
        positive => Ok(positive),
    }
}

pub(crate) fn between(
    least: Duration,
    most: Duration,
) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let duration = duration(text)?;
        if (least..=most).contains(&duration) {
            Ok(duration)
        } else {
            let least = least.as_secs();
            let most = most.as_secs();
            Err(format!(
                "is not between {least}s and {most}s; give a duration within"
            ))
        }
    }
}

/// A size such as `256MiB`.
pub(crate) fn bytes(least: u64) -> impl FnOnce(&str) -> Result<u64, String> {
    move |text| {
        const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let size = UNITS.into_iter().find_map(|(unit, factor)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(factor)
        });
        size.filter(|size| (least..=1 << 40).contains(size)).ok_or_else(|| {
            let least = least >> 20;
            format!("is not a size from {least}MiB to 1024GiB; give a whole number and KiB, MiB or GiB, e.g. 256MiB")
        })
    }
}

pub(crate) fn unless_off<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> impl FnOnce(&str) -> Result<Option<T>, String> {
    |text| {
        if text == "off" {
            Ok(None)
        } else {
            parse(text).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_an_end() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("365d"), Ok(Duration::from_hours(365 * 24)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert!(duration("7y").unwrap() > Duration::from_hours(7 * 365 * 24));
        let why = duration("25").unwrap_err();
        assert!(why.contains("such as 30s, 15m, 2h, 365d or 7y"), "{why}");
        assert!(duration("101y").unwrap_err().contains("100 years"));
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn whole_numbers_stay_within_their_range() {
        assert_eq!(whole(1..=500_u16)("500"), Ok(500));
        for text in ["0", "501", "-1", "1.5", "many", "99999999999999999999"] {
            let why = whole(1..=500_u16)(text).unwrap_err();
            assert_eq!(why, "is not a whole number from 1 to 500; give one");
        }
    }
}

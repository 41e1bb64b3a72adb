//! Limits and policies that settings give and that more than one room obeys.

mod approval;
pub(crate) mod parse;

use std::time::Duration;

use parse::positive_duration;

pub(crate) use approval::{ApprovalNeeded, ApprovalRule};

/// At most `count` within `per`, counted over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    pub count: u32,
    pub per: Duration,
}

impl RateLimit {
    /// Reads `200/1h`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "give a count and a time, e.g. 200/1h, or off";

        let Some((count, per)) = text.split_once('/') else {
            return Err(format!("is not a rate limit; {example}"));
        };
        match count.parse() {
            Ok(count @ 1..) => Ok(Self {
                count,
                per: positive_duration(per)?,
            }),
            Ok(0) | Err(_) => Err(format!("has no count above 0; {example}")),
        }
    }
}

/// Whether this tenant deletes accounts at all (`OFFBOARDER_GUARD_DELETE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletePolicy {
    Attempt,
    /// Every user ends at `DeactivatedOnly`.
    Never,
}

/// Object Lock retention of everything that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub mode: RetentionMode,
    /// Starts when the object is written.
    pub period: Duration,
}

/// Who may lift a retention before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetentionMode {
    /// Principals with the permission `s3:BypassGovernanceRetention`.
    Governance,
    /// No one.
    Compliance,
}

/// Events per second: a fraction or a whole number, above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// Reads `20/s`, `600/m` or `1000/h`. The error is for a person: it continues where the quoted
    /// value ends.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const NOT_A_RATE: &str = "is not a rate; give one, e.g. 20/s, 600/m or 1000/h";

        let (number, unit) = text.split_once('/').ok_or(NOT_A_RATE)?;
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(NOT_A_RATE),
        };

        // `f64` would also accept `inf`, `nan` and `1e9`.
        let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let number: f64 = Some(number)
            .filter(|_| is_plain)
            .and_then(|number| number.parse().ok())
            .ok_or(NOT_A_RATE)?;

        let per_hour = number * (3600.0 / seconds);
        if !(1.0..=3.6e9).contains(&per_hour) {
            return Err("is not between 1/h and 1000000/s");
        }
        Ok(Self(number / seconds))
    }

    pub(crate) const fn per_second(self) -> f64 {
        self.0
    }

    /// The time between two events at this rate.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

/// The three classes of calls that the tenant counts separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QuotaClass {
    Routing,
    Scim,
    Analytics,
}

impl QuotaClass {
    pub(crate) const ALL: [Self; 3] = [Self::Routing, Self::Scim, Self::Analytics];

    /// The word in keys and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Scim => "scim",
            Self::Analytics => "analytics",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_per_second_minute_or_hour() {
        let per_second = |text| Rate::parse(text).unwrap().per_second();
        for (text, expected) in [
            ("20/s", 20.0),
            ("0.5/s", 0.5),
            ("90/m", 1.5),
            ("7200/h", 2.0),
        ] {
            assert!((per_second(text) - expected).abs() < 1e-9, "{text}");
        }
        assert_eq!(
            Rate::parse("30/m").unwrap().interval(),
            Duration::from_secs(2)
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "20",
            "/s",
            "20/d",
            "-1/s",
            "inf/s",
            "1e3/s",
            "0/s",
            "0.5/h",
            "1000001/s",
            "1.2.3/s",
            "",
            "off",
        ] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deletion_rate_limit_is_a_count_in_a_time() {
        assert_eq!(
            RateLimit::parse("200/1h"),
            Ok(RateLimit {
                count: 200,
                per: Duration::from_hours(1)
            })
        );
        for bad in ["200", "0/1h", "200/0s", "x/1h", "200/h"] {
            assert!(RateLimit::parse(bad).is_err(), "{bad}");
        }
    }
}

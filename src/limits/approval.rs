//! When a second person has to approve deletions (`OFFBOARDER_GUARD_APPROVAL`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which deletions need an approval; the order is that of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ApprovalNeeded {
    Off,
    /// Those of an order of more users, and those beyond that many without an approval that a requester has in 24 hours.
    Above(u32),
    Always,
}

impl ApprovalNeeded {
    /// The larger, the stricter.
    const fn strictness(self) -> u64 {
        match self {
            Self::Off => 0,
            // As `u32` as it is, but turned round.
            Self::Above(count) => 1 + (u32::MAX - count) as u64,
            Self::Always => u64::MAX,
        }
    }
}

impl FromStr for ApprovalNeeded {
    type Err = String;

    /// The error continues where the quoted value ends.
    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.strip_prefix("deletions:");
        match (text, count.map(str::parse)) {
            ("off", _) => Ok(Self::Off),
            ("always", _) => Ok(Self::Always),
            (_, Some(Ok(count @ 1..))) => Ok(Self::Above(count)),
            _ => Err("is none of off, always and deletions:N; give e.g. deletions:50".to_owned()),
        }
    }
}

impl TryFrom<String> for ApprovalNeeded {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map_err(|problem| format!("{text:?} {problem}"))
    }
}

impl From<ApprovalNeeded> for String {
    fn from(needed: ApprovalNeeded) -> Self {
        needed.to_string()
    }
}

impl fmt::Display for ApprovalNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Above(count) => write!(f, "deletions:{count}"),
            Self::Always => f.write_str("always"),
        }
    }
}

/// The rule of approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApprovalRule {
    pub needed: ApprovalNeeded,
    /// How many persons have to approve.
    pub approvers: u32,
    /// An approval counts only if it comes within that time of the plan.
    #[serde(rename = "approvalExpirySeconds", with = "seconds")]
    pub approval_expiry: Duration,
    /// A deletion counts as approved for that long after the approval.
    #[serde(rename = "executionExpirySeconds", with = "seconds")]
    pub execution_expiry: Duration,
}

impl ApprovalRule {
    pub(crate) const OFF: Self = Self {
        needed: ApprovalNeeded::Off,
        approvers: 1,
        approval_expiry: Duration::from_hours(72),
        execution_expiry: Duration::from_hours(14 * 24),
    };

    pub(crate) fn is_off(&self) -> bool {
        self.needed == ApprovalNeeded::Off
    }

    /// The stricter part of each of two rules. A rule that is off has no other parts.
    pub(crate) fn and(self, other: Self) -> Self {
        if self.is_off() || other.is_off() {
            return if self.is_off() { other } else { self };
        }
        let needed = if self.needed.strictness() >= other.needed.strictness() {
            self.needed
        } else {
            other.needed
        };
        Self {
            needed,
            approvers: self.approvers.max(other.approvers),
            approval_expiry: self.approval_expiry.min(other.approval_expiry),
            execution_expiry: self.execution_expiry.min(other.execution_expiry),
        }
    }

    /// Whether this rule permits something that the other one does not.
    pub(crate) fn is_weaker_than(self, other: Self) -> bool {
        self.and(other) != self
    }
}

impl fmt::Display for ApprovalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_off() {
            return f.write_str("off");
        }
        write!(
            f,
            "{}, approvers: {}, approval within {}, execution within {}",
            self.needed,
            self.approvers,
            humantime::format_duration(self.approval_expiry),
            humantime::format_duration(self.execution_expiry)
        )
    }
}

/// Whole seconds: canonical JSON has no other numbers that all programs write alike.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(needed: &str, approvers: u32, hours: u64) -> ApprovalRule {
        ApprovalRule {
            needed: needed.parse().unwrap(),
            approvers,
            approval_expiry: Duration::from_hours(hours),
            execution_expiry: Duration::from_hours(hours),
        }
    }

    #[test]
    fn a_rule_is_as_it_is_written_and_a_misspelt_one_is_none() {
        for text in ["off", "always", "deletions:50"] {
            assert_eq!(text.parse::<ApprovalNeeded>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "Always",
            "deletions",
            "deletions:0",
            "deletions:-1",
            "50",
        ] {
            assert!(bad.parse::<ApprovalNeeded>().is_err(), "{bad}");
        }
    }

    #[test]
    fn two_rules_together_are_as_strict_as_the_stricter_part_of_each() {
        let off = rule("off", 1, 1);
        let some = rule("deletions:50", 2, 72);
        assert_eq!(some.and(off), some);
        assert_eq!(off.and(some), some);
        assert_eq!(rule("always", 1, 90).and(some), rule("always", 2, 72));
        assert_eq!(
            rule("deletions:10", 1, 24).and(some),
            rule("deletions:10", 2, 24)
        );
    }

    #[test]
    fn every_part_can_weaken_a_rule() {
        let seen = rule("deletions:50", 2, 72);
        for weaker in [
            rule("off", 2, 72),
            rule("deletions:51", 2, 72),
            rule("always", 1, 72),
            rule("always", 2, 73),
        ] {
            assert!(weaker.is_weaker_than(seen), "{weaker}");
        }
        for same_or_stricter in [seen, rule("always", 3, 1), rule("deletions:1", 2, 72)] {
            assert!(!same_or_stricter.is_weaker_than(seen), "{same_or_stricter}");
        }
        assert!(!seen.is_weaker_than(rule("off", 9, 1)));
    }
}

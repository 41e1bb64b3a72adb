//! The numbers by which ACD knows agents, skills and groups.

use std::fmt;

use serde_json::Value;

/// A number from 1 on. It becomes a segment of a path, so nothing else counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number(u64);

impl Number {
    pub(super) fn new(number: u64) -> Option<Self> {
        let is_one = (1..=i64::MAX.unsigned_abs()).contains(&number);
        is_one.then_some(Self(number))
    }

    pub(super) fn of(value: &Value) -> Option<Self> {
        Self::new(value.as_u64()?)
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! The faults of an input.

use std::fmt;

use crate::printable;

/// A line that is not a message, or whose user must not be off-boarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1; `None` for an argument.
    pub line: Option<u64>,
    pub what: String,
    /// The line is valid, but a guard forbids the user.
    pub forbidden: bool,
}

/// The number of faults that are listed; the others are only counted.
pub(super) const NAMED: usize = 1000;

/// The faults of the input; nothing of it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub(crate) struct Faults {
    pub named: Vec<Fault>,
    pub total: u64,
    /// The number of faults that are only forbidden by a guard.
    pub forbidden: u64,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.total += 1;
        self.forbidden += u64::from(fault.forbidden);
        if self.named.len() < NAMED {
            self.named.push(fault);
        }
    }

    /// Whether a guard forbids users, and the input has no other fault.
    pub(crate) const fn only_forbidden(&self) -> bool {
        self.total == self.forbidden
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault(s) in the input; nothing was sent", self.total)?;
        for fault in &self.named {
            match fault.line {
                Some(line) => write!(f, "\n  line {line}: {}", printable::line(&fault.what))?,
                None => write!(f, "\n  {}", printable::line(&fault.what))?,
            }
        }
        match self.total.saturating_sub(self.named.len() as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

use std::fmt;

use crate::printable;

/// A line that is no message, or one that must not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1; `None` for an argument.
    pub line: Option<u64>,
    pub what: String,
    /// The line itself is well: a guard forbids it.
    pub forbidden: bool,
}

/// So many are named; of the others it is said how many there are.
pub(super) const NAMED: usize = 1000;

/// The faults of the input; nothing of it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub(crate) struct Faults {
    pub named: Vec<Fault>,
    pub total: u64,
    /// Those that are a guard's.
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

    /// Whether nothing but a guard stands against the input.
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

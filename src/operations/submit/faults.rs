//! The faults of an input.

use crate::printable;

/// Part of a fault; what to do is said once for all lines.
pub(super) const NOT_UTF_8: &str = "not UTF-8";

/// Why a row is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    what: String,
    of_file: bool,
}

impl Wrong {
    /// Only this row is wrong.
    pub(super) fn row(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            of_file: false,
        }
    }

    /// The whole file is wrong, or the row may contain others: nothing of the file can be trusted.
    pub(super) fn file(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            of_file: true,
        }
    }

    pub(super) fn and(mut self, more: &str) -> Self {
        self.what += more;
        self
    }

    pub(super) fn at(self, line: Option<u64>) -> Fault {
        Fault {
            line,
            what: self.what,
            forbidden: false,
            of_file: self.of_file,
        }
    }
}

/// A line that is not a message, or whose user must not be off-boarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1; `None` for an argument.
    pub line: Option<u64>,
    pub what: String,
    /// The line is valid, but a guard forbids the user.
    pub forbidden: bool,
    /// The fault concerns the whole file, which cannot be read without this line.
    pub of_file: bool,
}

/// The number of faults that are listed; the others are only counted.
pub(super) const NAMED: usize = 20;

/// The faults of the input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Faults {
    pub named: Vec<Fault>,
    pub total: u64,
    /// The number of faults that are only forbidden by a guard.
    pub forbidden: u64,
    /// The number of faults that concern the whole file.
    pub of_file: u64,
    is_not_utf_8: bool,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.total += 1;
        self.forbidden += u64::from(fault.forbidden);
        self.of_file += u64::from(fault.of_file);
        self.is_not_utf_8 |= fault.what == NOT_UTF_8;
        if self.named.len() < NAMED {
            self.named.push(fault);
        }
    }

    /// Whether a guard forbids users, and the input has no other fault.
    pub(crate) const fn only_forbidden(&self) -> bool {
        self.total == self.forbidden
    }

    /// For people: what follows from the faults, and the first of them.
    pub(crate) fn text(&self, consequence: &str) -> String {
        let faults = if self.total == 1 { "fault" } else { "faults" };
        let mut lines = vec![format!(
            "{} {faults} in the input; {consequence}",
            self.total
        )];
        lines.extend(self.named.iter().map(|fault| {
            let what = printable::line(&fault.what);
            match fault.line {
                Some(line) => format!("  line {line}: {what}"),
                None => format!("  {what}"),
            }
        }));
        let more = self.total.saturating_sub(self.named.len() as u64);
        if more > 0 {
            lines.push(format!(
                "  and {more} more; --rejects F writes all of them to a file"
            ));
        }
        if self.is_not_utf_8 {
            lines.push(
                "  text that is not UTF-8 is most often Windows-1252: give --encoding windows-1252, or save the file as \
                 UTF-8 (in Excel \"CSV UTF-8\")"
                    .to_owned(),
            );
        }
        lines.join("\n")
    }
}

//! What becomes of columns without a meaning.

use crate::operations::submit::{Checked, Memory};

/// Columns of the file, and members, that have no meaning here.
pub(super) struct Columns {
    /// Kept with the batch.
    pub(super) kept: Vec<String>,
    pub(super) ignored: Vec<String>,
    /// All users belong to a batch.
    is_for_all: bool,
}

impl Columns {
    pub(super) fn of(checked: &Checked, memory: &Memory) -> Self {
        let is_kept = memory.is_kept() && checked.in_batches > 0;
        Self {
            kept: if is_kept {
                checked.kept.clone()
            } else {
                Vec::new()
            },
            ignored: if is_kept {
                checked.ignored.clone()
            } else {
                [checked.kept.as_slice(), checked.ignored.as_slice()].concat()
            },
            is_for_all: checked.in_batches == checked.users,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let users = if self.is_for_all {
            ""
        } else {
            ", of the users who have a batch ID"
        };
        let kept = format!("kept for `batch report`{users}: {}", self.kept.join(", "));
        let ignored = format!("ignored: {}", self.ignored.join(", "));
        [
            (!self.kept.is_empty()).then_some(kept),
            (!self.ignored.is_empty()).then_some(ignored),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

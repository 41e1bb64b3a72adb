//! What the driver does next, as planned.

use super::Outcome;
use crate::machine::{DeletionOutcome, Event, Step};

/// What the driver does after the save.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// Do a step, and plan with the event that it reports.
    Perform(Step),
    /// Plan with this event at once: nothing has to be done for it.
    Apply(Box<Event>),
    /// The run ends, and its delivery may be settled.
    End(Outcome),
}

/// When the checkpoint is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Save {
    /// Not at all: it did not change.
    No,
    /// Before what follows.
    First,
    /// With the next change, see [`is_shown_by_the_next`]; or when the run is interrupted.
    WithTheNext,
}

/// What the driver does next. Whatever changed the checkpoint is saved before anything follows from it, and before the
/// delivery is settled; but for [`Save::WithTheNext`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Commands {
    pub(crate) save: Save,
    pub(crate) then: Command,
}

/// Whether the step that follows leads to the next save within moments, and a run that crashed before it finds again what the
/// event says: the stored archive, for one more call of the API and a read of what it stored; or that the user is gone
/// after the saved intent to delete. A user whom somebody else deleted counts only for a worker that still has the lease, as
/// the save shows: it may have been the worker that has it now.
pub(super) fn is_shown_by_the_next(event: &Event) -> bool {
    match event {
        Event::ArchiveStored(archive) => archive.pages <= 1,
        Event::UserDeleted(deletion) => deletion.outcome == DeletionOutcome::Deleted,
        _ => false,
    }
}

impl Save {
    pub(super) const fn of(changed: bool, shown_by_the_next: bool) -> Self {
        match (changed, shown_by_the_next) {
            (false, _) => Self::No,
            (true, false) => Self::First,
            (true, true) => Self::WithTheNext,
        }
    }
}

impl Commands {
    pub(super) const fn save_then(then: Command) -> Self {
        Self {
            save: Save::First,
            then,
        }
    }

    pub(super) const fn without_save(then: Command) -> Self {
        Self {
            save: Save::No,
            then,
        }
    }

    /// Nothing is done before the next plan, which saves.
    pub(super) fn apply(event: Event) -> Self {
        Self {
            save: Save::WithTheNext,
            then: Command::Apply(Box::new(event)),
        }
    }
}

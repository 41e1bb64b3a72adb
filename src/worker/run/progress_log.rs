//! Logs and counts what a save changed.

use jiff::Timestamp;

use crate::machine::{AccessRemoved, Checkpoint, State, StateName};
use crate::steps::SurgeWatch;
use crate::telemetry::metrics;

/// The state before a save.
pub(super) struct SavedState {
    state: StateName,
    is_finished: bool,
}

impl SavedState {
    pub(super) const fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            state: checkpoint.state.name(),
            is_finished: checkpoint.state.is_finished(),
        }
    }

    /// Logs and counts the change, now that the checkpoint is saved.
    pub(super) fn report_change(&self, checkpoint: &Checkpoint, surges: Option<&SurgeWatch>) {
        let from = self.state;
        let to = checkpoint.state.name();
        let is_recorded = checkpoint.state.is_finished() && !self.is_finished;
        if let Some(surges) = surges
            && (to > from || is_recorded)
        {
            surges.passed(if is_recorded { to } else { from }.next_step());
        }
        if is_recorded {
            metrics::finished(to);
        }
        if from == to {
            return;
        }

        tracing::info!(user_id = %checkpoint.user_id, %from, %to, "moved");
        metrics::moved(from, to);
        match &checkpoint.state {
            State::Deactivated { access } => report_access_removed(checkpoint, access),
            State::Archived { archive, .. } if from == StateName::Deactivated => {
                metrics::archived(archive.bytes, archive.conversations);
            }
            State::Received
            | State::QueuesCleared { .. }
            | State::Archived { .. }
            | State::Deleted { .. }
            | State::DeactivatedOnly { .. } => {}
        }
    }
}

fn report_access_removed(checkpoint: &Checkpoint, access: &AccessRemoved) {
    let request = &checkpoint.request;
    let asked = request.requested_at.or(request.received_at);
    let after = |at: Timestamp| {
        let after = asked.map(|asked| at.duration_since(asked));
        // The requester's clock may be ahead of ours.
        after
            .and_then(|after| after.try_into().ok())
            .unwrap_or_default()
    };

    metrics::access_removed(after(access.at));
    if let Some(at) = access.sessions_ended_at {
        metrics::sessions_ended(after(at));
    }
}

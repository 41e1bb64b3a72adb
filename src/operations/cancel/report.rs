use serde::Serialize;
use utoipa::ToSchema;

use super::mark::Marked;
use crate::job::UserId;

/// What a cancellation did
///
/// Each user of the order counts in `cancelled`, or is named in one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelReport {
    /// Whether the order is stored: workers follow it within seconds, and it covers messages that come later, too.
    pub ordered: bool,
    /// Users whose request is cancelled.
    pub cancelled: u64,
    /// Those of them on whom no step was done.
    pub not_begun: u64,
    /// Those of them who keep their access.
    pub keep_access: u64,
    /// Users whom a worker has now: they stop at their next checkpoint, and are not deleted.
    pub stopping: Vec<UserId>,
    /// Users who were finished before: nothing is changed.
    pub finished: Vec<UserId>,
    /// Users of whom nothing is stored: a message that asks for them is dropped when it comes up.
    pub not_known: Vec<UserId>,
    /// Users who were asked for in another batch, or after the cancellation: that request continues.
    pub asked_otherwise: Vec<UserId>,
    /// Users for whom it came too late, or may have.
    pub too_late: Vec<NotCancelled>,
}

/// Why the request of a user is not cancelled, or may not be
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotCancelled {
    pub user_id: UserId,
    /// For people.
    pub text: String,
}

impl CancelReport {
    pub(super) fn add(&mut self, user_id: UserId, marked: Marked) {
        match marked {
            Marked::Cancelled {
                begun,
                keeps_access,
            } => {
                self.cancelled += 1;
                self.not_begun += u64::from(!begun);
                self.keep_access += u64::from(keeps_access);
            }
            Marked::Stopping => self.stopping.push(user_id),
            Marked::Finished => self.finished.push(user_id),
            Marked::NotKnown => self.not_known.push(user_id),
            Marked::AskedOtherwise => self.asked_otherwise.push(user_id),
            Marked::TooLate(text) => self.too_late.push(NotCancelled { user_id, text }),
        }
    }

    pub(super) fn add_unclear(&mut self, user_id: UserId, why: &str) {
        let text = format!("whether it came in time is unknown: {why}");
        self.too_late.push(NotCancelled { user_id, text });
    }

    /// The same answer for the same facts.
    pub(super) fn sort(&mut self) {
        let lists = [
            &mut self.stopping,
            &mut self.finished,
            &mut self.not_known,
            &mut self.asked_otherwise,
        ];
        for list in lists {
            list.sort_unstable();
        }
        self.too_late.sort_unstable();
    }
}

//! What a checkpoint notes of a request that was taken back, and how a later request begins again.

use jiff::Timestamp;

use super::{Cancelled, Checkpoint, State};
use crate::job::Request;

impl Checkpoint {
    /// Notes that an operator cancelled the request. A message of it that is delayed comes up later, and is dropped then.
    pub(crate) fn cancel(&mut self, cancelled: Cancelled, now: Timestamp) {
        let message_due = self.waiting_until.filter(|until| *until > now);

        self.waits_no_longer(now);
        self.attempts = 0;
        self.cancelled = Some(Cancelled {
            message_due,
            ..cancelled
        });
    }

    /// The same, unless the checkpoint says so already: the message came again. Returns whether it changed.
    pub(crate) fn cancel_once(&mut self, cancelled: Cancelled, now: Timestamp) -> bool {
        let known = self.cancelled.as_ref();
        let is_known = known.is_some_and(|known| known.at == cancelled.at);
        if !is_known {
            self.cancel(cancelled, now);
        }
        !is_known
    }

    /// Whether this is the request that it is about. Of a request that no worker took, a cancellation notes only the time.
    pub(crate) fn is_of(&self, request: &Request) -> bool {
        let known = &self.request;
        if known.message_sha256.is_some() {
            return known.message_sha256 == request.message_sha256
                && known.batch_id == request.batch_id;
        }
        let same_batch = known.batch_id.is_none() || known.batch_id == request.batch_id;
        known.requested_at.is_some() && known.requested_at == request.requested_at && same_batch
    }

    /// The cancellation that it notes, if this request stays cancelled by it. The note decides, also where the time of the
    /// request was in the future when the user was reported as cancelled.
    pub(crate) fn still_cancelled(&self, request: &Request, now: Timestamp) -> Option<&Cancelled> {
        let noted = self.cancelled.as_ref()?;
        (self.is_of(request) || noted.covers(request, now)).then_some(noted)
    }

    /// Begins again for a request that was made after the cancellation. What was done before is done again, since the
    /// user may have worked in the meantime: an archive of the cancelled request has no conversation since, so the next
    /// one, and its seal, are of a revision of their own. So is a before-image, and the decision that belongs to it.
    pub(crate) fn order_again(&mut self, request: Request, now: Timestamp) {
        let has_objects = self.state.archive().is_some() || self.before_image;
        if has_objects && self.evidence_revision == self.revision {
            self.begin_next_revision();
        }
        self.request = request;
        self.attempts = 0;
        self.enter(State::Received, now);
    }

    fn begin_next_revision(&mut self) {
        self.revision = self.revision.max(self.evidence_revision).saturating_add(1);
        self.evidence_revision = self.revision;
        self.before_image = false;
        self.archived_before = false;
    }

    /// Notes that the user is reactivated: nothing of this off-boarding counts any more, and a request that is made later
    /// begins the next revision.
    pub(crate) fn reactivate(&mut self, by: Cancelled, now: Timestamp) {
        if let Some(manifest) = self.state.manifest() {
            self.previous = Some(manifest.clone());
        }
        self.begin_next_revision();
        let message_due = self.waiting_until.filter(|until| *until > now);
        self.attempts = 0;
        self.enter(State::Received, now);
        self.cancelled = Some(Cancelled { message_due, ..by });
    }
}

use super::ready_queue::Received;

/// A delivery that workers died with. It runs while the worker does nothing else and holds nothing else, so that the
/// next death shows whether this message is the cause.
#[derive(Default)]
pub(super) struct IsolationQueue {
    suspect: Option<Received>,
    /// A suspect was taken out, and may still run.
    isolated: bool,
}

impl IsolationQueue {
    /// Takes it, unless there is one already: then it comes back.
    pub(super) fn push(&mut self, received: Received) -> Option<Received> {
        if self.suspect.is_some() || self.isolated {
            return Some(received);
        }
        self.suspect = Some(received);
        None
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.suspect.is_some()
    }

    /// The suspect, to be run in isolation from now on.
    pub(super) const fn pop(&mut self) -> Option<Received> {
        let next = self.suspect.take();
        self.isolated = next.is_some();
        next
    }

    /// Whether other messages may be taken again; `idle`: no run is under way.
    pub(super) const fn is_over(&self, idle: bool) -> bool {
        self.suspect.is_none() && (!self.isolated || idle)
    }

    pub(super) const fn end(&mut self) {
        self.isolated = false;
    }
}

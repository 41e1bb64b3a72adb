use jiff::Timestamp;

/// When the oldest dead letter in the queue was written. Reading it counts as a delivery, so it is read only when
/// dead letters are first seen, and after some were removed: the oldest may be among those.
#[derive(Debug, Default)]
pub(super) struct OldestDeadLetter {
    since: Option<Timestamp>,
    depth: u64,
    in_doubt: bool,
}

impl OldestDeadLetter {
    /// Takes note of the queue's depth. True if the oldest dead letter must be read now; not while dead letters are
    /// being removed, since it would have to be read again after.
    pub(super) fn must_be_read(&mut self, depth: u64) -> bool {
        let before = std::mem::replace(&mut self.depth, depth);
        if depth == 0 {
            self.since = None;
            self.in_doubt = false;
        } else if before == 0 || depth < before {
            self.in_doubt = true;
        }
        self.in_doubt && (before == 0 || depth >= before)
    }

    /// When the dead letter that was read was written. `None`: all are in flight elsewhere, and it must be read again.
    pub(super) const fn found(&mut self, written: Option<Timestamp>) {
        if written.is_some() {
            self.since = written;
            self.in_doubt = false;
        }
    }

    pub(super) const fn since(&self) -> Option<Timestamp> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_oldest_is_read_when_dead_letters_are_first_seen_and_once_some_were_removed() {
        let mut oldest = OldestDeadLetter::default();
        assert!(!oldest.must_be_read(0));
        assert!(oldest.must_be_read(3));
        oldest.found(Some(at(100)));
        for depth in [3, 4, 900, 900] {
            assert!(
                !oldest.must_be_read(depth),
                "more dead letters change nothing about the oldest"
            );
        }
        assert_eq!(oldest.since(), Some(at(100)));
        for depth in [700, 400, 5] {
            assert!(!oldest.must_be_read(depth), "they are being removed");
        }

        assert!(oldest.must_be_read(5));
        oldest.found(None);
        assert!(oldest.must_be_read(6), "all were in flight elsewhere");
        assert_eq!(oldest.since(), Some(at(100)));
        oldest.found(Some(at(200)));
        assert!(!oldest.must_be_read(6));
        assert_eq!(oldest.since(), Some(at(200)));
        assert!(!oldest.must_be_read(0));
        assert_eq!(oldest.since(), None);
        assert!(oldest.must_be_read(1));
    }
}

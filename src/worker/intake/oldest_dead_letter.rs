use jiff::Timestamp;

/// Since when the oldest dead letter stands. A look into the queue counts as a delivery of what is found, so there is
/// one when letters are first seen, and one after some were taken off: the oldest may be among them.
#[derive(Debug, Default)]
pub(crate) struct OldestLetter {
    since: Option<Timestamp>,
    depth: u64,
    in_doubt: bool,
}

impl OldestLetter {
    /// So many stand there; whether somebody has to look into the queue. While letters are being taken off it is too
    /// early.
    pub(crate) fn saw(&mut self, depth: u64) -> bool {
        let before = std::mem::replace(&mut self.depth, depth);
        if depth == 0 {
            (self.since, self.in_doubt) = (None, false);
        } else if before == 0 || depth < before {
            self.in_doubt = true;
        }
        self.in_doubt && (before == 0 || depth >= before)
    }

    /// What was found: when the first letter was written. `None`: somebody has them all in hand, and it remains
    /// in doubt.
    pub(crate) const fn found(&mut self, written: Option<Timestamp>) {
        if written.is_some() {
            (self.since, self.in_doubt) = (written, false);
        }
    }

    pub(crate) const fn since(&self) -> Option<Timestamp> {
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
    fn the_queue_is_looked_into_when_letters_are_first_seen_and_once_some_were_taken_off() {
        let mut oldest = OldestLetter::default();
        assert!(!oldest.saw(0));
        assert!(oldest.saw(3));
        oldest.found(Some(at(100)));
        for depth in [3, 4, 900, 900] {
            assert!(
                !oldest.saw(depth),
                "more letters change nothing about the oldest"
            );
        }
        assert_eq!(oldest.since(), Some(at(100)));
        for depth in [700, 400, 5] {
            assert!(!oldest.saw(depth), "they are being taken off");
        }
        assert!(oldest.saw(5));
        oldest.found(None);
        assert!(oldest.saw(6), "somebody had them in hand");
        assert_eq!(oldest.since(), Some(at(100)));
        oldest.found(Some(at(200)));
        assert!(!oldest.saw(6));
        assert_eq!(oldest.since(), Some(at(200)));
        assert!(!oldest.saw(0));
        assert_eq!(oldest.since(), None);
        assert!(oldest.saw(1));
    }
}

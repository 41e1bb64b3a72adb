//! Cuts the history into windows that the API accepts, and deduplicates conversations at their bounds: an API may return
//! a conversation that crosses a bound in the earlier window, in the later one, or in both. Archiving stays idempotent,
//! since what was seen is part of the checkpoint.

use std::collections::HashSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::machine::{ArchiveInProgress, Crossing, Cursor};
use crate::ports::ConversationFacts;

const DAY_SECONDS: i64 = 86_400;

/// The end, exclusive, of the window that begins at `from`: midnight UTC, `window_days` after the day on which it begins,
/// so that no window is longer than that; or the end of the history.
pub(crate) fn end_of(from: Timestamp, progress: &ArchiveInProgress) -> Timestamp {
    let Some(days) = progress.window_days else {
        return progress.date_to;
    };

    let midnight = from.as_second() - from.as_second().rem_euclid(DAY_SECONDS);
    let end = Timestamp::from_second(midnight.saturating_add(i64::from(days) * DAY_SECONDS));
    end.unwrap_or(progress.date_to).min(progress.date_to)
}

/// What follows the last page of the window that begins at `from`.
pub(crate) fn after_window(from: Timestamp, progress: &ArchiveInProgress) -> Cursor {
    let end = end_of(from, progress);
    if end < progress.date_to {
        Cursor::Window { from: end }
    } else {
        Cursor::End
    }
}

/// The beginning of the window that a cursor is in.
pub(crate) const fn window_of(cursor: &Cursor) -> Option<Timestamp> {
    match cursor {
        Cursor::Window { from } | Cursor::Page { from, .. } => Some(*from),
        Cursor::End => None,
    }
}

/// Admits every conversation once (deduplication). It remembers only those that cross a window's bound, so that memory
/// does not grow with the archive. A conversation that does not name its end may cross it.
pub(crate) struct WindowDeduplicator {
    /// Digests of the conversations of the window before that cross into this one.
    before: HashSet<String>,
    /// Digests of the conversations of this window that cross into the next one.
    after: Vec<String>,
    window: Option<Timestamp>,
}

impl WindowDeduplicator {
    pub(crate) fn new(crossing: &Crossing, cursor: &Cursor) -> Self {
        Self {
            before: crossing.before.iter().cloned().collect(),
            after: crossing.after.clone(),
            window: window_of(cursor),
        }
    }

    /// Whether the conversation is new. What it says of itself is asked for only if the history is cut into windows.
    pub(crate) fn admits(
        &mut self,
        conversation: &[u8],
        facts_of: impl FnOnce(&[u8]) -> ConversationFacts,
        progress: &ArchiveInProgress,
    ) -> bool {
        let Some(from) = self.window.filter(|_| progress.window_days.is_some()) else {
            return true;
        };

        let facts = facts_of(conversation);
        let id = facts.id.as_deref();
        let mut digest = hex::encode(Sha256::digest(id.map_or(conversation, str::as_bytes)));
        digest.truncate(24);

        let is_new = !self.before.contains(&digest);
        if facts.end.is_none_or(|end| end >= end_of(from, progress)) {
            self.after.push(digest);
        }
        is_new
    }

    /// Moves to the cursor that follows a page. At a new window, what was seen two windows ago is forgotten.
    pub(crate) fn follow(&mut self, cursor: &Cursor) {
        let window = window_of(cursor);
        if window != self.window {
            self.before = self.after.drain(..).collect();
            self.window = window;
        }
    }

    pub(crate) fn crossing(&self) -> Crossing {
        let mut before: Vec<String> = self.before.iter().cloned().collect();
        before.sort_unstable();
        Crossing {
            before,
            after: self.after.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn progress(from: i64, to: i64, days: u32) -> ArchiveInProgress {
        ArchiveInProgress {
            date_from: Timestamp::from_second(from).unwrap(),
            date_to: Timestamp::from_second(to).unwrap(),
            window_days: Some(days),
            upload: None,
        }
    }

    /// Of conversations that end at noon of the third or the first day, and of one that says nothing.
    fn facts(conversation: &[u8]) -> ConversationFacts {
        let end = match conversation {
            b"long" => 60,
            b"short" => 12,
            _ => return ConversationFacts::default(),
        };
        ConversationFacts {
            id: std::str::from_utf8(conversation).ok().map(str::to_owned),
            start: None,
            end: Timestamp::from_second(end * 3600).ok(),
        }
    }

    fn windows(progress: &ArchiveInProgress) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        let mut from = progress.date_from;
        loop {
            all.push((from.as_second(), end_of(from, progress).as_second()));
            match after_window(from, progress) {
                Cursor::Window { from: next } => from = next,
                Cursor::Page { .. } | Cursor::End => return all,
            }
        }
    }

    proptest! {
        #[test]
        fn windows_cover_the_history_without_gap_or_overlap_and_begin_at_midnight(
            from in 0_i64..2_000_000_000, length in 1_i64..40_000_000, days in 1_u32..40,
        ) {
            let all = windows(&progress(from, from + length, days));
            prop_assert_eq!(all[0].0, from);
            prop_assert_eq!(all.last().unwrap().1, from + length);
            for pair in all.windows(2) {
                prop_assert_eq!(pair[0].1, pair[1].0);
                prop_assert_eq!(pair[1].0 % DAY_SECONDS, 0);
            }
            for (begin, end) in all {
                prop_assert!(begin < end && end - begin <= i64::from(days) * DAY_SECONDS);
            }
        }
    }

    #[test]
    fn a_conversation_that_two_or_three_windows_return_is_admitted_once() {
        let progress = progress(0, 10 * DAY_SECONDS, 1);
        let begin = Cursor::Window {
            from: progress.date_from,
        };
        let mut deduplicator = WindowDeduplicator::new(&Crossing::default(), &begin);
        let [long, short, nameless] = [&b"long"[..], b"short", b"{}"];
        for conversation in [long, short, nameless] {
            assert!(deduplicator.admits(conversation, facts, &progress));
        }
        let second = after_window(progress.date_from, &progress);
        deduplicator.follow(&second);
        // A crash here: only the digests are kept.
        let mut deduplicator = WindowDeduplicator::new(&deduplicator.crossing(), &second);
        assert!(!deduplicator.admits(long, facts, &progress));
        assert!(!deduplicator.admits(nameless, facts, &progress));
        let third = after_window(window_of(&second).unwrap(), &progress);
        deduplicator.follow(&third);
        assert!(!deduplicator.admits(long, facts, &progress));
        deduplicator.follow(&after_window(window_of(&third).unwrap(), &progress));
        assert_eq!(deduplicator.crossing(), Crossing::default());
    }

    #[test]
    fn without_windows_every_conversation_is_admitted() {
        let progress = ArchiveInProgress {
            window_days: None,
            ..progress(0, 100, 1)
        };
        let begin = Cursor::Window {
            from: progress.date_from,
        };
        let mut deduplicator = WindowDeduplicator::new(&Crossing::default(), &begin);
        assert!((0..2).all(|_| deduplicator.admits(b"{}", facts, &progress)));
        assert_eq!(after_window(progress.date_from, &progress), Cursor::End);
    }
}

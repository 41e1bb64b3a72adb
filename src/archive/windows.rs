use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::machine::{ArchiveInProgress, Crossing, Cursor};

const DAY_SECONDS: i64 = 86_400;

/// Where the window that begins at `from` ends, exclusive: at midnight UTC, `window_days` after the day it
/// begins on, so that no window is longer than that; or at the end of the history.
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

/// The window that a cursor stands in.
pub(crate) const fn window_of(cursor: &Cursor) -> Option<Timestamp> {
    match cursor {
        Cursor::Window { from } | Cursor::Page { from, .. } => Some(*from),
        Cursor::End => None,
    }
}

/// Lets every conversation through once. APIs differ in which window they give a conversation that
/// reaches over the bounds: the earlier, the later, or both. Only those that reach over a bound are
/// remembered, so that memory does not grow with the archive; where a conversation does not tell
/// its end, it may.
pub(crate) struct WindowDeduplicator {
    before: HashSet<String>,
    after: Vec<String>,
    window: Option<Timestamp>,
}

/// What of a conversation is looked at, and only where windows are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, alias = "id", default)]
    conversation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    conversation_end: Option<Cow<'a, str>>,
}

impl WindowDeduplicator {
    pub(crate) fn new(crossing: &Crossing, cursor: &Cursor) -> Self {
        Self {
            before: crossing.before.iter().cloned().collect(),
            after: crossing.after.clone(),
            window: window_of(cursor),
        }
    }

    /// Whether the conversation is new.
    pub(crate) fn admits(&mut self, conversation: &[u8], progress: &ArchiveInProgress) -> bool {
        let Some(from) = self.window.filter(|_| progress.window_days.is_some()) else {
            return true;
        };
        let wire = serde_json::from_slice::<Wire<'_>>(conversation).ok();
        let id = wire
            .as_ref()
            .and_then(|wire| wire.conversation_id.as_deref());
        let mut digest = hex::encode(Sha256::digest(id.map_or(conversation, str::as_bytes)));
        digest.truncate(24);
        let end = wire
            .as_ref()
            .and_then(|wire| wire.conversation_end.as_deref()?.parse::<Timestamp>().ok());
        let new = !self.before.contains(&digest);
        if end.is_none_or(|end| end >= end_of(from, progress)) {
            self.after.push(digest);
        }
        new
    }

    /// Goes on to what follows a page; a new window turns the page of the book.
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

    fn windows(progress: &ArchiveInProgress) -> Vec<(i64, i64)> {
        let (mut all, mut from) = (Vec::new(), progress.date_from);
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
    fn a_conversation_that_two_or_three_windows_give_is_let_through_once() {
        let progress = progress(0, 10 * DAY_SECONDS, 1);
        let begin = Cursor::Window {
            from: progress.date_from,
        };
        let mut door = WindowDeduplicator::new(&Crossing::default(), &begin);
        let long = br#"{"conversationId":"long","conversationEnd":"1970-01-03T12:00:00Z"}"#;
        let short = br#"{"conversationId":"short","conversationEnd":"1970-01-01T12:00:00Z"}"#;
        let nameless = br#"{"x":[1]}"#;
        for conversation in [&long[..], short, nameless] {
            assert!(door.admits(conversation, &progress));
        }
        let second = after_window(progress.date_from, &progress);
        door.follow(&second);
        // A crash here: the digests are all that is kept.
        let mut door = WindowDeduplicator::new(&door.crossing(), &second);
        assert!(!door.admits(long, &progress));
        assert!(!door.admits(nameless, &progress));
        let third = after_window(window_of(&second).unwrap(), &progress);
        door.follow(&third);
        assert!(!door.admits(long, &progress));
        door.follow(&after_window(window_of(&third).unwrap(), &progress));
        assert_eq!(door.crossing(), Crossing::default());
    }

    #[test]
    fn without_windows_nothing_is_looked_at() {
        let progress = ArchiveInProgress {
            window_days: None,
            ..progress(0, 100, 1)
        };
        let begin = Cursor::Window {
            from: progress.date_from,
        };
        let mut door = WindowDeduplicator::new(&Crossing::default(), &begin);
        assert!(door.admits(b"{}", &progress) && door.admits(b"{}", &progress));
        assert_eq!(after_window(progress.date_from, &progress), Cursor::End);
    }
}

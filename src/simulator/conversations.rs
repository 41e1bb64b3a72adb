//! Conversations, generated from their number.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The conversations of one user: generated, so that they cost no memory and are the same every time.
pub(super) struct Conversations<'a> {
    pub(super) user_id: &'a str,
    pub(super) count: u64,
    pub(super) bytes: usize,
    /// They began in the year before this, evenly spaced, oldest first.
    pub(super) epoch: Timestamp,
    pub(super) length: Duration,
}

const YEAR_SECONDS: i64 = 364 * 86_400;

/// Pads a conversation: escapes, digits and characters that a careless client changes.
const FILLER: &str = r#"{"text":"caf\u00e9 \"quoted\" \/ Zürich 你好","score":1.10,"ratio":2.50E-3,"serial":9007199254740993},"#;

/// Pads what begins at `begin` to about this size, with elements of an array; the last has to follow.
pub(super) fn fill(out: &mut Vec<u8>, begin: usize, bytes: usize) {
    while out.len() - begin + FILLER.len() < bytes {
        out.extend_from_slice(FILLER.as_bytes());
    }
}

/// The first of that many, in the order of their starts, that begins at `limit` or later.
pub(super) fn first_from(count: u64, limit: Timestamp, start_of: impl Fn(u64) -> Timestamp) -> u64 {
    let mut low = 0;
    let mut high = count;
    while low < high {
        let middle = low + (high - low) / 2;
        if start_of(middle) < limit {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Conversations<'_> {
    fn start_of(&self, index: u64) -> Timestamp {
        let step = YEAR_SECONDS / i64::try_from(self.count + 1).unwrap_or(i64::MAX).max(1);
        let before = i64::try_from(self.count - index)
            .unwrap_or(0)
            .saturating_mul(step.max(1));
        let whole = Timestamp::from_second(self.epoch.as_second()).unwrap_or(self.epoch);
        whole - SignedDuration::from_secs(before)
    }

    /// The numbers of those that began in `[from, to)`.
    pub(super) fn within(&self, from: Timestamp, to: Timestamp) -> std::ops::Range<u64> {
        let first_from = |limit| first_from(self.count, limit, |index| self.start_of(index));
        let begin = first_from(from);
        begin..first_from(to).max(begin)
    }

    pub(super) fn write(&self, index: u64, out: &mut Vec<u8>) {
        let begin = out.len();
        let start = self.start_of(index);
        let end = start.checked_add(self.length).unwrap_or(start);
        let head = format!(
            r#"{{"conversationId":"c-{}-{index}","conversationStart":"{start}", "conversationEnd":"{end}","participants":[{{"participantId":"{}"}}],"segments":["#,
            self.user_id, self.user_id
        );
        out.extend_from_slice(head.as_bytes());
        fill(out, begin, self.bytes);
        out.extend_from_slice(br#"{"end":true}]}"#);
    }

    /// Writes a JSON array of them.
    pub(super) fn write_array(&self, numbers: std::ops::Range<u64>, out: &mut Vec<u8>) {
        out.push(b'[');
        for index in numbers.clone() {
            if index != numbers.start {
                out.push(b',');
            }
            self.write(index, out);
        }
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_order_have_the_requested_size_and_are_found_by_time() {
        let epoch: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let all = Conversations {
            user_id: "u",
            count: 1000,
            bytes: 900,
            epoch,
            length: Duration::from_mins(4),
        };
        let mut out = Vec::new();
        all.write_array(0..3, &mut out);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 3);
        assert!((2000..3000).contains(&out.len()), "{}", out.len());
        assert_eq!(
            all.within(epoch - SignedDuration::from_hours(24 * 365), epoch),
            0..1000
        );
        assert_eq!(all.within(all.start_of(10), all.start_of(20)), 10..20);
        assert_eq!(all.within(epoch, epoch), 1000..1000);
    }
}

//! Limits how often somebody may try to sign in.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The number of wrong tries that an address or a name has in [`WITHIN`].
const TRIES: u32 = 10;
const WITHIN: Duration = Duration::from_mins(1);
/// How many addresses and names are remembered; further ones share an entry.
const REMEMBERED: usize = 4096;
const OTHERS: &str = "";

/// Wrong tries by who made them.
#[derive(Default)]
pub(super) struct Tries(Mutex<HashMap<String, (Instant, u32)>>);

impl Tries {
    /// How long this one has to wait before the next try; `None` if it need not.
    pub(super) fn wait(&self, who: &str, now: Instant) -> Option<Duration> {
        let tries = self.0.lock();
        let known = tries.get(who).or_else(|| tries.get(OTHERS))?;
        let left = (known.0 + WITHIN).saturating_duration_since(now);
        (known.1 >= TRIES && !left.is_zero()).then_some(left)
    }

    pub(super) fn wrong(&self, who: &str, now: Instant) {
        let mut tries = self.0.lock();
        let mut who = who;
        if tries.len() >= REMEMBERED && !tries.contains_key(who) {
            tries.retain(|_who, (since, _count)| *since + WITHIN > now);
            if tries.len() >= REMEMBERED {
                who = OTHERS;
            }
        }
        let entry = tries.entry(who.to_owned()).or_insert((now, 0));
        if entry.0 + WITHIN <= now {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_tries_a_minute_are_all_and_others_are_not_held_up() {
        let tries = Tries::default();
        let now = Instant::now();
        for _try in 0..TRIES {
            assert_eq!(tries.wait("ada", now), None);
            tries.wrong("ada", now);
        }
        let later = now + Duration::from_secs(12);
        assert_eq!(tries.wait("ada", later), Some(Duration::from_secs(48)));
        assert_eq!(tries.wait("bob", later), None);
        assert_eq!(tries.wait("ada", now + WITHIN), None);
        tries.wrong("ada", now + WITHIN);
        assert_eq!(tries.wait("ada", now + WITHIN), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let tries = Tries::default();
        let now = Instant::now();
        for number in 0..REMEMBERED * 2 {
            tries.wrong(&number.to_string(), now);
        }
        assert!(tries.0.lock().len() <= REMEMBERED + 1);
        assert!(tries.wait("one more", now).is_some());
        tries.wrong("one more", now + WITHIN);
        assert_eq!(tries.0.lock().len(), 1);
    }
}

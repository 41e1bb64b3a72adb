//! What waits to come into the log. An announcement is an empty object whose name says it all, so that a listing reads it:
//! `_log_inbox_{ID}.{SHA-256}.{code}.{key}`. The ID is a UUID of version 7, so that names sort by time.
//!
//! Several announcements that are made at once are one object, a [group](super::group): its name has the digest of its body and their
//! number, `group.{number}`, in place of a key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::failure::Failure;
use crate::integrity::{Integrity, Purpose};
use crate::ports::{ArchiveStore, ObjectKey};

const PREFIX: &str = "_log_inbox_";
/// Of the integrity code, in hex: 128 bits. The name of a file has at most 255 bytes.
const CODE_CHARS: usize = 32;
/// In place of a code where there is no key.
const NO_CODE: &str = "-";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Announcement {
    /// Comes first: announcements sort by it.
    pub id: Uuid,
    pub sha256: [u8; 32],
    pub key: String,
}

impl Announcement {
    pub(super) fn new(key: &ObjectKey, body: &[u8], at: Timestamp) -> Self {
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
        let at = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
        Self {
            id: Uuid::new_v7(at),
            sha256: Sha256::digest(body).into(),
            key: key.as_str().to_owned(),
        }
    }

    /// ID and digest, as they are in its name.
    pub(super) fn text(&self) -> String {
        let sha256 = URL_SAFE_NO_PAD.encode(self.sha256);
        format!("{}.{sha256}", self.id.simple())
    }

    /// Reads `{ID}.{SHA-256}` and a key.
    pub(super) fn of_text(id: &str, sha256: &str, key: &str) -> Option<Self> {
        Some(Self {
            id: Uuid::try_parse(id).ok()?,
            sha256: URL_SAFE_NO_PAD.decode(sha256).ok()?.try_into().ok()?,
            key: key.to_owned(),
        })
    }

    fn code(&self, integrity: &Integrity) -> String {
        let code = integrity.code(Purpose::Announcement, &self.key, self.text().as_bytes());
        let short = code.as_deref().and_then(|code| code.get(..CODE_CHARS));
        short.unwrap_or(NO_CODE).to_owned()
    }

    /// The name of its object.
    pub(super) fn object_key(&self, integrity: &Integrity) -> ObjectKey {
        let code = self.code(integrity);
        ObjectKey(format!("{PREFIX}{}.{code}.{}", self.text(), self.key))
    }

    /// `None` if it is not one of ours: who may write to the bucket adds no announcement.
    fn parse(name: &ObjectKey, integrity: &Integrity) -> Option<Self> {
        let mut parts = name.as_str().strip_prefix(PREFIX)?.splitn(4, '.');
        let mut next = || parts.next();
        let id = next()?;
        let sha256 = next()?;
        let code = next()?;
        let announcement = Self::of_text(id, sha256, next()?)?;
        let ours = announcement.code(integrity);
        let known = !integrity.has_key() || bool::from(ours.as_bytes().ct_eq(code.as_bytes()));
        let one_name = name
            .as_str()
            .starts_with(&format!("{PREFIX}{}.", announcement.text()));
        (known && one_name).then_some(announcement)
    }

    pub(super) fn at(&self) -> Timestamp {
        time_of(self.id)
    }
}

/// The time in an ID, to the millisecond.
pub(super) fn time_of(id: Uuid) -> Timestamp {
    let milliseconds = i64::try_from(id.as_u128() >> 80).unwrap_or_default();
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The announcements and groups that were made from `from` to `to`, in order, and those of other times nearby.
pub(super) async fn list(
    store: &dyn ArchiveStore,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeSet<Announcement>, Failure> {
    let mut announcements = BTreeSet::new();
    for prefix in prefixes(from, to) {
        let keys = store.keys(&format!("{PREFIX}{prefix}")).await?;
        let ours = keys
            .iter()
            .filter_map(|key| Announcement::parse(key, store.integrity()));
        announcements.extend(ours);
    }
    Ok(announcements)
}

/// The time in an ID has twelve digits in hex. With seven of them a prefix is 17.5 minutes long, with one fewer sixteen
/// times that.
const DIGITS: u32 = 12;
const MOST_DIGITS: u32 = 7;

/// The fewest prefixes of IDs that cover a time.
fn prefixes(from: Timestamp, to: Timestamp) -> Vec<String> {
    let shift = 4 * (DIGITS - MOST_DIGITS);
    let slot = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or_default() >> shift;
    let end = slot(to) + 1;
    let mut next = slot(from.min(to));
    let mut found = Vec::new();
    while next < end {
        // As many digits fewer as the slots from here on fill.
        let fills = |fewer: &u32| {
            let slots = 1_u64 << (4 * fewer);
            next % slots == 0 && next + slots <= end
        };
        let fewer = (0..MOST_DIGITS).take_while(fills).last().unwrap_or(0);
        let width = usize::try_from(MOST_DIGITS - fewer).unwrap_or_default();
        found.push(format!("{:0width$x}", next >> (4 * fewer)));
        next += 1 << (4 * fewer);
    }
    found
}

/// An announcement may become visible that long after the time in its ID: an upload that was tried again, a clock that is wrong.
pub(super) const LATE: SignedDuration = SignedDuration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn integrity(key: &str) -> Integrity {
        Integrity::new(Some(&Secret::new(&key.repeat(32))))
    }

    fn at() -> Timestamp {
        "2026-11-29T22:15:00.123Z".parse().unwrap()
    }

    fn announcement(key: &str) -> Announcement {
        Announcement::new(&ObjectKey(key.to_owned()), b"body", at())
    }

    #[test]
    fn an_announcement_is_read_back_from_its_name_and_only_with_its_code() {
        let ours = integrity("k");
        let longest = format!("_plan_{}.moved.{}.json", "a".repeat(64), Uuid::nil());
        for key in ["_pause.1.json", &longest] {
            let announcement = announcement(key);
            let name = announcement.object_key(&ours);
            assert!(name.as_str().len() <= 255, "{name:?}");
            assert_eq!(
                Announcement::parse(&name, &ours),
                Some(announcement.clone())
            );
            assert_eq!(Announcement::parse(&name, &integrity("x")), None);
            assert_eq!(
                Announcement::parse(&name, &Integrity::default()),
                Some(announcement.clone())
            );
            for at in 0..name.as_str().len() {
                let mut changed = name.as_str().as_bytes().to_vec();
                changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
                let changed = ObjectKey(String::from_utf8(changed).unwrap());
                assert_eq!(Announcement::parse(&changed, &ours), None, "{changed:?}");
            }
        }
        let bare = announcement("_pause.1.json").object_key(&Integrity::default());
        assert_eq!(Announcement::parse(&bare, &ours), None);
    }

    #[test]
    fn every_time_is_covered_by_exactly_one_prefix_and_few_are_needed() {
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        for minutes in [0, 1, 16, 61, 1_440, 50_000, 3_000_000] {
            let to = start + SignedDuration::from_mins(minutes);
            let prefixes = prefixes(start, to);
            assert!(prefixes.len() <= 100, "{minutes}: {}", prefixes.len());
            for step in 0..=50 {
                let at = start + SignedDuration::from_secs(minutes * 60 * step / 50);
                let name = format!("{:012x}", at.as_millisecond());
                let covering = prefixes.iter().filter(|prefix| name.starts_with(*prefix));
                assert_eq!(covering.count(), 1, "{minutes} {step}");
            }
        }
    }

    #[test]
    fn the_time_is_that_of_the_id() {
        assert_eq!(announcement("_pause.1.json").at(), at());
    }
}

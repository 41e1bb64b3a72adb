//! The names of the objects, as the contract fixes them in "What is stored in S3".

use crate::job::UserId;
use crate::ports::ObjectKey;

fn key(user_id: UserId, kind: &str, revision: u32) -> ObjectKey {
    ObjectKey(match revision {
        0 | 1 => format!("{user_id}{kind}.json"),
        later => format!("{user_id}{kind}.r{later}.json"),
    })
}

/// The archive: `{userId}.json`, later `{userId}.r2.json`.
pub(crate) fn archive_key(user_id: UserId, revision: u32) -> ObjectKey {
    key(user_id, "", revision)
}

/// The sealed evidence: `{userId}_sealed.json`, later `{userId}_sealed.r2.json`.
pub(crate) fn sealed_key(user_id: UserId, revision: u32) -> ObjectKey {
    key(user_id, "_sealed", revision)
}

/// The manifest: `{userId}_audit.json`, later `{userId}_audit.r2.json`.
pub(crate) fn audit_key(user_id: UserId, revision: u32) -> ObjectKey {
    key(user_id, "_audit", revision)
}

/// The before-image: `{userId}_before.json`, later `{userId}_before.r2.json`.
pub(crate) fn before_key(user_id: UserId, revision: u32) -> ObjectKey {
    key(user_id, "_before", revision)
}

/// The decision: `{userId}_fate.json`, later `{userId}_fate.r2.json`.
pub(crate) fn fate_key(user_id: UserId, revision: u32) -> ObjectKey {
    key(user_id, "_fate", revision)
}

/// What a try of a reactivation did: `{userId}_reactivated.json`, the second try `{userId}_reactivated_2.json`, later
/// `{userId}_reactivated.r2.json`.
pub(crate) fn reactivated_key(user_id: UserId, revision: u32, number: u32) -> ObjectKey {
    match number {
        0 | 1 => key(user_id, REACTIVATED, revision),
        later => key(user_id, &format!("{REACTIVATED}_{later}"), revision),
    }
}

const REACTIVATED: &str = "_reactivated";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// See [`archive_key`].
    Archive,
    /// See [`sealed_key`].
    Sealed,
    /// See [`audit_key`].
    Audit,
    /// See [`before_key`].
    Before,
    /// See [`fate_key`].
    Fate,
    /// See [`reactivated_key`]; the number of the try.
    Reactivated(u32),
}

/// No user is off-boarded more often; another program wrote a higher number.
const LAST_REVISION: u32 = 9_999;

/// The kind and the revision of an object; `None` for a key that is not ours.
pub(crate) fn parse_key(user_id: UserId, key: &ObjectKey) -> Option<(Kind, u32)> {
    let rest = key
        .as_str()
        .strip_prefix(&user_id.to_string())?
        .strip_suffix(".json")?;
    let (kind, revision) = rest
        .split_once(".r")
        .map_or((rest, Some(1)), |(kind, number)| {
            (
                kind,
                number.parse().ok().filter(|revision| {
                    (2..=LAST_REVISION).contains(revision) && !number.starts_with(['0', '+'])
                }),
            )
        });
    let kind = match kind {
        "" => Kind::Archive,
        "_sealed" => Kind::Sealed,
        "_audit" => Kind::Audit,
        "_before" => Kind::Before,
        "_fate" => Kind::Fate,
        other => Kind::Reactivated(try_number(other.strip_prefix(REACTIVATED)?)?),
    };

    Some((kind, revision?))
}

fn try_number(rest: &str) -> Option<u32> {
    if rest.is_empty() {
        return Some(1);
    }
    let number = rest.strip_prefix('_')?;
    let parsed = number.parse().ok()?;
    ((2..=LAST_REVISION).contains(&parsed) && !number.starts_with(['0', '+'])).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_contract() {
        let id: UserId = "3F1F0D4E-9A51-4B4B-8F6C-1F9A4F9B7C11".parse().unwrap();
        let text = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        assert_eq!(archive_key(id, 1).as_str(), format!("{text}.json"));
        assert_eq!(archive_key(id, 2).as_str(), format!("{text}.r2.json"));
        assert_eq!(sealed_key(id, 1).as_str(), format!("{text}_sealed.json"));
        assert_eq!(sealed_key(id, 3).as_str(), format!("{text}_sealed.r3.json"));
        assert_eq!(audit_key(id, 1).as_str(), format!("{text}_audit.json"));
        assert_eq!(audit_key(id, 2).as_str(), format!("{text}_audit.r2.json"));
    }

    #[test]
    fn a_key_is_parsed_back_and_one_that_is_not_ours_is_refused() {
        let id: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        for revision in [1, 2, 17] {
            assert_eq!(
                parse_key(id, &archive_key(id, revision)),
                Some((Kind::Archive, revision))
            );
            assert_eq!(
                parse_key(id, &sealed_key(id, revision)),
                Some((Kind::Sealed, revision))
            );
            assert_eq!(
                parse_key(id, &audit_key(id, revision)),
                Some((Kind::Audit, revision))
            );
        }
        for (revision, number) in [(1, 1), (1, 2), (3, 1), (3, 17)] {
            assert_eq!(
                parse_key(id, &reactivated_key(id, revision, number)),
                Some((Kind::Reactivated(number), revision))
            );
            assert_eq!(
                parse_key(id, &before_key(id, revision)),
                Some((Kind::Before, revision))
            );
            assert_eq!(
                parse_key(id, &fate_key(id, revision)),
                Some((Kind::Fate, revision))
            );
        }
        for text in [
            "_reactivated_1.json",
            "_reactivated_02.json",
            "_reactivated2.json",
            "x.json",
            "_audit.r1.json",
            "_audit.r02.json",
            "_audit.rx.json",
            "_audit.txt",
            ".bak",
            "_audit.r10000.json",
            "_audit.r4294967295.json",
        ] {
            assert_eq!(
                parse_key(id, &ObjectKey(format!("{id}{text}"))),
                None,
                "{text}"
            );
        }
    }
}

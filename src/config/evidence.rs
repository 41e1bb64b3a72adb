//! `[evidence]`: the evidence log, and the key that signs it.

use url::Url;

use super::reader::Reader;
use super::table;
use crate::address::{is_loopback, kms_signing_key};
use crate::signed_note::{KeyName, SigningKeys, WitnessKey};

/// The log is on.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// Its name.
    pub origin: KeyName,
    /// Only who writes the log has them.
    pub keys: Option<LogKeys>,
    /// Who cosigns it, with the submission prefix of each.
    pub witnesses: Vec<(WitnessKey, Url)>,
}

/// Where the keys of the log are: a key in AWS KMS by its ID, ARN or alias.
#[derive(Debug, Clone)]
pub(crate) enum LogKeys {
    Local(SigningKeys),
    Kms(String),
    Both(SigningKeys, String),
}

impl LogKeys {
    fn of(local: Option<SigningKeys>, kms_key: Option<String>) -> Option<Self> {
        match (local, kms_key) {
            (Some(keys), Some(key)) => Some(Self::Both(keys, key)),
            (Some(keys), None) => Some(Self::Local(keys)),
            (None, Some(key)) => Some(Self::Kms(key)),
            (None, None) => None,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Evidence> {
    let origin = reader.get(&table::EVIDENCE_ORIGIN, str::parse::<KeyName>);
    let key = reader.get(&table::EVIDENCE_KEY, str::parse::<SigningKeys>);
    let witnesses = reader.get(&table::EVIDENCE_WITNESSES, witnesses);
    let kms_key = reader.get(&table::EVIDENCE_KMS_KEY, kms_signing_key);
    let given = [
        (table::EVIDENCE_KEY, key.is_some()),
        (table::EVIDENCE_KMS_KEY, kms_key.is_some()),
    ];
    for (setting, is_given) in given {
        if is_given && reader.is_unset(&table::EVIDENCE_ORIGIN) {
            reader.refuse(
                &setting,
                "is of no use without a log; set OFFBOARDER_EVIDENCE_ORIGIN to its name",
            );
        }
    }
    if let (Some(origin), Some(key)) = (&origin, &key)
        && key.name() != origin
    {
        reader.refuse(
            &table::EVIDENCE_KEY,
            "is the key of another log than OFFBOARDER_EVIDENCE_ORIGIN names",
        );
    }
    if kms_key.is_some()
        && key
            .as_ref()
            .is_some_and(|keys| keys.verifiers().count() > 1)
    {
        reader.refuse(
            &table::EVIDENCE_KMS_KEY,
            "is a third key: OFFBOARDER_EVIDENCE_KEY has two; replace one key after the other",
        );
    }
    origin.map(|origin| Evidence {
        origin,
        keys: LogKeys::of(key, kms_key),
        witnesses: witnesses.unwrap_or_default(),
    })
}

/// `KEY URL, KEY URL`.
fn witnesses(text: &str) -> Result<Vec<(WitnessKey, Url)>, String> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    pairs.map(witness).collect()
}

fn witness(pair: &str) -> Result<(WitnessKey, Url), String> {
    let parts = pair.split_once(char::is_whitespace);
    let parts = parts.ok_or("has a witness without a URL; give its key, a blank, and its URL")?;
    let url: Url = parts
        .1
        .trim()
        .parse()
        .map_err(|why| format!("has a URL that is none: {why}"))?;
    let host = url.host_str().unwrap_or_default();
    let is_near = is_loopback(host.trim_matches(['[', ']']));
    if url.scheme() != "https" && !(url.scheme() == "http" && is_near) {
        return Err("has a URL that is not https; http is for loopback only".to_owned());
    }
    Ok((parts.0.parse()?, url))
}

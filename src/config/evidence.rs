//! `[evidence]`: the evidence log, and the key that signs it.

use url::Url;

use super::reader::Reader;
use super::table;
use crate::address::is_loopback;
use crate::signed_note::{KeyName, SigningKeys, WitnessKey};

/// The log is on.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// Its name.
    pub origin: KeyName,
    /// Only who writes the log has them.
    pub keys: Option<SigningKeys>,
    /// Who cosigns it, with the submission prefix of each.
    pub witnesses: Vec<(WitnessKey, Url)>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Evidence> {
    let origin = reader.get(&table::EVIDENCE_ORIGIN, str::parse::<KeyName>);
    let key = reader.get(&table::EVIDENCE_KEY, str::parse::<SigningKeys>);
    let witnesses = reader.get(&table::EVIDENCE_WITNESSES, witnesses);
    let refused = match (&origin, &key) {
        (None, Some(_)) if reader.is_unset(&table::EVIDENCE_ORIGIN) => {
            Some("is of no use without a log; set OFFBOARDER_EVIDENCE_ORIGIN to its name")
        }
        (Some(origin), Some(key)) if key.name() != origin => {
            Some("is the key of another log than OFFBOARDER_EVIDENCE_ORIGIN names")
        }
        _ => None,
    };
    if let Some(problem) = refused {
        reader.refuse(&table::EVIDENCE_KEY, problem);
    }
    origin.map(|origin| Evidence {
        origin,
        keys: key,
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

//! What `verify` cannot find, which it says.

use super::log::LogArgs;

/// What a check had and did.
pub(super) struct Checks {
    /// What was checked is a download.
    pub(super) downloaded: bool,
    /// The digests in the checkpoints were compared.
    pub(super) compared: bool,
    /// The store does not list older versions.
    pub(super) older_unlisted: bool,
}

/// `everyone`: not only users who were named.
pub(super) fn cannot_find(checks: &Checks, everyone: bool, log: &LogArgs) -> Vec<&'static str> {
    let whole = "users of whom the store holds no object (any more) and whom no order of `submit` names; name users to report missing \
                 ones";
    let others =
        "changes of holds, pauses, the audit log and copies of dead letters: they are not checked";
    let cut = "an evidence log that was cut off at its end, or written again with its key: give a checkpoint that you kept or got from a \
               witness (--checkpoint)";
    let early = "what was changed or removed before the evidence log began";
    let older = "older versions of objects that were overwritten or deleted: this store does not list versions \
                 (ListObjectVersions), so that only what it returns now was checked";

    let older = checks.older_unlisted.then_some(older);
    let all = if log.is_given() {
        let cut = (!log.has_checkpoint()).then_some(cut);
        [older, cut, Some(early), None]
    } else {
        let whole = everyone.then_some(whole);
        [whole, Some(together(checks)), older, Some(others)]
    };
    all.into_iter().flatten().collect()
}

const fn together(checks: &Checks) -> &'static str {
    match (checks.downloaded, checks.compared) {
        (true, _) => {
            "a manifest, its seal and its archive that were rewritten or invented together"
        }
        (false, false) => {
            "a manifest, its seal and its archive that were rewritten or invented together, if the bucket keeps no \
             versions; no checkpoint was compared"
        }
        (false, true) => {
            "a manifest, its seal and its archive that were rewritten or invented together, of users of whom the bucket has no other version \
             and no checkpoint exists"
        }
    }
}

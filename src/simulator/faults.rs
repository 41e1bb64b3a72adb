//! Faults on request: what goes wrong, and with which calls.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Fault {
    Latency {
        ms: u64,
    },
    Status {
        status: u16,
        /// `code` of the body.
        code: Option<String>,
        /// Headers to add, e.g. `Retry-After`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The whole body, instead of one with a code.
        body: Option<String>,
        content_type: Option<String>,
    },
    /// Applies the call, and closes the connection without an answer.
    LostReply,
    /// Closes the connection before anything is applied.
    LostRequest,
    /// The object changes immediately before the write: 412, or `status`.
    Conflict {
        /// E.g. 409, or 400 with `scimType` `invalidVers`.
        status: Option<u16>,
    },
    Redirect {
        location: String,
    },
    /// The link to the next page is this one.
    NextPage {
        uri: String,
    },
    /// The link to the next page leads to this page again.
    SamePage,
    /// No conversations, and a link to a next page.
    EmptyPage,
    /// From this call on, that many rows more (or, below zero, fewer) are in the window that is asked for.
    Drift {
        by: i64,
    },
    /// The body ends in the middle.
    Truncate,
    Html,
    /// The body arrives byte by byte.
    Drip {
        bytes_per_second: u64,
    },
    Endless,
    /// A small compressed body that unpacks into a large one.
    GzipBomb,
    /// The token is refused from now on.
    RevokeToken,
}

impl Fault {
    /// The word in the ledger.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Status { .. } => "status",
            Self::LostReply => "lost_reply",
            Self::LostRequest => "lost_request",
            Self::Conflict { .. } => "conflict",
            Self::Redirect { .. } => "redirect",
            Self::NextPage { .. } => "next_page",
            Self::SamePage => "same_page",
            Self::EmptyPage => "empty_page",
            Self::Drift { .. } => "drift",
            Self::Truncate => "truncate",
            Self::Html => "html",
            Self::Drip { .. } => "drip",
            Self::Endless => "endless",
            Self::GzipBomb => "gzip_bomb",
            Self::RevokeToken => "revoke_token",
        }
    }
}

/// Which calls a fault strikes. Rules are tried in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    /// E.g. `delete_user`, or `*`.
    pub operation: String,
    #[serde(default)]
    pub user: Option<String>,
    /// Spares this many calls first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes this many times; without it, always.
    #[serde(default)]
    pub times: Option<u64>,
    pub fault: Fault,
}

#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub(super) fn add(&self, rule: Rule) {
        self.rules.lock().push(rule);
    }

    pub(super) fn clear(&self) {
        self.rules.lock().clear();
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.rules.lock().clone()
    }

    /// The fault for this call, counted as used.
    pub(super) fn strike(&self, operation: &str, user_id: Option<&str>) -> Option<Fault> {
        let mut rules = self.rules.lock();
        for rule in rules.iter_mut() {
            let meant = (rule.operation == "*" || rule.operation == operation)
                && rule
                    .user
                    .as_deref()
                    .is_none_or(|user| Some(user) == user_id)
                && rule.times != Some(0);
            if !meant {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            return Some(rule.fault.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_strikes_and_is_used_up() {
        let faults = Faults::default();
        let rule = r#"{"operation":"delete_user","user":"u","skip":1,"times":1,"fault":{"kind":"lost_reply"}}"#;
        faults.add(serde_json::from_str(rule).unwrap());
        assert_eq!(faults.strike("delete_user", Some("other")), None);
        assert_eq!(faults.strike("get_user", Some("u")), None);
        assert_eq!(faults.strike("delete_user", Some("u")), None);
        assert_eq!(
            faults.strike("delete_user", Some("u")),
            Some(Fault::LostReply)
        );
        assert_eq!(faults.strike("delete_user", Some("u")), None);
    }
}

//! Users to invent.

use serde::{Deserialize, Serialize};

/// How a DELETE of a user is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeletionAnswer {
    /// 204, 202, or a refusal.
    #[serde(default = "no_content")]
    pub status: u16,
    /// The error code of a refusal.
    #[serde(default)]
    pub code: Option<String>,
}

const fn no_content() -> u16 {
    204
}

/// A user to invent. What an API does not have is ignored there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of a JSON object by itself"
)]
pub(crate) struct Record {
    pub id: String,
    /// Number of conversations; the flag is the default.
    #[serde(default)]
    pub conversations: Option<u64>,
    /// Approximate size of each in bytes; the flag is the default.
    #[serde(default)]
    pub conversation_bytes: Option<usize>,
    /// Number of queues that the user is in; the flag is the default.
    #[serde(default)]
    pub queues: Option<usize>,
    /// The user owns and supervises none of them.
    #[serde(default)]
    pub owns_no_queue: bool,
    /// How a DELETE is answered; 204 is the default.
    #[serde(default)]
    pub deletion: Option<DeletionAnswer>,
    /// Membership returns by itself, as if it derived from a group.
    #[serde(default)]
    pub derived_membership: bool,
    /// This many reads after a deactivation still show the user as active.
    #[serde(default)]
    pub lagging_reads: u32,
    /// `active` is written as a string.
    #[serde(default)]
    pub active_as_string: bool,
    /// `active` is shown only while it is true.
    #[serde(default)]
    pub active_only_while_true: bool,

    /// cxone: `false` for an employee who is no agent; the default is `true`.
    #[serde(default)]
    pub agent: Option<bool>,
    /// Number of skills. At cxone, where a skill is what routes, `queues` is the default.
    #[serde(default)]
    pub skills: Option<usize>,
    /// Number of groups; the default is one.
    #[serde(default)]
    pub groups: Option<usize>,
    /// genesys: number of the queues that the user is in only by membership of a group.
    #[serde(default)]
    pub group_queues: usize,
    /// genesys: number of further queues, in a division that the client does not see.
    #[serde(default)]
    pub unseen_queues: usize,
    /// Number of live sessions; the default is one.
    #[serde(default)]
    pub sessions: Option<u32>,
    /// cxone: number of active access keys; the default is one.
    #[serde(default)]
    pub access_keys: Option<usize>,
    /// An identity provider manages the user, so that a deactivation is refused.
    #[serde(default)]
    pub external_identity: bool,
    /// cxone: `hiddenAgents` of the lists about the user: rows that the role may not see.
    #[serde(default)]
    pub hidden_agents: u64,
    /// cxone: the user leads a team.
    #[serde(default)]
    pub lead: bool,
    /// Somebody else has deactivated the user already.
    #[serde(default)]
    pub inactive: bool,
    /// genesys: the newest conversation has not ended.
    #[serde(default)]
    pub open_conversation: bool,
}

//! Roles, and what each of them permits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person may be permitted to do. The words are public and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permission {
    Look,
    LookBodies,
    Pause,
    Replay,
    Discard,
    Hold,
    LiftHold,
    Submit,
    Approve,
    People,
}

impl Permission {
    pub(crate) const ALL: [Self; 10] = [
        Self::Look,
        Self::LookBodies,
        Self::Pause,
        Self::Replay,
        Self::Discard,
        Self::Hold,
        Self::LiftHold,
        Self::Submit,
        Self::Approve,
        Self::People,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::LookBodies => "look_bodies",
            Self::Pause => "pause",
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Hold => "hold",
            Self::LiftHold => "lift_hold",
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::People => "people",
        }
    }

    /// What it permits, after "You may not".
    pub(crate) const fn act(self) -> &'static str {
        match self {
            Self::Look => "read this deployment",
            Self::LookBodies => "read bodies of messages",
            Self::Pause => "pause or resume work",
            Self::Replay => "replay or handle dead letters, or change operations",
            Self::Discard => "discard dead letters",
            Self::Hold => "put users on hold",
            Self::LiftHold => "lift holds",
            Self::Submit => "submit, run or cancel users",
            Self::Approve => "approve plans",
            Self::People => "add or remove people",
        }
    }
}

/// A set of permissions with a name. The words are public and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Reader,
    Auditor,
    Operator,
    Approver,
    Admin,
}

impl Role {
    pub(crate) const ALL: [Self; 5] = [
        Self::Reader,
        Self::Auditor,
        Self::Operator,
        Self::Approver,
        Self::Admin,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Only an admin discards, which loses evidence, and lifts holds, which permits a deletion.
    pub(crate) const fn permissions(self) -> &'static [Permission] {
        use Permission::{Approve, Hold, Look, LookBodies, Pause, Replay, Submit};
        match self {
            Self::Reader => &[Look],
            Self::Auditor => &[Look, LookBodies],
            Self::Operator => &[Look, Pause, Replay, Hold, Submit],
            Self::Approver => &[Look, LookBodies, Approve],
            Self::Admin => &Permission::ALL,
        }
    }

    pub(crate) fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// Why this role may not do it.
    pub(crate) fn refusal(self, permission: Permission) -> String {
        format!(
            "You may not {}: that needs the permission {}; your role is {self}",
            permission.act(),
            permission.as_str()
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| "is none of reader, auditor, operator, approver and admin".to_owned())
    }
}

//! The documents of the API: what is read from them. What cannot be understood is an error, and never passes for "no
//! queues", "inactive" or "deleted".

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::adapters::http::{Document, is_the_apis};
use crate::job::UserId;
use crate::ports::Account;

/// A user as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) state: UserState,
    pub(super) version: u64,
    log_in: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserState {
    Active,
    Inactive,
    Deleted,
}

impl User {
    pub(super) fn account(&self) -> Account {
        Account {
            active: Some(self.state == UserState::Active),
            user_name: self.log_in.clone(),
        }
    }
}

pub(super) fn parse_user(user_id: UserId, body: &[u8]) -> Result<User, String> {
    let document = Document::parse(body)?;
    let id: String = document.get("id").ok_or("it has no id")?;
    if id.parse() != Ok(user_id) {
        return Err("it has the id of another user".to_owned());
    }

    let state = match document.get::<String>("state").as_deref() {
        Some("active") => UserState::Active,
        Some("inactive") => UserState::Inactive,
        Some("deleted") => UserState::Deleted,
        Some(_) | None => {
            return Err("state is not active, inactive or deleted".to_owned());
        }
    };
    let version = document
        .get("version")
        .ok_or("version is not a whole number")?;
    // The log-in name; where it is hidden, that is the address.
    let log_in = ["username", "email"]
        .into_iter()
        .filter_map(|member| document.get::<String>(member))
        .find(|name| !name.trim().is_empty());

    Ok(User {
        state,
        version,
        log_in,
    })
}

/// A queue that the user is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) id: Uuid,
    /// The groups whose members are members of the queue; the user may be in any of them.
    pub(super) groups: Vec<Group>,
}

/// A group that makes its members members of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) id: Uuid,
    pub(super) kind: GroupKind,
    name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupKind {
    Group,
    Team,
    /// It has its members by another way than a list, e.g. by their skills.
    Other(String),
}

impl Group {
    /// For people.
    pub(super) fn shown(&self) -> String {
        let kind = match &self.kind {
            GroupKind::Group => "group",
            GroupKind::Team => "team",
            GroupKind::Other(kind) => kind,
        };
        match &self.name {
            Some(name) => format!("the {kind} {name} ({})", self.id),
            None => format!("the {kind} {}", self.id),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct QueueWire {
    id: Uuid,
    #[serde(rename = "memberGroups", default)]
    member_groups: Option<Vec<GroupWire>>,
}

#[derive(Deserialize)]
struct GroupWire {
    id: Uuid,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

impl QueueWire {
    pub(super) fn id(&self) -> Uuid {
        self.id
    }
}

impl From<QueueWire> for Queue {
    fn from(wire: QueueWire) -> Self {
        let groups = wire.member_groups.unwrap_or_default().into_iter();
        Self {
            id: wire.id,
            groups: groups.map(Group::from).collect(),
        }
    }
}

impl From<GroupWire> for Group {
    fn from(wire: GroupWire) -> Self {
        let kind = match wire.kind.as_deref() {
            Some("GROUP") => GroupKind::Group,
            Some("TEAM") => GroupKind::Team,
            Some(other) => GroupKind::Other(plain(other)),
            None => GroupKind::Other("group of an unnamed type".to_owned()),
        };
        Self {
            id: wire.id,
            kind,
            name: wire.name.map(|name| plain(&name)),
        }
    }
}

/// Text of an answer that is shown to people: short, and on one line.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|one| !one.is_control())
        .take(80)
        .collect()
}

#[derive(Deserialize)]
pub(super) struct Skill {
    pub(super) id: Uuid,
    #[serde(default)]
    pub(super) proficiency: Option<serde_json::Number>,
}

/// The groups and the team that a user is in. What is expanded is best effort, so that one that is missing is unknown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Memberships {
    pub(super) groups: Option<Vec<Uuid>>,
    pub(super) team: Option<Uuid>,
}

#[derive(Deserialize)]
struct Referred {
    id: Uuid,
}

pub(super) fn parse_memberships(user_id: UserId, body: &[u8]) -> Result<Memberships, String> {
    parse_user(user_id, body)?;
    let document = Document::parse(body)?;
    let groups = match document.raw("groups") {
        None => None,
        Some(_) => Some(document.list::<Referred>("groups")?),
    };
    Ok(Memberships {
        groups: groups.map(|groups| groups.into_iter().map(|group| group.id).collect()),
        team: document.get::<Referred>("team").map(|team| team.id),
    })
}

/// The version of a group, which a change of its members names.
pub(super) fn parse_group_version(body: &[u8]) -> Result<u64, String> {
    let document = Document::parse(body)?;
    let version = document.get("version");
    version.ok_or_else(|| "version is not a whole number".to_owned())
}

/// Whether an error of the API says that the object has another version than the one that was sent, or that the service
/// itself met one.
pub(super) fn is_version_conflict(body: &[u8]) -> bool {
    message(body).is_some_and(|message| message.contains("does not match the current version"))
}

/// The sentence of an error of the API.
pub(super) fn message(body: &[u8]) -> Option<String> {
    if !is_the_apis(body) {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("message")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn user(members: &str) -> Result<User, String> {
        let body = format!(r#"{{"id":"{ID}"{members}}}"#);
        parse_user(ID.parse().unwrap(), body.as_bytes())
    }

    #[test]
    fn an_account_is_active_only_in_the_state_active_and_another_word_is_unreadable() {
        let active = |state: &str| {
            user(&format!(r#","state":"{state}","version":7"#)).map(|user| user.account().active)
        };
        assert_eq!(active("active"), Ok(Some(true)));
        assert_eq!(active("inactive"), Ok(Some(false)));
        for state in ["", "Active", "suspended", "INACTIVE"] {
            assert!(active(state).is_err(), "{state}");
        }
        for members in [
            "",
            r#","state":"active""#,
            r#","version":7"#,
            r#","state":null,"version":7"#,
            r#","state":["active"],"version":7"#,
            r#","state":"active","version":"7""#,
            r#","state":"active","version":-1"#,
        ] {
            assert!(user(members).is_err(), "{members}");
        }
    }

    #[test]
    fn a_user_is_known_by_its_own_id_and_its_log_in_name() {
        let named = |members: &str| {
            let members = format!(r#","state":"active","version":1,{members}"#);
            user(&members).unwrap().account().user_name
        };
        let both = r#""username":"a@example.com","email":"b@example.com""#;
        assert_eq!(named(both).as_deref(), Some("a@example.com"));
        assert_eq!(
            named(r#""username":" ","email":"b@example.com""#).as_deref(),
            Some("b@example.com")
        );
        assert_eq!(named(r#""name":"A. Person""#), None);

        let other = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let body = format!(r#"{{"id":"{ID}","state":"active","version":1}}"#);
        assert!(parse_user(other, body.as_bytes()).is_err());
        for body in ["<html>", "[]", "{}", r#"{"state":"active","version":1}"#] {
            assert!(parse_user(other, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_group_is_left_only_if_its_type_is_one_that_is_known() {
        let queue = |groups: &str| {
            let wire: QueueWire =
                serde_json::from_str(&format!(r#"{{"id":"{ID}"{groups}}}"#)).unwrap();
            Queue::from(wire).groups
        };
        assert!(queue("").is_empty() && queue(r#","memberGroups":null"#).is_empty());

        let kinds = |kind: &str| {
            let groups = format!(r#","memberGroups":[{{"id":"{ID}","name":"N"{kind}}}]"#);
            queue(&groups).remove(0)
        };
        assert_eq!(kinds(r#","type":"GROUP""#).kind, GroupKind::Group);
        let team = kinds(r#","type":"TEAM""#);
        assert_eq!(team.kind, GroupKind::Team);
        assert_eq!(team.shown(), format!("the team N ({ID})"));
        for kind in ["", r#","type":"SKILLGROUP""#, r#","type":"Group""#] {
            assert!(matches!(kinds(kind).kind, GroupKind::Other(_)), "{kind}");
        }
        let wrong = format!(r#"{{"id":"{ID}","memberGroups":{{}}}}"#);
        assert!(serde_json::from_str::<QueueWire>(&wrong).is_err());
    }

    #[test]
    fn a_version_conflict_is_known_by_the_message_of_the_api() {
        let says = |body: &str| is_version_conflict(body.as_bytes());
        assert!(says(
            r#"{"code":"bad.request","message":"The version 3 does not match the current version 4"}"#
        ));
        assert!(!says(
            r#"{"code":"bad.request","message":"version is required"}"#
        ));
        assert!(!says(r#"{"message":"does not match the current version"}"#));
        assert!(!says("does not match the current version"));
    }
}

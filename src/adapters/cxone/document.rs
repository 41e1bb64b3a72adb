use std::fmt;

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::job::UserId;

/// An object that is read, changed in a member or two, and written back: every other member keeps
/// its exact text, digits and order included.
#[derive(Debug, Clone)]
struct Document(IndexMap<String, Box<RawValue>>);

impl Document {
    fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| format!("no JSON object, at column {}", error.column()))
    }

    /// A member, if it is there, not null, and of that shape.
    fn get<T: DeserializeOwned>(&self, member: &str) -> Option<T> {
        self.0.get(member).and_then(|raw| serde_json::from_str::<Option<T>>(raw.get()).ok().flatten())
    }

    fn set(&mut self, member: &str, json: String) {
        if let Ok(raw) = RawValue::from_string(json) {
            self.0.insert(member.to_owned(), raw);
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Raw values that were parsed once always serialize.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }
}

/// The ID of a queue; put into a URL as one percent-encoded segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueId(String);

impl QueueId {
    fn parse(text: String) -> Option<Self> {
        let plain = (1..=128).contains(&text.len())
            && text != "."
            && text != ".."
            && !text.contains(char::is_control);
        plain.then_some(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// From a checkpoint; what a profile may hold, and nothing else.
impl std::str::FromStr for QueueId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.to_owned()).ok_or("the ID cannot be used in a URL")
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A routing profile as it was read.
#[derive(Debug, Clone)]
pub struct RoutingProfile {
    document: Document,
    queues: Vec<QueueId>,
    pub(super) etag: Option<String>,
}

#[derive(serde::Deserialize)]
struct Reference {
    id: String,
}

impl RoutingProfile {
    pub(super) fn parse(body: &[u8], etag: Option<String>) -> Result<Self, String> {
        let document = Document::parse(body)?;
        // A list that cannot be understood must not pass for an empty one.
        let references: Vec<Reference> = match document.0.get("queues") {
            None => Vec::new(),
            Some(raw) => serde_json::from_str::<Option<Vec<Reference>>>(raw.get())
                .map_err(|_other_shape| "queues is no list of objects with an id".to_owned())?
                .unwrap_or_default(),
        };
        let queues: Option<Vec<QueueId>> =
            references.into_iter().map(|queue| QueueId::parse(queue.id)).collect();
        let queues = queues.ok_or_else(|| "a queue's id cannot be used in a URL".to_owned())?;
        Ok(Self { document, queues, etag })
    }

    /// The queues that the user is in.
    pub fn queues(&self) -> &[QueueId] {
        &self.queues
    }

    /// The same profile with no queue.
    pub(super) fn cleared(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        document.set("queues", "[]".to_owned());
        document.to_bytes()
    }
}

/// A queue as it was read.
#[derive(Debug, Clone)]
pub struct Queue {
    id: QueueId,
    document: Document,
    pub(super) etag: Option<String>,
}

impl Queue {
    pub(super) fn parse(id: &QueueId, body: &[u8], etag: Option<String>) -> Result<Self, String> {
        Ok(Self { id: id.clone(), document: Document::parse(body)?, etag })
    }

    pub(super) const fn id(&self) -> &QueueId {
        &self.id
    }

    fn is_owner(&self, user_id: UserId) -> bool {
        self.document.get::<String>("ownerId").is_some_and(|owner| is_same(&owner, user_id))
    }

    fn supervisors(&self) -> Vec<Box<RawValue>> {
        self.document.get("supervisorIds").unwrap_or_default()
    }

    /// Whether the user owns or supervises it.
    pub fn names(&self, user_id: UserId) -> bool {
        self.is_owner(user_id) || self.supervisors().iter().any(|raw| is_entry(raw, user_id))
    }

    /// The same queue without the user.
    pub(super) fn without(&self, user_id: UserId) -> Vec<u8> {
        let mut document = self.document.clone();
        if self.is_owner(user_id) {
            document.set("ownerId", "null".to_owned());
        }
        let supervisors = self.supervisors();
        if supervisors.iter().any(|raw| is_entry(raw, user_id)) {
            let others: Vec<&str> =
                supervisors.iter().filter(|raw| !is_entry(raw, user_id)).map(|raw| raw.get()).collect();
            document.set("supervisorIds", format!("[{}]", others.join(",")));
        }
        document.to_bytes()
    }
}

fn is_same(text: &str, user_id: UserId) -> bool {
    text.parse::<UserId>().is_ok_and(|parsed| parsed == user_id)
}

fn is_entry(raw: &RawValue, user_id: UserId) -> bool {
    serde_json::from_str::<String>(raw.get()).is_ok_and(|text| is_same(&text, user_id))
}

/// A SCIM user as it was read (RFC 7643).
#[derive(Debug, Clone)]
pub struct ScimUser {
    pub(super) user_id: UserId,
    document: Document,
    active: bool,
    pub(super) version: Option<String>,
}

impl ScimUser {
    pub(super) fn parse(user_id: UserId, body: &[u8], etag: Option<String>) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Meta {
            version: Option<String>,
        }
        let document = Document::parse(body)?;
        let spelled = document.get::<String>("active").and_then(|text| match text.as_str() {
            "true" | "True" => Some(true),
            "false" | "False" => Some(false),
            _ => None,
        });
        let active = document
            .get::<bool>("active")
            .or(spelled)
            .ok_or_else(|| "active is missing, or neither true nor false".to_owned())?;
        let version = etag.or_else(|| document.get::<Meta>("meta").and_then(|meta| meta.version));
        Ok(Self { user_id, document, active, version })
    }

    /// Whether the account is active.
    pub const fn active(&self) -> bool {
        self.active
    }

    /// The name that people know the user by (RFC 7643 section 4.1.1 requires one).
    pub fn user_name(&self) -> Option<String> {
        self.document.get::<String>("userName").filter(|name| !name.trim().is_empty())
    }

    /// The same user, inactive.
    pub(super) fn deactivated(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        document.set("active", "false".to_owned());
        document.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn members_that_we_do_not_know_keep_digits_and_order() {
        let body = r#"{"z":1.10,"active":true,"a":9007199254740993,"e":1E5,"n":{"x":[1.0]}}"#;
        let user = ScimUser::parse(ID.parse().unwrap(), body.as_bytes(), None).unwrap();
        let expected = r#"{"z":1.10,"active":false,"a":9007199254740993,"e":1E5,"n":{"x":[1.0]}}"#;
        assert_eq!(String::from_utf8(user.deactivated()).unwrap(), expected);
    }

    #[test]
    fn active_may_be_a_string_and_must_not_be_missing() {
        let parse = |body: &str| ScimUser::parse(ID.parse().unwrap(), body.as_bytes(), None);
        assert!(!parse(r#"{"active":"false"}"#).unwrap().active());
        assert!(parse(r#"{"active":"true"}"#).unwrap().active());
        assert!(parse("{}").is_err());
        assert!(parse(r#"{"active":null}"#).is_err());
    }

    #[test]
    fn the_version_is_the_etag_or_the_meta_version() {
        let body = br#"{"active":true,"meta":{"version":"W/\"3\""}}"#;
        let version = |etag: Option<&str>| {
            ScimUser::parse(ID.parse().unwrap(), body, etag.map(str::to_owned)).unwrap().version
        };
        assert_eq!(version(None).as_deref(), Some("W/\"3\""));
        assert_eq!(version(Some("\"4\"")).as_deref(), Some("\"4\""));
    }

    #[test]
    fn a_queue_loses_the_user_alone() {
        let other = "4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12";
        let body = format!(
            r#"{{"id":"q","ownerId":"{}","weight":1.50,"supervisorIds":["{other}","{ID}"]}}"#,
            ID.to_uppercase()
        );
        let user_id = ID.parse().unwrap();
        let id = QueueId::parse("q".to_owned()).unwrap();
        let queue = Queue::parse(&id, body.as_bytes(), None).unwrap();
        assert!(queue.names(user_id));
        assert!(queue.names(other.parse().unwrap()));
        let expected = format!(r#"{{"id":"q","ownerId":null,"weight":1.50,"supervisorIds":["{other}"]}}"#);
        assert_eq!(String::from_utf8(queue.without(user_id)).unwrap(), expected);
    }

    #[test]
    fn a_profile_may_have_no_queues_but_not_some_that_we_cannot_read() {
        for body in ["{}", r#"{"queues":null}"#, r#"{"queues":[]}"#] {
            assert!(RoutingProfile::parse(body.as_bytes(), None).unwrap().queues().is_empty(), "{body}");
        }
        for body in [r#"{"queues":"all"}"#, r#"{"queues":[{}]}"#, r#"{"queues":[{"id":".."}]}"#, "[]"] {
            assert!(RoutingProfile::parse(body.as_bytes(), None).is_err(), "{body}");
        }
    }
}

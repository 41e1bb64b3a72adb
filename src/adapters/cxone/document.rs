use std::fmt;

use indexmap::IndexMap;
use reqwest::header::HeaderValue;
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
        self.0
            .get(member)
            .and_then(|raw| serde_json::from_str::<Option<T>>(raw.get()).ok().flatten())
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
pub(crate) struct QueueId(String);

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
pub(crate) struct RoutingProfile {
    document: Document,
    queues: Vec<QueueId>,
    etag: Option<String>,
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
        let queues: Option<Vec<QueueId>> = references
            .into_iter()
            .map(|queue| QueueId::parse(queue.id))
            .collect();
        let queues = queues.ok_or_else(|| "a queue's id cannot be used in a URL".to_owned())?;
        Ok(Self {
            document,
            queues,
            etag,
        })
    }

    /// The version that was read.
    pub(crate) fn version(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// The queues that the user is in.
    pub(crate) fn queues(&self) -> &[QueueId] {
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
pub(crate) struct Queue {
    id: QueueId,
    document: Document,
    supervisors: Vec<Box<RawValue>>,
    etag: Option<String>,
}

impl Queue {
    pub(super) fn parse(id: &QueueId, body: &[u8], etag: Option<String>) -> Result<Self, String> {
        let document = Document::parse(body)?;
        // As above.
        let supervisors = match document.0.get("supervisorIds") {
            None => Vec::new(),
            Some(raw) => serde_json::from_str::<Option<Vec<Box<RawValue>>>>(raw.get())
                .map_err(|_other_shape| "supervisorIds is no list".to_owned())?
                .unwrap_or_default(),
        };
        Ok(Self {
            id: id.clone(),
            document,
            supervisors,
            etag,
        })
    }

    /// The version that was read.
    pub(crate) fn version(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    pub(super) const fn id(&self) -> &QueueId {
        &self.id
    }

    fn is_owner(&self, user_id: UserId) -> bool {
        self.document
            .get::<String>("ownerId")
            .is_some_and(|owner| is_same(&owner, user_id))
    }

    /// Whether the user owns or supervises it.
    pub(crate) fn names(&self, user_id: UserId) -> bool {
        self.is_owner(user_id) || self.supervisors.iter().any(|raw| is_entry(raw, user_id))
    }

    /// The same queue without the user.
    pub(super) fn without(&self, user_id: UserId) -> Vec<u8> {
        let mut document = self.document.clone();
        if self.is_owner(user_id) {
            document.set("ownerId", "null".to_owned());
        }
        if self.supervisors.iter().any(|raw| is_entry(raw, user_id)) {
            let others: Vec<&str> = self
                .supervisors
                .iter()
                .filter(|raw| !is_entry(raw, user_id))
                .map(|raw| raw.get())
                .collect();
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

/// Whether a document is that user. Anything else, such as a page to log in at, is none.
pub(super) fn is_user(body: &[u8], user_id: UserId) -> Result<(), String> {
    let document = Document::parse(body)?;
    match document.get::<String>("id") {
        Some(id) if !is_same(&id, user_id) => Err("it has the id of somebody else".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// `active`, in the spellings that servers use: a boolean, `0` or `1`, and each of them as a string in any case.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Active {
    Flag(bool),
    Number(u8),
    Text(String),
}

impl Active {
    fn parse(self) -> Option<bool> {
        match self {
            Self::Flag(active) => Some(active),
            Self::Number(1) => Some(true),
            Self::Number(0) => Some(false),
            Self::Number(_) => None,
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
        }
    }
}

/// A SCIM user as it was read (RFC 7643).
#[derive(Debug, Clone)]
pub(crate) struct ScimUser {
    pub(super) user_id: UserId,
    document: Document,
    active: Option<bool>,
    version: Option<String>,
}

impl ScimUser {
    pub(super) fn parse(
        user_id: UserId,
        body: &[u8],
        etag: Option<String>,
    ) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Meta {
            version: Option<String>,
        }
        is_user(body, user_id)?;
        let document = Document::parse(body)?;
        // Some servers show it only while it is true; then the ID has to say that this is a user at all.
        let active = match document.0.get("active").map(|raw| raw.get()) {
            None | Some("null") if document.get::<String>("id").is_none() => {
                return Err("neither id nor active is there".to_owned());
            }
            None | Some("null") => None,
            Some(raw) => {
                let active = serde_json::from_str(raw).ok().and_then(Active::parse);
                Some(active.ok_or_else(|| "active is neither true nor false".to_owned())?)
            }
        };
        let version = etag.or_else(|| document.get::<Meta>("meta").and_then(|meta| meta.version));
        // What cannot stand in a header cannot be sent back.
        let version =
            version.filter(|version| !version.is_empty() && HeaderValue::from_str(version).is_ok());
        Ok(Self {
            user_id,
            document,
            active,
            version,
        })
    }

    /// Whether the account is active; `None` where the server does not show it.
    pub(crate) const fn active(&self) -> Option<bool> {
        self.active
    }

    /// The version that was read.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The name that people know the user by (RFC 7643 section 4.1.1 requires one).
    pub(crate) fn user_name(&self) -> Option<String> {
        self.document
            .get::<String>("userName")
            .filter(|name| !name.trim().is_empty())
    }

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
    fn active_is_read_in_every_spelling_that_servers_use() {
        let parse = |members: &str| {
            let body = format!(r#"{{"id":"{}"{members}}}"#, ID.to_uppercase());
            ScimUser::parse(ID.parse().unwrap(), body.as_bytes(), None).map(|user| user.active())
        };
        for spelled in [
            "true",
            r#""true""#,
            r#""True""#,
            r#"" TRUE ""#,
            "1",
            r#""1""#,
        ] {
            assert_eq!(
                parse(&format!(r#","active":{spelled}"#)),
                Ok(Some(true)),
                "{spelled}"
            );
        }
        for spelled in [
            "false",
            r#""false""#,
            r#""False""#,
            r#""FALSE""#,
            "0",
            r#""0""#,
        ] {
            assert_eq!(
                parse(&format!(r#","active":{spelled}"#)),
                Ok(Some(false)),
                "{spelled}"
            );
        }
        for missing in ["", r#","active":null"#] {
            assert_eq!(parse(missing), Ok(None), "{missing}: it is not shown");
        }
        for odd in [
            r#""""#,
            r#""yes""#,
            "2",
            "-1",
            "0.0",
            "[]",
            "{}",
            r#""inactive""#,
        ] {
            assert!(parse(&format!(r#","active":{odd}"#)).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_not_that_user_is_none() {
        let parse = |body: &str| ScimUser::parse(ID.parse().unwrap(), body.as_bytes(), None);
        let other = r#"{"id":"4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12","active":false}"#;
        for body in [
            "{}",
            r#"{"status":"ok"}"#,
            r#"{"Resources":[]}"#,
            "[]",
            "<html>",
            "null",
            other,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
        assert_eq!(parse(r#"{"active":false}"#).unwrap().active(), Some(false));
    }

    #[test]
    fn documents_that_are_nested_without_end_are_read_and_written_back() {
        let deep = |count| [vec![b'['; count], vec![b']'; count]].concat();
        let body = [
            format!(r#"{{"id":"{ID}","active":true,"x":"#).as_bytes(),
            &deep(400_000),
            b"}",
        ]
        .concat();
        let user = ScimUser::parse(ID.parse().unwrap(), &body, None).unwrap();
        assert_eq!(user.deactivated().len(), body.len() + 1);
        for member in ["active", "id", "meta"] {
            let body = [format!(r#"{{"{member}":"#).as_bytes(), &deep(400_000), b"}"].concat();
            assert!(
                ScimUser::parse(ID.parse().unwrap(), &body, None).is_err(),
                "{member}"
            );
        }
        let profile = [br#"{"queues":"#.as_slice(), &deep(400_000), b"}"].concat();
        assert!(RoutingProfile::parse(&profile, None).is_err());
    }

    #[test]
    fn the_version_is_the_etag_or_the_meta_version() {
        let body = br#"{"active":true,"meta":{"version":"W/\"3\""}}"#;
        let version = |etag: Option<&str>| {
            ScimUser::parse(ID.parse().unwrap(), body, etag.map(str::to_owned))
                .unwrap()
                .version
        };
        assert_eq!(version(None).as_deref(), Some("W/\"3\""));
        assert_eq!(version(Some("\"4\"")).as_deref(), Some("\"4\""));
        assert_eq!(version(Some("bare")).as_deref(), Some("bare"));
        for odd in [r#""""#, r#""4\nX: 1""#, "null", "7", "[]"] {
            let body = format!(r#"{{"active":true,"meta":{{"version":{odd}}}}}"#);
            let user = ScimUser::parse(ID.parse().unwrap(), body.as_bytes(), None).unwrap();
            assert_eq!(user.version(), None, "{odd}");
        }
    }

    #[test]
    fn supervisors_that_cannot_be_read_are_not_none() {
        let parse = |body: &str| Queue::parse(&"q".parse().unwrap(), body.as_bytes(), None);
        assert!(parse(r#"{"supervisorIds":"all"}"#).is_err());
        assert!(
            !parse(r#"{"supervisorIds":null}"#)
                .unwrap()
                .names(ID.parse().unwrap())
        );
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
        let expected =
            format!(r#"{{"id":"q","ownerId":null,"weight":1.50,"supervisorIds":["{other}"]}}"#);
        assert_eq!(String::from_utf8(queue.without(user_id)).unwrap(), expected);
    }

    #[test]
    fn a_profile_may_have_no_queues_but_not_some_that_we_cannot_read() {
        for body in ["{}", r#"{"queues":null}"#, r#"{"queues":[]}"#] {
            assert!(
                RoutingProfile::parse(body.as_bytes(), None)
                    .unwrap()
                    .queues()
                    .is_empty(),
                "{body}"
            );
        }
        for body in [
            r#"{"queues":"all"}"#,
            r#"{"queues":[{}]}"#,
            r#"{"queues":[{"id":".."}]}"#,
            "[]",
        ] {
            assert!(
                RoutingProfile::parse(body.as_bytes(), None).is_err(),
                "{body}"
            );
        }
    }
}

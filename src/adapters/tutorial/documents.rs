//! The documents of the API: what is read from them, and the members that a write changes. What cannot be understood is
//! an error, and never passes for "no queues" or "inactive".

use bytes::Bytes;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::types::{Queue, QueueId, RoutingProfile, ScimUser};
use crate::adapters::http::Document;
use crate::job::UserId;
use crate::ports::Account;

#[derive(Deserialize)]
struct Reference {
    id: String,
}

pub(super) fn parse_profile(body: &Bytes, etag: Option<String>) -> Result<RoutingProfile, String> {
    let document = Document::parse(body)?;
    let references: Vec<Reference> = document.list("queues")?;
    let queues: Result<Vec<QueueId>, _> = references
        .into_iter()
        .map(|queue| queue.id.parse())
        .collect();

    Ok(RoutingProfile {
        queues: queues.map_err(|why| format!("a queue of the profile: {why}"))?,
        version: etag,
        document: body.clone(),
    })
}

/// Whether this is a profile that says of itself that it has no queues. An answer without the member does not say so.
pub(super) fn has_no_queues(body: &[u8]) -> bool {
    let Ok(document) = Document::parse(body) else {
        return false;
    };
    let queues = document.list::<IgnoredAny>("queues");
    document.raw("queues").is_some() && queues.is_ok_and(|queues| queues.is_empty())
}

pub(super) fn profile_without_queues(read: &RoutingProfile) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    document.set("queues", "[]".to_owned());
    Ok(document.to_bytes())
}

pub(super) fn parse_queue(
    id: &QueueId,
    user_id: UserId,
    body: &Bytes,
    etag: Option<String>,
) -> Result<Queue, String> {
    let document = Document::parse(body)?;
    let supervisors = supervisors(&document)?;
    let names_user =
        is_owner(&document, user_id) || supervisors.iter().any(|raw| is_entry(raw, user_id));

    Ok(Queue {
        id: id.clone(),
        names_user,
        version: etag,
        document: body.clone(),
    })
}

pub(super) fn queue_without_user(read: &Queue, user_id: UserId) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    let supervisors = supervisors(&document)?;

    if is_owner(&document, user_id) {
        document.set("ownerId", "null".to_owned());
    }
    if supervisors.iter().any(|raw| is_entry(raw, user_id)) {
        let others: Vec<&str> = supervisors
            .iter()
            .filter(|raw| !is_entry(raw, user_id))
            .map(|raw| raw.get())
            .collect();
        document.set("supervisorIds", format!("[{}]", others.join(",")));
    }
    Ok(document.to_bytes())
}

/// The queues of a profile as they are written.
pub(super) fn parse_references(body: &[u8]) -> Result<Vec<Box<RawValue>>, String> {
    Document::parse(body)?.list("queues")
}

/// `reference` is the entry as it was written before.
pub(super) fn profile_with_queue(
    read: &RoutingProfile,
    queue_id: &QueueId,
    reference: Option<&str>,
) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    let known: Vec<Box<RawValue>> = document.list("queues")?;
    let by_id = || serde_json::json!({ "id": queue_id.as_str() }).to_string();
    let own = reference
        .filter(|text| {
            serde_json::from_str::<Reference>(text)
                .is_ok_and(|reference| reference.id == queue_id.as_str())
        })
        .map_or_else(by_id, str::to_owned);
    let all: Vec<&str> = known
        .iter()
        .map(|raw| raw.get())
        .chain([own.as_str()])
        .collect();
    document.set("queues", format!("[{}]", all.join(",")));
    Ok(document.to_bytes())
}

/// As what a queue names a user, and whether another one owns it.
pub(super) struct Named {
    /// The entries as they are written.
    pub(super) owner: Option<String>,
    pub(super) supervisor: Option<String>,
    pub(super) other_owner: Option<String>,
}

pub(super) fn named_in(read: &Queue, user_id: UserId) -> Result<Named, String> {
    let document = Document::parse(&read.document)?;
    let owner = document.raw("ownerId").filter(|raw| *raw != "null");
    let (owner, other_owner) = if is_owner(&document, user_id) {
        (owner, None)
    } else {
        (None, owner)
    };
    let supervisors = supervisors(&document)?;
    let own = supervisors.iter().find(|raw| is_entry(raw, user_id));
    Ok(Named {
        owner: owner.map(str::to_owned),
        supervisor: own.map(|raw| raw.get().to_owned()),
        other_owner: other_owner.map(str::to_owned),
    })
}

/// The user's ID as it was written before, if `detail` is that.
fn entry(user_id: UserId, detail: Option<&str>) -> String {
    detail
        .filter(|text| {
            serde_json::from_str::<String>(text).is_ok_and(|text| is_same(&text, user_id))
        })
        .map_or_else(|| format!("\"{user_id}\""), str::to_owned)
}

pub(super) fn queue_with_owner(
    read: &Queue,
    user_id: UserId,
    detail: Option<&str>,
) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    document.set("ownerId", entry(user_id, detail));
    Ok(document.to_bytes())
}

pub(super) fn queue_with_supervisor(
    read: &Queue,
    user_id: UserId,
    detail: Option<&str>,
) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    let own = entry(user_id, detail);
    let known = supervisors(&document)?;
    let all: Vec<&str> = known
        .iter()
        .map(|raw| raw.get())
        .chain([own.as_str()])
        .collect();
    document.set("supervisorIds", format!("[{}]", all.join(",")));
    Ok(document.to_bytes())
}

/// The entries as they are written, so that those of other users can be written back unchanged.
fn supervisors(document: &Document) -> Result<Vec<Box<RawValue>>, String> {
    document.list("supervisorIds")
}

fn is_owner(document: &Document, user_id: UserId) -> bool {
    document
        .get::<String>("ownerId")
        .is_some_and(|owner| is_same(&owner, user_id))
}

fn is_same(text: &str, user_id: UserId) -> bool {
    text.parse::<UserId>().is_ok_and(|parsed| parsed == user_id)
}

fn is_entry(raw: &RawValue, user_id: UserId) -> bool {
    serde_json::from_str::<String>(raw.get()).is_ok_and(|text| is_same(&text, user_id))
}

/// Whether a document is that user. Anything else, e.g. a proxy's log-in page, is an error.
pub(super) fn is_user(body: &[u8], user_id: UserId) -> Result<(), String> {
    let document = Document::parse(body)?;
    match document.get::<String>("id") {
        Some(id) if !is_same(&id, user_id) => Err("it has the id of another user".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// `active`, in the spellings that servers use: a boolean, `0` or `1`, and each of them as a string in any case.
#[derive(Deserialize)]
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

/// A SCIM user (RFC 7643).
pub(super) fn parse_account(
    user_id: UserId,
    body: &Bytes,
    etag: Option<String>,
) -> Result<ScimUser, String> {
    #[derive(Deserialize)]
    struct Meta {
        version: Option<String>,
    }

    is_user(body, user_id)?;
    let document = Document::parse(body)?;

    let active = match document.raw("active") {
        // Some servers show it only while it is true; then the ID has to show that this is a user at all.
        None | Some("null") if document.get::<String>("id").is_none() => {
            return Err("it has neither id nor active".to_owned());
        }
        None | Some("null") => None,
        Some(raw) => {
            let active = serde_json::from_str(raw).ok().and_then(Active::parse);
            Some(active.ok_or_else(|| "active is neither true nor false".to_owned())?)
        }
    };

    let version = etag
        .or_else(|| document.get::<Meta>("meta").and_then(|meta| meta.version))
        // What is not a valid header cannot be sent back.
        .filter(|version| !version.is_empty() && HeaderValue::from_str(version).is_ok());

    // RFC 7643 section 4.1.1 requires a name.
    let user_name = document
        .get::<String>("userName")
        .filter(|name| !name.trim().is_empty());

    Ok(ScimUser {
        account: Account { active, user_name },
        version,
        document: body.clone(),
    })
}

pub(super) fn with_active(read: &ScimUser, active: bool) -> Result<Vec<u8>, String> {
    let mut document = Document::parse(&read.document)?;
    document.set("active", active.to_string());
    Ok(document.to_bytes())
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;

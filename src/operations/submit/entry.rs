//! One message: from members, or from a JSON object.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::members::MEMBERS;
use super::near_miss::{near_miss, nearly};
use super::notes::Notes;
use super::spelling;
use crate::job::{Action, BatchId, Request, UserId, parse_message};
use crate::ports::FileColumns;

/// The options of the command line, which apply to each message that has no such member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    /// `--batch-id`.
    pub batch_id: Option<BatchId>,
    /// `--action`.
    pub action: Option<Action>,
    /// `--delete-after`.
    pub delete_after: Option<Timestamp>,
    /// `--requested-by`.
    pub requested_by: Option<String>,
    /// `--reason`.
    pub reason: Option<String>,
    /// When the command was started.
    pub requested_at: Option<Timestamp>,
}

impl Overlay {
    /// As members of a message.
    pub(super) fn members(&self) -> Map<String, Value> {
        let action = self.action.map(|action| match action {
            Action::Delete => "delete".to_owned(),
            Action::Deactivate => "deactivate".to_owned(),
        });
        let members = [
            ("batchId", self.batch_id.as_ref().map(ToString::to_string)),
            ("action", action),
            ("deleteAfter", self.delete_after.map(|at| at.to_string())),
            ("requestedBy", self.requested_by.clone()),
            ("reason", self.reason.clone()),
            ("requestedAt", self.requested_at.map(|at| at.to_string())),
        ];
        members
            .into_iter()
            .filter_map(|(member, value)| Some((member.to_owned(), value?.into())))
            .collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub user_id: UserId,
    /// As a worker will read it.
    pub request: Request,
    pub body: Vec<u8>,
    /// The other columns of the row, for the report of the batch. They are no part of the message.
    pub columns: FileColumns,
}

/// A message that has only an ID and the options.
pub(super) fn of_id(text: &str, overlay: &Map<String, Value>) -> Result<Message, String> {
    let text = text.trim();
    let id = spelling::id(text).map_or_else(|| text.to_owned(), |id| id.to_string());
    of_members(Map::from_iter([("userId".to_owned(), id.into())]), overlay)
}

/// A message of these members and those that `overlay` adds.
pub(super) fn of_members(
    mut members: Map<String, Value>,
    overlay: &Map<String, Value>,
) -> Result<Message, String> {
    for (member, value) in overlay {
        // `null` means that the member is missing.
        if members.get(member).is_none_or(Value::is_null) {
            members.insert(member.clone(), value.clone());
        }
    }
    let body = serde_json::to_vec(&members).map_err(|error| error.to_string())?;
    message(&members, body)
}

/// A message of one JSON object. The text of the object stays as it is, including the digits of numbers; the members that
/// `overlay` adds come first.
pub(super) fn of_json(
    text: &str,
    overlay: &Map<String, Value>,
    notes: &mut Notes,
) -> Result<Message, String> {
    let mut members = serde_json::from_str::<Map<String, Value>>(text)
        .map_err(|error| format!("not a JSON object (column {})", error.column()))?;
    for name in members
        .keys()
        .filter(|name| *name != "userId" && MEMBERS.iter().all(|(known, _)| known != name))
    {
        if let Some(meant) = near_miss(name) {
            return Err(nearly("member", name, meant));
        }
        notes.note_unknown(name);
    }
    let mut body = String::from("{");
    for (member, value) in overlay {
        let given = members.get(member);
        if given.is_some_and(Value::is_null) {
            return Err(format!(
                "{member} is null, and an option sets it: remove the member"
            ));
        }
        if given.is_some() {
            notes.note_contradicted(member);
        } else {
            // The name of a member needs no escapes.
            body.extend(["\"", member, "\":", &value.to_string(), ","]);
            members.insert(member.clone(), value.clone());
        }
    }
    // An object without members would end with an extra comma; it is refused, because it has no user.
    body += text.trim().strip_prefix('{').unwrap_or(text);

    message(&members, body.into_bytes())
}

fn message(members: &Map<String, Value>, body: Vec<u8>) -> Result<Message, String> {
    match members.get("userId") {
        None => return Err("it has no userId".to_owned()),
        Some(Value::String(text)) if text.parse::<UserId>().is_ok() => {}
        Some(Value::String(text)) => {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!("{shown:?} is not a user ID (a UUID)"));
        }
        Some(_) => return Err("its userId is not a string".to_owned()),
    }
    match parse_message(&body, Timestamp::UNIX_EPOCH) {
        Ok((user_id, request)) => Ok(Message {
            user_id,
            request,
            body,
            columns: FileColumns::default(),
        }),
        Err(error) => Err(blame(members).unwrap_or_else(|| error.to_string())),
    }
}

/// Which members are wrong: each is parsed in a message of its own.
fn blame(members: &Map<String, Value>) -> Option<String> {
    let user_id = members.get("userId")?;
    let wrong = MEMBERS.iter().filter(|(member, _)| {
        let Some(value) = members.get(*member) else {
            return false;
        };
        let only = serde_json::json!({ "userId": user_id, *member: value });
        parse_message(only.to_string().as_bytes(), Timestamp::UNIX_EPOCH).is_err()
    });
    let wrong: Vec<String> = wrong
        .map(|(member, due)| format!("{member} must be {due}"))
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

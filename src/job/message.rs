//! The parser of message bodies.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::foreign;
use super::member::Member;
use super::object::{Object, Value};
use super::{Action, BatchId, Request, UserId};

/// The largest body that is read as a message. A message of the schema is far smaller.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;

/// The body is no off-boarding message. Each fault names member and rule but does not repeat the
/// value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is neither a user ID nor JSON after offboarding-message.schema.json: {}", .faults.join("; "))]
pub(crate) struct Malformed {
    pub(crate) faults: Vec<String>,
}

/// What a body asks for.
#[derive(Debug)]
pub(crate) struct Understood {
    pub(crate) user_id: UserId,
    pub(crate) request: Request,
    /// What was read although the schema does not say it, for people.
    pub(crate) notes: Vec<String>,
}

/// Reads a message body: JSON of the schema, a `CloudEvents` event with that as its data, or a UUID
/// as text, quoted or bare. `received_at` is the reader's clock.
///
/// Spellings that can mean only one thing are accepted. What could make a deletion earlier, or a
/// deactivation a deletion, is refused and never guessed: a misspelt name, a number as a time, a
/// time without an offset.
pub(crate) fn understand_message(
    body: &[u8],
    received_at: Timestamp,
) -> Result<Understood, Malformed> {
    let digest = hex::encode(Sha256::digest(body));
    let received = Request {
        received_at: Some(received_at),
        message_sha256: Some(digest),
        ..Request::default()
    };
    let mut notes = Vec::new();

    let text = text_of(body, &mut notes)?;
    let bare = unquoted(text);
    if let Some(user_id) = user_id(bare, &mut notes) {
        if bare.len() < text.len() {
            notes.push("the user ID is in quotes".to_owned());
        }
        return Ok(Understood {
            user_id,
            request: received,
            notes,
        });
    }
    if !text.starts_with('{') {
        return Err(fault(foreign::of_text(text)));
    }
    if is_id_in_braces(text) {
        return Err(fault("the user ID is in braces: leave them out"));
    }

    let object = read(text)?;
    match foreign::event_data(&object) {
        Some(Ok(data)) => {
            notes.push("the message is the data of a CloudEvents event".to_owned());
            request_of(read(data.get())?, received, notes)
        }
        Some(Err(faults)) => Err(Malformed { faults }),
        None => request_of(object, received, notes),
    }
}

/// The same, for those who do not need the notes.
pub(crate) fn parse_message(
    body: &[u8],
    received_at: Timestamp,
) -> Result<(UserId, Request), Malformed> {
    let understood = understand_message(body, received_at)?;
    Ok((understood.user_id, understood.request))
}

fn fault(text: impl Into<String>) -> Malformed {
    Malformed {
        faults: vec![text.into()],
    }
}

fn text_of<'a>(body: &'a [u8], notes: &mut Vec<String>) -> Result<&'a str, Malformed> {
    if body.len() > MAX_BODY_BYTES {
        let bytes = body.len();
        return Err(fault(format!("{bytes} bytes, over {MAX_BODY_BYTES}")));
    }
    if let Some(what) = foreign::of_bytes(body) {
        return Err(fault(what));
    }

    let text = std::str::from_utf8(body)
        .map_err(|error| fault(format!("no UTF-8, at byte {}", error.valid_up_to() + 1)))?;
    let marked = text.strip_prefix('\u{feff}');
    if marked.is_some() {
        notes.push("the body begins with a byte-order mark".to_owned());
    }
    Ok(marked.unwrap_or(text).trim_ascii())
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

fn is_id_in_braces(text: &str) -> bool {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    inner.and_then(UserId::in_message).is_some()
}

fn user_id(text: &str, notes: &mut Vec<String>) -> Option<UserId> {
    let user_id = UserId::in_message(text)?;
    if !text.contains('-') {
        notes.push("the user ID has no hyphens".to_owned());
    }
    Some(user_id)
}

fn read(text: &str) -> Result<Object<'_>, Malformed> {
    Object::read(text).map_err(|error| fault(place(&error)))
}

fn request_of(
    mut object: Object<'_>,
    received: Request,
    notes: Vec<String>,
) -> Result<Understood, Malformed> {
    let mut reading = Reading {
        faults: std::mem::take(&mut object.faults),
        notes,
    };
    if !object.has(Member::UserId)
        && let Some(envelope) = foreign::of_object(&object)
    {
        return Err(fault(envelope));
    }

    let user_id = reading.user_id(&mut object);
    let action = reading.action(&mut object);
    let batch_id = reading.text(&mut object, Member::BatchId, |text| {
        text.parse::<BatchId>().ok()
    });
    let request = Request {
        action: action.unwrap_or_default(),
        action_named: action.is_some(),
        batch_id,
        delete_after: reading.time(&mut object, Member::DeleteAfter),
        requested_by: reading.words(&mut object, Member::RequestedBy, 256),
        reason: reading.words(&mut object, Member::Reason, 1024),
        requested_at: reading.time(&mut object, Member::RequestedAt),
        ..received
    };

    match user_id {
        Some(user_id) if reading.faults.is_empty() => {
            let Reading { mut notes, .. } = reading;
            let ignored = object.ignored.join(", ");
            notes.extend((!ignored.is_empty()).then(|| format!("not used: {ignored}")));
            Ok(Understood {
                user_id,
                request,
                notes,
            })
        }
        Some(_) | None => Err(Malformed {
            faults: reading.faults,
        }),
    }
}

/// Reads the values of members, and notes all faults.
struct Reading {
    faults: Vec<String>,
    notes: Vec<String>,
}

impl Reading {
    fn user_id(&mut self, object: &mut Object<'_>) -> Option<UserId> {
        let near = object.nearly_user_id.take();
        match object.take(Member::UserId) {
            None | Some(Value::Missing) => {
                let there = near.map_or_else(String::new, |near| format!(" (there is {near})"));
                self.faults.push(format!("userId is missing{there}"));
                None
            }
            Some(Value::Text(text)) => {
                if let Some(near) = near {
                    let again = format!("userId is there twice (also as {near})");
                    self.faults.push(again);
                }
                let user_id = user_id(&text, &mut self.notes);
                if user_id.is_none() {
                    self.breaks(Member::UserId, "");
                }
                user_id
            }
            Some(Value::Other(kind)) => {
                self.breaks(Member::UserId, &format!(", and is {kind}"));
                None
            }
        }
    }

    fn action(&mut self, object: &mut Object<'_>) -> Option<Action> {
        let mut is_in_lower_case = true;
        let action = self.text(object, Member::Action, |text| {
            is_in_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
            match text.to_ascii_lowercase().as_str() {
                "delete" => Some(Action::Delete),
                "deactivate" => Some(Action::Deactivate),
                _ => None,
            }
        });
        if action.is_some() && !is_in_lower_case {
            self.notes.push("action is not in lower case".to_owned());
        }
        action
    }

    fn words(&mut self, object: &mut Object<'_>, member: Member, max: usize) -> Option<String> {
        let text = self.value(object, member)?;
        let chars = text.chars().count();
        if chars > max {
            self.breaks(member, &format!(", and has {chars}"));
            return None;
        }
        Some(text)
    }

    fn time(&mut self, object: &mut Object<'_>, member: Member) -> Option<Timestamp> {
        let text = self.value(object, member)?;
        let time = text.parse().ok();
        if time.is_none() {
            let has_no_offset = text.parse::<jiff::civil::DateTime>().is_ok();
            let why = if has_no_offset {
                ", and has no offset"
            } else {
                ""
            };
            self.breaks(member, why);
        }
        time
    }

    fn text<T>(
        &mut self,
        object: &mut Object<'_>,
        member: Member,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.value(object, member)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.breaks(member, "");
        }
        parsed
    }

    /// The text of a member; a fault where it is something else.
    fn value(&mut self, object: &mut Object<'_>, member: Member) -> Option<String> {
        match object.take(member)? {
            Value::Missing => {
                let name = member.name();
                self.notes
                    .push(format!("{name} is null, and counts as missing"));
                None
            }
            Value::Text(text) => Some(text),
            Value::Other(kind) => {
                self.breaks(member, &format!(", and is {kind}"));
                None
            }
        }
    }

    fn breaks(&mut self, member: Member, how: &str) {
        let fault = format!("{}: {}{how}", member.name(), member.rule());
        self.faults.push(fault);
    }
}

/// Kind and place of a JSON fault. `serde_json`'s own text may quote the value.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Data => "no JSON",
        serde_json::error::Category::Eof => "cut short",
        serde_json::error::Category::Io => "not readable",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

//! The parser of message bodies.

use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::{Action, BatchId, Request, UserId, normalised};

/// The largest body that is read as a message. A message of the schema is far smaller.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;

/// The body is no off-boarding message. The text names member and rule but does not repeat the
/// value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is neither a user ID nor JSON after offboarding-message.schema.json: {0}")]
pub(crate) struct Malformed(String);

/// A member of `docs/contract/offboarding-message.schema.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    UserId,
    BatchId,
    Action,
    DeleteAfter,
    RequestedBy,
    Reason,
    RequestedAt,
}

impl Member {
    const ALL: [Self; 7] = [
        Self::UserId,
        Self::BatchId,
        Self::Action,
        Self::DeleteAfter,
        Self::RequestedBy,
        Self::Reason,
        Self::RequestedAt,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::UserId => "userId",
            Self::BatchId => "batchId",
            Self::Action => "action",
            Self::DeleteAfter => "deleteAfter",
            Self::RequestedBy => "requestedBy",
            Self::Reason => "reason",
            Self::RequestedAt => "requestedAt",
        }
    }

    /// Whether the work depends on it. Then a misspelt name must be a fault and not be ignored.
    const fn decides(self) -> bool {
        match self {
            Self::UserId | Self::BatchId | Self::Action | Self::DeleteAfter | Self::RequestedAt => {
                true
            }
            Self::RequestedBy | Self::Reason => false,
        }
    }
}

/// The members of a message that have a text. `null` means that the member is missing; unknown
/// members are ignored.
#[derive(Default)]
struct Members {
    texts: [Option<String>; Member::ALL.len()],
}

/// Keeps the first fault of the members, in our words: an error of `serde_json` would add its own.
struct Reading<'a> {
    fault: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Members;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        let mut seen = [false; Member::ALL.len()];

        while let Some(name) = map.next_key::<String>()? {
            let known = Member::ALL
                .into_iter()
                .zip(members.texts.iter_mut().zip(&mut seen));
            let Some((member, (text, seen))) =
                known.into_iter().find(|(member, _)| member.name() == name)
            else {
                if let Some(meant) = near_miss(&name) {
                    let shown: String = name.chars().take(40).collect();
                    self.fault.get_or_insert(format!(
                        "a member is called {shown:?}: write {} or leave it out",
                        meant.name()
                    ));
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(seen, true) {
                self.fault
                    .get_or_insert(format!("{} is there twice", member.name()));
            }
            match map.next_value::<Text>()? {
                Text::Missing => {}
                Text::Is(value) => *text = Some(value),
                Text::Other(kind) => {
                    self.fault
                        .get_or_insert(format!("{} is {kind} and has to be text", member.name()));
                }
            }
        }
        Ok(members)
    }
}

/// The member that a misspelt name probably means, if the work depends on it.
fn near_miss(name: &str) -> Option<Member> {
    let spelled = normalised(name);
    Member::ALL
        .into_iter()
        .find(|member| member.decides() && normalised(member.name()) == spelled)
}

/// The value of a member.
enum Text {
    Missing,
    Is(String),
    Other(&'static str),
}

struct TextVisitor;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::Missing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text::Is(text.to_owned()))
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Text, E> {
        Ok(Text::Other("true or false"))
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Text, E> {
        Ok(Text::Other("a number"))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Text, E> {
        Ok(Text::Other("a number"))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Text, E> {
        Ok(Text::Other("a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Text, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Other("an object"))
    }
}

/// Reads a message body: JSON of the schema, or a UUID as text, quoted or bare. `received_at` is
/// the reader's clock.
pub(crate) fn parse_message(
    body: &[u8],
    received_at: Timestamp,
) -> Result<(UserId, Request), Malformed> {
    let digest = hex::encode(Sha256::digest(body));
    let received = Request {
        received_at: Some(received_at),
        message_sha256: Some(digest),
        ..Request::default()
    };

    let text = text_of(body)?;
    if let Some(user_id) = UserId::in_message(unquoted(text)) {
        return Ok((user_id, received));
    }
    if !text.starts_with('{') {
        return Err(Malformed("no JSON object".to_owned()));
    }
    request_of(read(text)?, received)
}

fn text_of(body: &[u8]) -> Result<&str, Malformed> {
    if body.len() > MAX_BODY_BYTES {
        let bytes = body.len();
        return Err(Malformed(format!("{bytes} bytes, over {MAX_BODY_BYTES}")));
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| Malformed(format!("no UTF-8, at byte {}", error.valid_up_to() + 1)))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii())
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

fn request_of(members: Members, received: Request) -> Result<(UserId, Request), Malformed> {
    let [
        user_id,
        batch_id,
        action,
        delete_after,
        requested_by,
        reason,
        requested_at,
    ] = members.texts;

    let user_id = user_id.ok_or_else(|| Malformed("userId is missing".to_owned()))?;
    let user_id =
        UserId::in_message(&user_id).ok_or_else(|| Malformed("userId is no UUID".to_owned()))?;
    let action = action.as_deref().map(action_of).transpose()?;
    let batch_id = batch_id.map(|batch| {
        let rule = "is not 1 to 128 letters, digits, '.', '_', ':' or '-'";
        batch
            .parse::<BatchId>()
            .map_err(|_not_repeated| Malformed(format!("batchId {rule}")))
    });
    within(requested_by.as_deref(), "requestedBy", 256)?;
    within(reason.as_deref(), "reason", 1024)?;

    let request = Request {
        action: action.unwrap_or_default(),
        action_named: action.is_some(),
        batch_id: batch_id.transpose()?,
        delete_after: time(delete_after, "deleteAfter")?,
        requested_by,
        reason,
        requested_at: time(requested_at, "requestedAt")?,
        ..received
    };
    Ok((user_id, request))
}

fn action_of(text: &str) -> Result<Action, Malformed> {
    match text {
        "delete" => Ok(Action::Delete),
        "deactivate" => Ok(Action::Deactivate),
        _ => Err(Malformed(
            "action is neither delete nor deactivate".to_owned(),
        )),
    }
}

fn read(text: &str) -> Result<Members, Malformed> {
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = Reading { fault: &mut fault }.deserialize(&mut json);
    let members = members.and_then(|members| json.end().map(|()| members));
    match (members, fault) {
        (Ok(members), None) => Ok(members),
        (Ok(_), Some(fault)) => Err(Malformed(fault)),
        (Err(error), _) => Err(Malformed(place(&error))),
    }
}

fn time(text: Option<String>, member: &str) -> Result<Option<Timestamp>, Malformed> {
    let rule = "is no time with an offset, such as 2026-01-31T08:00:00Z";
    let read = |text: String| {
        text.parse()
            .map_err(|_not_repeated| Malformed(format!("{member} {rule}")))
    };
    text.map(read).transpose()
}

fn within(text: Option<&str>, member: &str, max_chars: usize) -> Result<(), Malformed> {
    match text.map(|text| text.chars().count()) {
        Some(chars) if chars > max_chars => Err(Malformed(format!(
            "{member} has {chars} characters, over {max_chars}"
        ))),
        Some(_) | None => Ok(()),
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

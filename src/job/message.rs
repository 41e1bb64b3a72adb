use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::{Action, BatchId, Request, UserId};

/// The largest body that is read as a message; the schema's members fit many times over.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The body is no off-boarding message. The text says why without repeating the body, which may
/// hold anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is neither a user ID nor JSON after offboarding-message.schema.json: {0}")]
pub struct Malformed(String);

/// `docs/contract/offboarding-message.schema.json`; unknown members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    user_id: UserId,
    #[serde(default, deserialize_with = "present")]
    batch_id: Option<BatchId>,
    #[serde(default, deserialize_with = "present")]
    action: Option<Action>,
    #[serde(default, deserialize_with = "present")]
    delete_after: Option<Timestamp>,
    #[serde(default, deserialize_with = "present")]
    requested_by: Option<String>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "present")]
    requested_at: Option<Timestamp>,
}

/// A member may be missing but not `null`: the schema's types do not allow it.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// Reads a message body: JSON after the schema, or a bare UUID as text. `received_at` is the
/// reader's clock.
pub fn parse_message(body: &[u8], received_at: Timestamp) -> Result<(UserId, Request), Malformed> {
    let digest = hex::encode(Sha256::digest(body));
    if body.len() > MAX_BODY_BYTES {
        return Err(Malformed(format!("{} bytes, over {MAX_BODY_BYTES}", body.len())));
    }
    let bare = std::str::from_utf8(body).ok().and_then(|text| text.trim_ascii().parse::<UserId>().ok());
    if let Some(user_id) = bare {
        let request =
            Request { received_at: Some(received_at), message_sha256: Some(digest), ..Request::default() };
        return Ok((user_id, request));
    }
    // A derived reader takes a list for an object whose members are in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Malformed("no JSON object".to_owned()));
    }
    let wire: Wire = serde_json::from_slice(body).map_err(|error| Malformed(place(&error)))?;
    within(wire.requested_by.as_deref(), "requestedBy", 256)?;
    within(wire.reason.as_deref(), "reason", 1024)?;
    let request = Request {
        action: wire.action.unwrap_or_default(),
        action_named: wire.action.is_some(),
        batch_id: wire.batch_id,
        delete_after: wire.delete_after,
        requested_by: wire.requested_by,
        reason: wire.reason,
        requested_at: wire.requested_at,
        received_at: Some(received_at),
        message_sha256: Some(digest),
    };
    Ok((wire.user_id, request))
}

fn within(text: Option<&str>, member: &str, max_chars: usize) -> Result<(), Malformed> {
    match text.map(|text| text.chars().count()) {
        Some(chars) if chars > max_chars => {
            Err(Malformed(format!("{member} has {chars} characters, over {max_chars}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Kind and place of a JSON fault. `serde_json`'s own text may quote the value.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Syntax => "no JSON",
        serde_json::error::Category::Eof => "cut short",
        serde_json::error::Category::Data => "a member is missing or has a wrong value",
        serde_json::error::Category::Io => "not readable",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn parse(body: &str) -> Result<(UserId, Request), Malformed> {
        parse_message(body.as_bytes(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_bare_uuid_asks_for_deletion() {
        let (id, request) = parse(&format!("{}\n", ID.to_uppercase())).unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(request.action, Action::Delete);
        assert_eq!(request.message_sha256.unwrap().len(), 64);
    }

    #[test]
    fn every_member_of_the_schema_is_read_and_unknown_ones_are_ignored() {
        let body = format!(
            r#"{{"userId":"{ID}","batchId":"b-1","action":"deactivate","deleteAfter":"2026-01-02T03:04:05+01:00",
                "requestedBy":"hr","reason":"left","requestedAt":"2026-01-01T00:00:00Z","x":{{"y":[1]}}}}"#
        );
        let (_, request) = parse(&body).unwrap();
        assert_eq!(request.action, Action::Deactivate);
        assert_eq!(request.batch_id.unwrap().to_string(), "b-1");
        assert_eq!(request.delete_after.unwrap().to_string(), "2026-01-02T02:04:05Z");
        assert_eq!(request.requested_by.as_deref(), Some("hr"));
        assert_eq!(request.reason.as_deref(), Some("left"));
        assert_eq!(request.requested_at.unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_the_schema_forbids_is_malformed() {
        for body in [
            String::new(),
            "hello".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            format!(r#"["{ID}"]"#),
            r#"{"userId":"../../x"}"#.to_owned(),
            format!(r#""{ID}""#),
            format!(r#"{{"userId":"{ID}","batchId":"a b"}}"#),
            format!(r#"{{"userId":"{ID}","batchId":null}}"#),
            format!(r#"{{"userId":"{ID}","action":"destroy"}}"#),
            format!(r#"{{"userId":"{ID}","deleteAfter":"tomorrow"}}"#),
            format!(r#"{{"userId":"{ID}","userId":"{ID}"}}"#),
            format!(r#"{{"userId":"{ID}","requestedBy":"{}"}}"#, "x".repeat(257)),
            format!(r#"{{"userId":"{ID}","reason":"{}"}}"#, "x".repeat(1025)),
            format!(r#"{{"userId":"{ID}","x":"{}"}}"#, "x".repeat(MAX_BODY_BYTES)),
            format!(r#"{{"userId":"{ID}""#),
        ] {
            assert!(parse(&body).is_err(), "{}", &body[..body.len().min(80)]);
        }
    }

    #[test]
    fn the_fault_never_repeats_the_body() {
        let error = parse(r#"{"userId":"s3cret-value","action":"s3cret"}"#).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

//! Messages: their bodies and their properties.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::known_faults::assert_known;
use super::page::base_uri;
use crate::adapters::amqp;
use crate::job::{Action, Request, UserId, parse_message};
use crate::manifest::{Kind, archive_key, parse_key};

/// The members of a body that decide whom it is about and what is done, read in another way.
struct Named {
    user_id: String,
    action: Option<String>,
}

impl Named {
    fn of(text: &str) -> Option<Self> {
        let object: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        if object.contains_key("specversion") && !object.contains_key("userId") {
            return Self::of(object.get("data")?.get());
        }

        let member = |name| serde_json::from_str(object.get(name)?.get()).ok()?;
        Some(Self {
            user_id: member("userId")?,
            action: member("action"),
        })
    }
}

/// A message body. The user ID of the job is the one in the body and is safe wherever an ID is
/// used; what is kept of the body is within the schema; and a fault does not repeat it.
pub fn message(body: &[u8]) -> bool {
    let (user_id, request) = match parse_message(body, Timestamp::UNIX_EPOCH) {
        Ok(read) => read,
        Err(fault) => {
            assert_known(&fault.to_string());
            return false;
        }
    };
    assert_safe(user_id);

    let text = std::str::from_utf8(body).expect("it is UTF-8");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let named = text.trim_ascii().trim_matches('"');
    let named = Some(text)
        .filter(|_| named.starts_with('{'))
        .and_then(Named::of)
        .unwrap_or_else(|| Named {
            user_id: named.to_owned(),
            action: None,
        });

    let plain = |id: &str| id.to_ascii_lowercase().replace('-', "");
    assert_eq!(plain(&named.user_id), plain(&user_id.to_string()));
    let meant = match named.action.as_deref() {
        Some(text) if text.eq_ignore_ascii_case("deactivate") => Action::Deactivate,
        Some(text) => {
            assert!(text.eq_ignore_ascii_case("delete"), "{text}");
            Action::Delete
        }
        None => Action::Delete,
    };
    assert_eq!(
        (named.action.is_some(), meant),
        (request.action_named, request.action)
    );

    let characters = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    assert!(characters(&request.requested_by) <= 256 && characters(&request.reason) <= 1024);
    let batch_id = request
        .batch_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        batch_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
    );
    assert_eq!(
        request.message_sha256,
        Some(hex::encode(Sha256::digest(body)))
    );

    // The checkpoint keeps everything except whether the message names the action.
    let kept = Request {
        action_named: false,
        ..request
    };
    let stored = serde_json::to_vec(&kept).expect("a request can be stored");
    assert_eq!(
        serde_json::from_slice::<Request>(&stored).expect("it reads back"),
        kept
    );
    true
}

/// The ID is canonical: exactly one segment of a path and one key of the store.
fn assert_safe(user_id: UserId) {
    let text = user_id.to_string();
    let canonical = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    assert!(
        text.len() == 36 && text.bytes().enumerate().all(canonical),
        "{text}"
    );
    assert_eq!(text.parse(), Ok(user_id));
    let url = base_uri(0).join(&format!("/users/{text}/x"));
    assert_eq!(
        url.expect("it fits into a URL").path(),
        format!("/users/{text}/x")
    );
    assert_eq!(
        parse_key(user_id, &archive_key(user_id, 2)),
        Some((Kind::Archive, 2))
    );
}

/// The properties of a message, as they are sent. Only small properties on the list are admitted;
/// our own headers are believed only from our own login; to admit them again changes nothing; and
/// what is shown of a dead letter is small. The first byte chooses the login, and whether the
/// message was delivered before.
pub fn headers(input: &[u8]) -> bool {
    let Some((how, bytes)) = input.split_first() else {
        return false;
    };
    amqp::admits(bytes, how % 2 == 0, how % 3 == 0)
}

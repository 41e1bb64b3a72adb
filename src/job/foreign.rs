//! Recognises what frameworks publish unless they are configured, so that the fault says what to
//! configure.

use serde_json::value::RawValue;

use super::member::Member;
use super::object::{Object, Value};

const CELERY: &str = "this is a Celery task: publish the raw JSON, with the producer of Kombu";
const MASS_TRANSIT: &str =
    "this is a MassTransit envelope: publish the raw JSON, with UseRawJsonSerializer";

/// What bytes are that are not the UTF-8 of JSON or of a user ID.
pub(super) fn of_bytes(body: &[u8]) -> Option<&'static str> {
    match body {
        [] => Some("the body is empty"),
        [0x1f, 0x8b, ..] => Some("this is compressed by gzip: publish plain JSON"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            Some("this is UTF-16: publish UTF-8")
        }
        [0xac, 0xed, 0, 5, ..] => {
            Some("this is a serialized Java object: publish JSON, with a JSON message converter")
        }
        [0x80, 2..=5, ..] => Some("this is a Python pickle: publish JSON"),
        _ => None,
    }
}

/// What a text is that is neither a user ID nor begins as a JSON object.
pub(super) fn of_text(text: &str) -> &'static str {
    if text.starts_with('[') {
        return if is_celery_task(text) {
            CELERY
        } else {
            "this is a list: one message names one user, publish one message for each"
        };
    }

    let inner = text
        .strip_prefix('"')
        .unwrap_or_default()
        .trim_ascii_start();
    if inner.starts_with('{') {
        "this is JSON inside a JSON string: encode it once"
    } else if text.starts_with("eyJ") {
        // Base64 of `{"`.
        "this is base64: publish plain JSON"
    } else if text.starts_with('<') {
        "this is XML: publish JSON"
    } else {
        "it is neither a JSON object nor a user ID"
    }
}

/// Protocol 2: positional arguments, named arguments, and what follows.
fn is_celery_task(text: &str) -> bool {
    type Task<'a> = (&'a RawValue, &'a RawValue, &'a RawValue);

    serde_json::from_str::<Task<'_>>(text).is_ok_and(|(positional, named, then)| {
        let then = then.get();
        positional.get().starts_with('[')
            && named.get().starts_with('{')
            && then.starts_with('{')
            && ["\"callbacks\"", "\"chord\""]
                .iter()
                .any(|name| then.contains(name))
    })
}

/// Whose envelope an object without a `userId` is.
pub(super) fn of_object(object: &Object<'_>) -> Option<&'static str> {
    let foreign = &object.foreign;
    if foreign.has_message && foreign.has_message_type {
        Some(MASS_TRANSIT)
    } else if foreign.has_task && foreign.has_arguments {
        Some(CELERY)
    } else {
        None
    }
}

/// The data of a `CloudEvents` event in structured mode: the message itself. `None` when the object
/// is no event.
pub(super) fn event_data<'de>(object: &Object<'de>) -> Option<Result<&'de RawValue, Vec<String>>> {
    let foreign = &object.foreign;
    let version = foreign.specversion.as_ref()?;
    if object.has(Member::UserId) {
        // A message whose publisher added a member of this name.
        return None;
    }

    let mut faults: Vec<String> = object
        .present()
        .map(|member| format!("{}: has to be in data", member.name()))
        .collect();
    faults.extend(object.faults.iter().cloned());
    if *version != Value::Text("1.0".to_owned()) {
        faults.push("specversion: has to be 1.0".to_owned());
    }
    if foreign.is_ambiguous {
        faults.push("specversion, type or data is there twice".to_owned());
    }
    match &foreign.kind {
        // Our own events name users, too. One that comes back to us must not delete its user.
        Some(Value::Text(kind)) if kind.starts_with("offboarding.") => {
            faults.push("this is an event of offboarder, and not a request".to_owned());
        }
        Some(Value::Text(_)) => {}
        Some(Value::Missing | Value::Other(_)) | None => {
            faults.push("type is missing".to_owned());
        }
    }

    let data = foreign.data.filter(|data| data.get().starts_with('{'));
    match data {
        None if foreign.has_data_base64 => {
            faults.push("data_base64 is not read: use data".to_owned());
            Some(Err(faults))
        }
        None => {
            faults.push("data: has to be an object that has userId".to_owned());
            Some(Err(faults))
        }
        Some(data) if faults.is_empty() => Some(Ok(data)),
        Some(_) => Some(Err(faults)),
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;

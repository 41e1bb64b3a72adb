//! What a message brings along, as far as it is believed. RabbitMQ checks the property `user_id`: it is the login of
//! whoever published. Headers of ours count only where it is our own login.

use std::borrow::Cow;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use super::headers::{Headers, text};
use super::topology::{
    DEATHS_HEADER, PUBLISHED_BY_HEADER, REFUSED_HEADER, WAIT_HEADER, WAIT_LEFT_HEADER,
};
use crate::job::MAX_BODY_BYTES;

/// All headers of a publisher together.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Arrays and tables within each other.
const MAX_DEPTH: usize = 16;
/// The W3C's limit of `tracestate`.
const MAX_TRACE_CHARS: usize = 512;
/// What is shown of the headers of a dead letter.
const MAX_SHOWN_BYTES: usize = 32 * 1024;
/// As deep as the broker's own `x-death`: an array of tables that hold an array.
const SHOWN_DEPTH: usize = 3;

const OURS: &str = "x-offboarder-";
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";

/// Takes a message of a queue of work in: what is not on the list is dropped, and a body over the limit is cut. What
/// is too large or too deep gets a header that says so: see [`REFUSED_HEADER`].
pub(super) fn admit(delivery: &mut Delivery, login: Option<&str>) {
    let foreign = std::mem::take(&mut delivery.properties);
    let publisher = foreign.user_id().as_ref().map(ShortString::as_str);
    let ours = publisher.is_some() && publisher == login;
    let table = foreign.headers().iter().flat_map(FieldTable::inner);
    let fault = if ours {
        None
    } else {
        foreign.headers().as_ref().and_then(too_much)
    };

    let mut headers = FieldTable::default();
    for (name, value) in table.filter(|_| fault.is_none()) {
        let believed = match name.as_str() {
            // A quorum queue writes it at a redelivery; before that it is the publisher's.
            DELIVERY_COUNT => delivery.redelivered,
            name if name.starts_with(OURS) => ours,
            _ => true,
        };
        if believed && let Some(value) = goes_on(name.as_str(), value) {
            headers.insert(name.clone(), value.into_owned());
        }
    }
    if !ours && let Some(publisher) = publisher {
        headers.insert(PUBLISHED_BY_HEADER.into(), text(publisher));
    }
    let faults: Vec<String> = fault.into_iter().chain(cut(&mut delivery.data)).collect();
    if !faults.is_empty() {
        headers.insert(REFUSED_HEADER.into(), text(&faults.join("; ")));
    }
    delivery.properties = listed(&foreign).with_headers(headers);
}

/// Takes a dead letter in, to be looked at: nothing of it is large or deep. Headers of ours on what RabbitMQ moved
/// here by itself (`x-death` says so) are a publisher's, unless `user_id` says otherwise.
pub(super) fn exhibit(delivery: &mut Delivery, login: Option<&str>) {
    let mut whole = std::mem::take(&mut delivery.properties);
    let publisher = whole.user_id().as_ref().map(ShortString::as_str);
    let table = whole.headers().iter().flat_map(FieldTable::inner);
    let moved = table.clone().any(|(name, _)| name.as_str() == "x-death");
    let ours = !moved || (publisher.is_some() && publisher == login);

    let (mut headers, mut left) = (FieldTable::default(), MAX_SHOWN_BYTES);
    let known = |name: &ShortString| name.as_str().starts_with(OURS) || name.as_str() == "x-death";
    let (first, then): (Vec<_>, Vec<_>) = table.partition(|(name, _)| known(name));
    for (name, value) in first.into_iter().chain(then) {
        if (ours || !name.as_str().starts_with(OURS)) && spend(&mut left, name.as_str().len()) {
            headers.insert(name.clone(), shown(value, SHOWN_DEPTH, &mut left));
        }
    }
    if moved
        && !ours
        && let Some(publisher) = publisher
    {
        headers.insert(PUBLISHED_BY_HEADER.into(), text(publisher));
    }
    if let Some(fault) = cut(&mut delivery.data) {
        headers.insert(REFUSED_HEADER.into(), text(&fault));
    }
    whole = whole.with_headers(headers);
    delivery.properties = whole;
}

/// The properties of a message that takes the place of another one: what is on the list, but for what an earlier
/// wait said; `added` on top.
pub(crate) fn clean_headers(properties: &BasicProperties, added: Headers) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let past =
            [WAIT_HEADER, WAIT_LEFT_HEADER, DEATHS_HEADER, DELIVERY_COUNT].contains(&name.as_str());
        if !past && let Some(value) = goes_on(name.as_str(), value) {
            headers.insert(name.clone(), value.into_owned());
        }
    }
    for (name, value) in added {
        headers.insert(ShortString::from(name), value);
    }
    listed(properties).with_headers(headers)
}

/// The same without anything of the publisher's: for a message that the broker would not take with it.
pub(crate) fn bare(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if name.as_str().starts_with(OURS) {
            headers.insert(name.clone(), value.clone());
        }
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_headers(headers)
}

/// The properties that go on, without headers. Not among them: `expiration` would drop the job behind our back, the
/// broker refuses a `user_id` that is not our own, and looks up `reply_to`.
fn listed(properties: &BasicProperties) -> BasicProperties {
    let mut kept = BasicProperties::default().with_delivery_mode(2);
    macro_rules! carry {
        ($($get:ident => $with:ident),*) => {
            $(if let Some(value) = properties.$get().clone() { kept = kept.$with(value); })*
        };
    }
    carry!(content_type => with_content_type, correlation_id => with_correlation_id,
        message_id => with_message_id, timestamp => with_timestamp);
    kept
}

/// A header that goes on with its message, as it goes on.
fn goes_on<'a>(name: &str, value: &'a AMQPValue) -> Option<Cow<'a, AMQPValue>> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        // The broker routes to every key in these.
        "cc" | "bcc" => return None,
        "traceparent" | "tracestate" => {
            return trace_text(value).map(|short| Cow::Owned(text(short)));
        }
        _ => {}
    }
    let brokers_own = [
        "x-death",
        "x-first-death-",
        "x-last-death-",
        "x-opt-",
        "x-received-from",
        "x-shovelled",
    ];
    let is_scalar = !matches!(value, AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_));
    let stays = is_scalar && !brokers_own.iter().any(|prefix| lower.starts_with(prefix));
    stays.then_some(Cow::Borrowed(value))
}

/// Part of a trace: short, and in the characters that the W3C has for it.
fn trace_text(value: &AMQPValue) -> Option<&str> {
    let text = match value {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok()?,
        AMQPValue::ShortString(value) => value.as_str(),
        _ => return None,
    };
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (printable && text.len() <= MAX_TRACE_CHARS).then_some(text)
}

/// Why headers of a publisher are too much, if they are.
fn too_much(headers: &FieldTable) -> Option<String> {
    let Some(bytes) = weight_of(headers, MAX_DEPTH) else {
        return Some(format!("its headers are nested over {MAX_DEPTH} deep"));
    };
    (bytes > MAX_HEADER_BYTES)
        .then(|| format!("its headers have {bytes} bytes, over {MAX_HEADER_BYTES}"))
}

/// Bytes of a table, nearly as they are sent; `None` for one that is too deep.
fn weight_of(table: &FieldTable, depth: usize) -> Option<usize> {
    let mut bytes = 4;
    for (name, value) in table.inner() {
        bytes += 1 + name.as_str().len() + weight(value, depth)?;
    }
    Some(bytes)
}

fn weight(value: &AMQPValue, depth: usize) -> Option<usize> {
    match value {
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == 0 => None,
        AMQPValue::FieldArray(values) => values
            .as_slice()
            .iter()
            .try_fold(5, |bytes, value| Some(bytes + weight(value, depth - 1)?)),
        AMQPValue::FieldTable(table) => weight_of(table, depth - 1).map(|bytes| bytes + 1),
        AMQPValue::LongString(value) => Some(5 + value.len()),
        AMQPValue::ByteArray(value) => Some(5 + value.len()),
        AMQPValue::ShortString(value) => Some(2 + value.as_str().len()),
        _ => Some(9),
    }
}

/// Takes so many bytes of a budget, if they are there.
const fn spend(left: &mut usize, bytes: usize) -> bool {
    match left.checked_sub(bytes + 8) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

/// A copy as far as the budget goes; the rest is nothing.
fn shown(value: &AMQPValue, depth: usize, left: &mut usize) -> AMQPValue {
    let fits = match value {
        AMQPValue::LongString(text) => spend(left, text.len()),
        AMQPValue::ByteArray(bytes) => spend(left, bytes.len()),
        AMQPValue::ShortString(text) => spend(left, text.as_str().len()),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => depth > 0 && spend(left, 0),
        _ => spend(left, 0),
    };
    match value {
        _ if !fits => AMQPValue::Void,
        AMQPValue::FieldArray(values) => {
            let mut copy = FieldArray::default();
            for value in values.as_slice() {
                copy.push(shown(value, depth - 1, left));
            }
            AMQPValue::FieldArray(copy)
        }
        AMQPValue::FieldTable(table) => {
            let mut copy = FieldTable::default();
            for (name, value) in table.inner() {
                copy.insert(name.clone(), shown(value, depth - 1, left));
            }
            AMQPValue::FieldTable(copy)
        }
        scalar => scalar.clone(),
    }
}

/// Cuts a body to the limit, and says so.
fn cut(body: &mut Vec<u8>) -> Option<String> {
    let bytes = body.len();
    if bytes <= MAX_BODY_BYTES {
        return None;
    }
    body.truncate(MAX_BODY_BYTES);
    body.shrink_to_fit();
    Some(format!(
        "its body has {bytes} bytes, over {MAX_BODY_BYTES}, and is cut to that"
    ))
}

/// What the fuzz target checks of properties as they are sent; whether they could be read.
#[expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]
#[cfg(any(test, fuzzing))]
pub(crate) fn admits(bytes: &[u8], ours: bool, redelivered: bool) -> bool {
    const LOGIN: &str = "offboarder-worker";
    let Ok((_rest, mut foreign)) = lapin::protocol::basic::parse_properties(bytes) else {
        return false;
    };
    if ours {
        foreign = foreign.with_user_id(LOGIN.into());
    }
    let deliver = |properties: &BasicProperties| {
        let mut delivery = Delivery::mock(
            1,
            "offboarding".into(),
            "users".into(),
            redelivered,
            Vec::new(),
        );
        delivery.properties = properties.clone();
        delivery
    };
    let mut delivery = deliver(&foreign);
    admit(&mut delivery, Some(LOGIN));
    let admitted = delivery.properties.clone();
    let bare =
        |properties: &BasicProperties| properties.clone().with_headers(FieldTable::default());
    assert_eq!(bare(&admitted), bare(&listed(&foreign)));
    let table = admitted.headers().as_ref().expect("there is a table");
    let weight = weight_of(table, 0).expect("nothing is nested");
    assert!(ours || weight <= MAX_HEADER_BYTES + 600, "{weight} bytes");
    for name in table.inner().keys() {
        let name = name.as_str().to_ascii_lowercase();
        assert!(!["cc", "bcc", "x-death"].contains(&name.as_str()), "{name}");
        let own = name == PUBLISHED_BY_HEADER || name == REFUSED_HEADER;
        assert!(
            ours || own || !name.starts_with(OURS) || !table.contains_key(&name),
            "{name}"
        );
    }
    // As it comes back, published by ourselves.
    let successor = clean_headers(&admitted, Vec::new());
    let mut again = deliver(&successor.clone().with_user_id(LOGIN.into()));
    admit(&mut again, Some(LOGIN));
    // What is no number is not equal to itself.
    let text = |properties: &BasicProperties| format!("{properties:?}");
    assert_eq!(
        text(&clean_headers(&again.properties, Vec::new())),
        text(&successor)
    );

    let mut letter = deliver(&foreign);
    exhibit(&mut letter, Some(LOGIN));
    let shown = letter
        .properties
        .headers()
        .as_ref()
        .expect("there is a table");
    let weight = weight_of(shown, SHOWN_DEPTH + 1).expect("nothing is deep");
    assert!(weight <= MAX_SHOWN_BYTES * 2, "{weight} bytes are shown");
    super::plain_properties(&letter.properties);
    true
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;

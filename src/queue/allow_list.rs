//! Which parts of a message count. RabbitMQ checks the property `user_id`: it is the login of the
//! publisher. Headers of ours count only where that is our own login; otherwise anybody who may publish could forge them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::headers::{DEATH, DELIVERY_COUNT, OURS, PUBLISHED_BY, REFUSED, TRACEPARENT, TRACESTATE};
use super::{Envelope, HeaderValue, Incoming, Properties};
use crate::job::MAX_BODY_BYTES;

/// All headers of a publisher together.
pub(crate) const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Arrays and tables within each other.
const MAX_DEPTH: usize = 16;
/// The W3C's limit of `tracestate`.
const MAX_TRACE_CHARS: usize = 512;
/// What is shown of the headers of a dead letter.
pub(crate) const MAX_SHOWN_BYTES: usize = 32 * 1024;
/// As deep as the broker's own `x-death`: an array of tables that hold an array.
pub(crate) const SHOWN_DEPTH: usize = 3;

type Table = BTreeMap<String, HeaderValue>;

/// Admits a message of a queue of jobs: drops what is not on the list, and cuts a body over the limit. A message that
/// is too large or too deep gets the header [`REFUSED`], which says why.
pub(crate) fn admit(incoming: Incoming, login: Option<&str>) -> Envelope {
    let Incoming {
        exchange,
        routing_key,
        redelivered,
        properties: foreign,
        mut body,
    } = incoming;
    let publisher = foreign.user_id.as_deref();
    let ours = publisher.is_some() && publisher == login;
    let fault = if ours {
        None
    } else {
        too_much(&foreign.headers)
    };

    let mut properties = listed(&foreign);
    for (name, value) in foreign.headers.iter().filter(|_| fault.is_none()) {
        let believed = match name.as_str() {
            // A quorum queue writes it at a redelivery; before that it is the publisher's.
            DELIVERY_COUNT => redelivered,
            name if name.starts_with(OURS) => ours,
            _ => true,
        };
        if believed && let Some(value) = goes_on(name, value) {
            properties.headers.insert(name.clone(), value.into_owned());
        }
    }

    if !ours && let Some(publisher) = publisher {
        properties.add(vec![(PUBLISHED_BY, publisher.into())]);
    }
    let faults: Vec<String> = fault.into_iter().chain(cut(&mut body)).collect();
    if !faults.is_empty() {
        properties.add(vec![(REFUSED, faults.join("; ").into())]);
    }
    Envelope::new(exchange, routing_key, properties, body)
}

/// Admits a dead letter, to be shown: nothing of it is large or deep. Headers of ours on a message that RabbitMQ
/// dead-lettered by itself (`x-death` says so) are a publisher's, unless `user_id` says otherwise.
pub(crate) fn admit_dead_letter(incoming: Incoming, login: Option<&str>) -> Envelope {
    let Incoming {
        exchange,
        routing_key,
        mut properties,
        mut body,
        ..
    } = incoming;
    let publisher = properties.user_id.clone();
    let all = std::mem::take(&mut properties.headers);
    let moved = all.contains_key(DEATH);
    let ours = !moved || (publisher.is_some() && publisher.as_deref() == login);

    let mut left = MAX_SHOWN_BYTES;
    // Ours and the broker's come first: a publisher's must not use up the space.
    let known = |name: &str| name.starts_with(OURS) || name == DEATH;
    let (first, rest): (Vec<_>, Vec<_>) = all.iter().partition(|(name, _)| known(name));
    for (name, value) in first.into_iter().chain(rest) {
        if (ours || !name.starts_with(OURS)) && spend(&mut left, name.len()) {
            let value = shown(value, SHOWN_DEPTH, &mut left);
            properties.headers.insert(name.clone(), value);
        }
    }

    if moved
        && !ours
        && let Some(publisher) = publisher
    {
        properties.add(vec![(PUBLISHED_BY, publisher.into())]);
    }
    if let Some(fault) = cut(&mut body) {
        properties.add(vec![(REFUSED, fault.into())]);
    }
    Envelope::new(exchange, routing_key, properties, body)
}

/// The properties that a successor keeps, without headers. Not among them: `expiration`, which would drop the job
/// silently; `user_id`, which the broker refuses unless it is our own; and `reply_to`, which it looks up.
pub(super) fn listed(properties: &Properties) -> Properties {
    Properties {
        content_type: properties.content_type.clone(),
        correlation_id: properties.correlation_id.clone(),
        message_id: properties.message_id.clone(),
        timestamp: properties.timestamp,
        ..Properties::default()
    }
}

/// A header as it stays on its message, if it stays.
pub(super) fn goes_on<'a>(name: &str, value: &'a HeaderValue) -> Option<Cow<'a, HeaderValue>> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        // The broker routes to every key in these.
        "cc" | "bcc" => return None,
        TRACEPARENT | TRACESTATE => {
            return trace_text(value).map(|short| Cow::Owned(short.into()));
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
    let is_scalar = !matches!(value, HeaderValue::Array(_) | HeaderValue::Table(_));
    let stays = is_scalar && !brokers_own.iter().any(|prefix| lower.starts_with(prefix));

    stays.then_some(Cow::Borrowed(value))
}

/// Part of a trace: short, and in the characters that the W3C has for it.
fn trace_text(value: &HeaderValue) -> Option<&str> {
    let text = value.as_text()?;
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (printable && text.len() <= MAX_TRACE_CHARS).then_some(text)
}

/// Why headers of a publisher are too much, if they are.
fn too_much(headers: &Table) -> Option<String> {
    let Some(bytes) = weight_of(headers, MAX_DEPTH) else {
        return Some(format!("its headers are nested over {MAX_DEPTH} deep"));
    };
    (bytes > MAX_HEADER_BYTES)
        .then(|| format!("its headers have {bytes} bytes, over {MAX_HEADER_BYTES}"))
}

/// Bytes of a table, nearly as they are sent; `None` for one that is too deep.
pub(crate) fn weight_of(table: &Table, depth: usize) -> Option<usize> {
    let mut bytes = 4;
    for (name, value) in table {
        bytes += 1 + name.len() + weight(value, depth)?;
    }
    Some(bytes)
}

fn weight(value: &HeaderValue, depth: usize) -> Option<usize> {
    match value {
        HeaderValue::Array(_) | HeaderValue::Table(_) if depth == 0 => None,
        HeaderValue::Array(values) => values
            .iter()
            .try_fold(5, |bytes, value| Some(bytes + weight(value, depth - 1)?)),
        HeaderValue::Table(table) => weight_of(table, depth - 1).map(|bytes| bytes + 1),
        HeaderValue::Text(value) | HeaderValue::Bytes(value) => Some(5 + value.len()),
        HeaderValue::ShortText(value) => Some(2 + value.len()),
        _ => Some(9),
    }
}

/// Takes `bytes` from a budget, if it has that much.
const fn spend(left: &mut usize, bytes: usize) -> bool {
    match left.checked_sub(bytes + 8) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

/// A copy as far as the budget goes; the rest is void.
fn shown(value: &HeaderValue, depth: usize, left: &mut usize) -> HeaderValue {
    let fits = match value {
        HeaderValue::Text(bytes) | HeaderValue::Bytes(bytes) => spend(left, bytes.len()),
        HeaderValue::ShortText(text) => spend(left, text.len()),
        HeaderValue::Array(_) | HeaderValue::Table(_) => depth > 0 && spend(left, 0),
        _ => spend(left, 0),
    };
    match value {
        _ if !fits => HeaderValue::Void,
        HeaderValue::Array(values) => {
            let values = values.iter();
            HeaderValue::Array(values.map(|value| shown(value, depth - 1, left)).collect())
        }
        HeaderValue::Table(table) => {
            let table = table.iter();
            let copy = table.map(|(name, value)| (name.clone(), shown(value, depth - 1, left)));
            HeaderValue::Table(copy.collect())
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

#[cfg(test)]
#[path = "allow_list_tests.rs"]
mod tests;

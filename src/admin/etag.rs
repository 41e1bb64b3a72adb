//! Entity tags: a client that has the document already gets 304 and no body. The tag is that of the document without its
//! `asOf` members, so it is weak, and a 304 means: what you have is what the server would send now, which may be an answer of
//! up to ten seconds ago that readers share.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Longer documents are lists that are read once.
const TAGGED_UP_TO: usize = 1024 * 1024;

/// Gives each JSON document that is read a tag.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known: Vec<HeaderValue> = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .cloned()
        .collect();
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK || !is_short_json(&response) {
        return response;
    }

    let (mut parts, body) = response.into_parts();
    // The body is in memory already, since its length is known.
    let Ok(body) = to_bytes(body, TAGGED_UP_TO).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Some(tag) = tag_of(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    let is_known = known.iter().any(|known| names(known, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if !is_known {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    Response::from_parts(parts, Body::empty())
}

/// Streams have no length.
fn is_short_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let length = HttpBody::size_hint(response.body()).exact();
    kind.is_some_and(|kind| kind == "application/json")
        && length.is_some_and(|length| length <= TAGGED_UP_TO as u64)
}

fn tag_of(body: &[u8]) -> Option<String> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    remove_times(&mut document);
    let digest = Sha256::digest(serde_json::to_vec(&document).ok()?);
    let short = digest.get(..16)?;
    Some(format!("W/\"{}\"", hex::encode(short)))
}

fn remove_times(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.remove("asOf");
            members.values_mut().for_each(remove_times);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether `If-None-Match` names the tag, compared weakly (RFC 9110, 13.1.2).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(known) = known.to_str() else {
        return false;
    };
    known.trim() == "*" || known.split(',').any(|known| opaque(known) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_that_of_the_facts_and_not_of_their_time() {
        let tag = |text: &str| tag_of(text.as_bytes());
        let one = tag(r#"{"asOf":"1","a":[{"asOf":"2","n":1}]}"#);
        assert_eq!(one, tag(r#"{"a":[{"n":1,"asOf":"9"}],"asOf":"8"}"#));
        assert_ne!(one, tag(r#"{"asOf":"1","a":[{"asOf":"2","n":2}]}"#));
        assert_eq!(tag("no JSON"), None);
    }

    #[test]
    fn a_tag_is_found_in_any_form_of_the_header() {
        let tag = "W/\"abc\"";
        for known in ["W/\"abc\"", "\"abc\"", "\"x\", W/\"abc\"", "*"] {
            assert!(names(&HeaderValue::from_static(known), tag), "{known}");
        }
        for other in ["", "\"ab\"", "abc", "\"x\""] {
            assert!(!names(&HeaderValue::from_static(other), tag), "{other}");
        }
    }
}

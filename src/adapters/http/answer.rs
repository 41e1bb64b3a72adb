//! What an error answer means: its code, whether the API itself sent it, and what follows from its status.

use jiff::Timestamp;
use reqwest::header::{
    CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER, SERVER, WWW_AUTHENTICATE,
};
use serde_json::Value;

use super::dialect::Dialect;
use super::error::ApiError;
use super::retry_after::retry_after;

const SCIM_ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An answer to a call.
#[derive(Clone, Copy)]
pub(super) struct Received<'a> {
    /// The call.
    pub(super) what: &'a str,
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) correlation_id: &'a str,
    pub(super) at: Timestamp,
}

/// The error that the status means; `scope` is the right that the call needs.
pub(super) fn refusal(received: Received<'_>, dialect: &Dialect, scope: &'static str) -> ApiError {
    let Received {
        status,
        headers,
        body,
        at,
        ..
    } = received;
    let what = received.what.to_owned();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let code =
        named_code(dialect, headers, body).map_or_else(String::new, |code| format!(" {code}"));
    let retry_after = retry_after(header(RETRY_AFTER), header(DATE), at);

    match status {
        401 => ApiError::Unauthorized {
            what,
            status,
            code,
            readings: "",
        },
        403 if is_missing_right(dialect, headers, body) => ApiError::MissingScope {
            what,
            right: dialect.right,
            scope,
        },
        403 | 404 | 410 if !is_own_error(dialect, headers, body) => ApiError::Foreign {
            what,
            status,
            shown: describe(headers, body),
        },
        429 => ApiError::Throttled { what, retry_after },
        408 | 500..=599 => ApiError::Server {
            what,
            status,
            code,
            retry_after,
        },
        _ => ApiError::Rejected {
            what,
            status,
            code,
            correlation_id: received.correlation_id.to_owned(),
            advice: advice(status, dialect, scope),
            may_lack_right: status == 403 && dialect.hides_missing_rights,
        },
    }
}

/// A 403 is this user's own, or the credentials lack a right: it does not say which.
fn advice(status: u16, dialect: &Dialect, scope: &str) -> String {
    if status != 403 || scope.is_empty() {
        return String::new();
    }
    let right = dialect.right;
    format!(
        "; the call needs the {right} {scope}: grant it if the credentials lack it, and replay; if they have it, the vendor refuses this user"
    )
}

/// Whether a 403 is the fault of the deployment, not of this user (RFC 6750 section 3.1).
pub(super) fn is_missing_right(dialect: &Dialect, headers: &HeaderMap, body: &[u8]) -> bool {
    let challenged = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("insufficient_scope"));
    challenged
        || code_of(body).is_some_and(|code| {
            code == "insufficient_scope" || dialect.missing_right.contains(&code.as_str())
        })
}

/// Whether a body says that the object does not exist.
pub(super) fn says_missing(dialect: &Dialect, headers: &HeaderMap, body: &[u8]) -> bool {
    let names_it = || code_of(body).is_some_and(|code| dialect.not_found.contains(&code.as_str()));
    is_own_error(dialect, headers, body) && (dialect.not_found.is_empty() || names_it())
}

/// Whether this API sent an error body: one by which errors of any API are known, or a JSON object that has a member, or
/// came with a header, that only errors of this API have.
pub(super) fn is_own_error(dialect: &Dialect, headers: &HeaderMap, body: &[u8]) -> bool {
    if is_the_apis(body) {
        return true;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let has_member = |member: &&str| members.get(*member).is_some_and(|value| !value.is_null());
    let has_header = |name| headers.contains_key(name);
    dialect.own_error.iter().any(has_member) || dialect.error_header.is_some_and(has_header)
}

/// Whether the API itself sent an error body: a JSON object with a member that names the error, or an error of SCIM.
/// A firewall sends HTML, an API gateway sends only a `message`, and some proxies send nothing.
pub(crate) fn is_the_apis(body: &[u8]) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let names_it = |member: &str| match members.get(member) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(_)) => true,
        Some(Value::Object(members)) => !members.is_empty(),
        Some(Value::Array(errors)) => errors.iter().any(Value::is_object),
        Some(Value::Null | Value::Bool(_)) | None => false,
    };
    is_scim_error(body)
        || [
            "code",
            "errorCode",
            "error_code",
            "scimType",
            "error",
            "errors",
        ]
        .into_iter()
        .any(names_it)
}

pub(crate) fn is_scim_error(body: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let schemas = value
        .as_ref()
        .and_then(|value| value.get("schemas"))
        .and_then(Value::as_array);
    schemas.is_some_and(|schemas| {
        schemas
            .iter()
            .any(|schema| schema.as_str() == Some(SCIM_ERROR))
    })
}

/// Type and server of an answer that is not the API's, and nothing of its body.
pub(super) fn describe(headers: &HeaderMap, body: &[u8]) -> String {
    let header = |name: HeaderName| {
        let text = headers.get(name)?.to_str().ok()?;
        Some(
            text.chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect::<String>(),
        )
    };
    let kind = match header(CONTENT_TYPE) {
        _ if body.is_empty() => "an empty body".to_owned(),
        Some(kind) => kind,
        None => "no Content-Type".to_owned(),
    };
    header(SERVER).map_or_else(
        || kind.clone(),
        |server| format!("{kind}, Server: {server}"),
    )
}

/// The error code of a body in any of the known shapes.
pub(crate) fn code_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);

    let nested = value
        .get("error")
        .and_then(|error| error.get("code"))
        .and_then(text);
    let listed = value
        .get("errors")
        .and_then(|errors| errors.get(0))
        .and_then(|error| error.get("code"))
        .and_then(text);

    ["code", "errorCode", "error_code", "scimType", "error"]
        .iter()
        .find_map(|member| value.get(member).and_then(text))
        .or(nested)
        .or(listed)
        .map(|code| {
            code.chars()
                .filter(char::is_ascii_graphic)
                .take(64)
                .collect()
        })
}

/// The error code of the body, or else of the header that the API has for it. A sentence there is no code: it may name a
/// person, and would make each refusal another one.
fn named_code(dialect: &Dialect, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    code_of(body).or_else(|| {
        let text = headers.get(dialect.error_header?)?.to_str().ok()?.trim();
        let is_word =
            (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_word.then(|| text.to_owned())
    })
}

/// The same with a space before it; empty if there is none.
pub(super) fn error_code(body: &[u8]) -> String {
    code_of(body).map_or_else(String::new, |code| format!(" {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::http::STANDARD;
    use crate::failure::{Class, Classify as _, Code};

    #[test]
    fn the_code_is_found_in_every_known_shape_of_error_body() {
        for body in [
            r#"{"code":"x","message":"m"}"#,
            r#"{"error":"x","error_description":"d"}"#,
            r#"{"error":{"code":"x"}}"#,
            r#"{"errors":[{"code":"x"}]}"#,
            r#"{"schemas":[],"scimType":"x","status":"400"}"#,
        ] {
            assert_eq!(code_of(body.as_bytes()).as_deref(), Some("x"), "{body}");
        }
        for body in ["", "<html>", "{\"code\":", "[]", "null"] {
            assert_eq!(code_of(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn an_error_is_the_apis_own_only_by_its_json() {
        for body in [
            r#"{"code":"not_found","message":"no such user"}"#,
            r#"{"error":{"code":404}}"#,
            r#"{"errors":[{"message":"x"}]}"#,
            r#"{"errorCode":1021}"#,
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}"#,
        ] {
            assert!(is_the_apis(body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>",
            "{\"code\":\"not_f",
            r#"{"message":"Missing Authentication Token"}"#,
            r#"{"code":"","error":null,"errors":[]}"#,
            r#"[{"code":"x"}]"#,
            r#""not_found""#,
            r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}"#,
        ] {
            assert!(!is_the_apis(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn an_api_that_has_words_for_not_found_says_it_with_no_other_word() {
        let worded = Dialect {
            not_found: &["not.found"],
            ..STANDARD
        };
        let none = HeaderMap::new();
        let own = br#"{"code":"not.found","message":"m","status":404}"#;
        let other = br#"{"code":"bad.request","message":"m","status":404}"#;
        assert!(says_missing(&worded, &none, own) && !says_missing(&worded, &none, other));
        assert!(says_missing(&STANDARD, &none, own) && says_missing(&STANDARD, &none, other));
        for body in [&b""[..], b"<html>", br#"{"message":"not.found"}"#] {
            assert!(!says_missing(&worded, &none, body) && !says_missing(&STANDARD, &none, body));
        }
    }

    #[test]
    fn an_error_in_a_shape_of_one_api_is_no_error_of_another() {
        let shaped = Dialect {
            own_error: &["httpCode"],
            error_header: Some("icStatusDescription"),
            ..STANDARD
        };
        let none = HeaderMap::new();
        let described: HeaderMap = [("icstatusdescription", "No such agent")]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let team = br#"{"message":"m","httpCode":404}"#;
        let bare = br#"{"message":"m"}"#;
        assert!(is_own_error(&shaped, &none, team) && is_own_error(&shaped, &described, bare));
        assert!(!is_own_error(&shaped, &none, bare) && !is_own_error(&shaped, &none, b"[]"));
        for body in [&b""[..], b"<html>"] {
            assert!(!is_own_error(&shaped, &described, body), "no JSON");
        }
        for body in [&team[..], bare] {
            assert!(!is_own_error(&STANDARD, &described, body), "another API");
        }
    }

    #[test]
    fn a_refusal_that_the_api_did_not_send_is_transient() {
        let headers: HeaderMap = [(CONTENT_TYPE, "text/html"), (SERVER, "Akamai\tGHost")]
            .into_iter()
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect();
        let refused = |status, headers: &HeaderMap, body: &[u8]| {
            let received = Received {
                what: "GET /x",
                status,
                headers,
                body,
                correlation_id: "",
                at: Timestamp::UNIX_EPOCH,
            };
            refusal(received, &STANDARD, "")
        };

        let html = b"<HTML><HEAD><TITLE>Access Denied</TITLE>";
        for status in [403, 404, 410] {
            let error = refused(status, &headers, html);
            assert_eq!(
                error.classify(),
                (Class::Transient, Code::CxoneForeignAnswer),
                "{error}"
            );
            assert!(
                error.to_string().contains("text/html, Server: AkamaiGHost"),
                "{error}"
            );
            let own = refused(status, &headers, br#"{"code":"no"}"#);
            assert_eq!(own.code(), Code::CxoneRejected, "{own}");
        }
        let empty = refused(404, &HeaderMap::new(), b"").to_string();
        assert!(empty.contains("an empty body"), "{empty}");
        assert_eq!(refused(400, &headers, html).code(), Code::CxoneRejected);
    }

    #[test]
    fn an_error_that_is_nested_too_deeply_is_not_the_apis_own() {
        let deep = b"[".repeat(16 * 1024);
        let object = [b"{\"code\":".as_slice(), &deep].concat();
        for body in [deep, object] {
            assert!(!is_the_apis(&body) && !is_scim_error(&body) && code_of(&body).is_none());
        }
    }
}

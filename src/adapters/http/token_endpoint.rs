//! Whether a token endpoint answers at the URL of the token, or something else does. A wrong path is the most frequent
//! fault of a first set-up, and says nothing about the credentials.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;

use super::answer::{code_of, describe};
use super::error::ApiError;

/// The errors of RFC 6749 section 5.2 that are about the client: only a token endpoint sends them.
const OF_OAUTH: [&str; 6] = [
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// The error if what answered is no token endpoint.
pub(super) fn no_endpoint(
    uri: &Url,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<ApiError> {
    let is_oauth = code_of(body).is_some_and(|code| OF_OAUTH.contains(&code.as_str()));
    let elsewhere = match status {
        300..=399 | 404 | 405 | 410 | 501 => !is_oauth,
        // A 401 is about the credentials, in any format.
        200 | 400 | 402..=407 | 409..=428 | 430..=499 => is_html(headers, body),
        _ => false,
    };

    elsewhere.then(|| ApiError::NoTokenEndpoint {
        uri: uri.to_string(),
        status,
        shown: describe(headers, body),
    })
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.to_ascii_lowercase().contains("html") || body.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(status: u16, kind: &str, body: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        let uri = Url::parse("https://api.example/api/v2/oauth/token").unwrap();
        no_endpoint(&uri, status, &headers, body.as_bytes()).map(|error| error.to_string())
    }

    #[test]
    fn another_server_at_the_url_of_the_token_is_named_as_such() {
        let json = "application/json";
        for (status, kind, body) in [
            (404, json, r#"{"error":"Not Found"}"#),
            (404, "text/html", "<html>"),
            (405, json, ""),
            (302, "text/plain", ""),
            (200, "text/html", "<html>Please log in"),
            (403, "text/html; charset=utf-8", "denied"),
            (200, "text/plain", "\n <!doctype html>"),
        ] {
            let text = says(status, kind, body).unwrap();
            let begins = "no token endpoint at https://api.example/api/v2/oauth/token (";
            assert!(text.starts_with(begins), "{text}");
            assert!(text.contains("set OFFBOARDER_CXONE_TOKEN_URI"), "{text}");
            assert!(!text.contains("refused"), "{text}");
        }
    }

    #[test]
    fn a_token_endpoint_that_refuses_is_one() {
        let json = "application/json";
        for (status, kind, body) in [
            (200, json, r#"{"access_token":"t"}"#),
            (400, json, r#"{"error":"invalid_client"}"#),
            (404, json, r#"{"error":"invalid_client"}"#),
            (401, "text/html", "<html>"),
            (403, json, r#"{"error":"access_denied"}"#),
            (500, "text/html", "<html>"),
            (429, "text/html", "<html>"),
        ] {
            assert_eq!(says(status, kind, body), None, "{status} {body}");
        }
    }
}

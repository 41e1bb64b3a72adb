use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, ETAG, HeaderMap, IF_MATCH, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use reqwest::{Method, Response};
use serde_json::Value;
use tracing::{Instrument as _, Span};
use url::Url;

use super::error::CxoneError;
use super::quota::Quota;
use super::retry_after::retry_after;
use super::token::Tokens;
use crate::failure::Classify as _;
use crate::machine::Call;
use crate::ports::QuotaClass;
use crate::progress;
use crate::telemetry::{metrics, span};

const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
const MAX_ERROR_BYTES: usize = 16 * 1024;
/// ENFILE and EMFILE of Linux: the machine's files are used up, or this process's.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];

/// One call, as the client wants it.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) class: QuotaClass,
    pub(super) scope: &'static str,
    pub(super) media_type: &'static str,
    pub(super) if_match: Option<&'a str>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
}

impl Request<'_> {
    pub(super) fn new(method: Method, url: Url, class: QuotaClass, scope: &'static str) -> Self {
        Self {
            method,
            url,
            class,
            scope,
            media_type: "application/json",
            if_match: None,
            body: None,
            max_bytes: MAX_DOCUMENT_BYTES,
            timeout: Duration::from_mins(1),
        }
    }
}

/// An answer whose status the client knows what to do with, or has to judge.
pub(super) struct Reply {
    pub(super) what: String,
    pub(super) call: Call,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    scope: &'static str,
    correlation_id: String,
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        self.call.status
    }

    pub(super) fn etag(&self) -> Option<String> {
        self.headers.get(ETAG)?.to_str().ok().map(str::to_owned)
    }

    /// The error that this status stands for where the client expected none.
    pub(super) fn refusal(&self) -> CxoneError {
        refusal(&self.what, self.status(), &self.headers, &self.body, self.scope, &self.correlation_id)
    }

    pub(super) fn unreadable(&self, why: impl Into<String>) -> CxoneError {
        CxoneError::Unreadable { what: self.what.clone(), why: why.into() }
    }
}

/// Sends calls: token, quota, headers, caps and timeouts are its business.
pub(super) struct Transport {
    pub(super) http: reqwest::Client,
    pub(super) tokens: Tokens,
    pub(super) routing: Quota,
    pub(super) scim: Quota,
    pub(super) analytics: Quota,
}

impl Transport {
    pub(super) fn http() -> Result<reqwest::Client, CxoneError> {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(30))
            .timeout(Duration::from_mins(1))
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("offboarder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| CxoneError::Setup(error.to_string()))
    }

    const fn quota(&self, class: QuotaClass) -> &Quota {
        match class {
            QuotaClass::Routing => &self.routing,
            QuotaClass::Scim => &self.scim,
            QuotaClass::Analytics => &self.analytics,
        }
    }

    /// Sends a call, with a new token once if the first is refused. Statuses that mean the same for
    /// every call (401, 429, redirects) are errors here; the rest is the client's to judge.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CxoneError> {
        let mut renewed = false;
        loop {
            let token = self.tokens.get().await?;
            let quota = self.quota(request.class);
            let asked = std::time::Instant::now();
            quota.wait().await;
            let span = span::api_call(request.method.as_str(), &request.url, Some(request.class));
            span.record(
                "offboarder.quota_wait_ms",
                i64::try_from(asked.elapsed().as_millis()).unwrap_or(i64::MAX),
            );
            let sent = self.send_once(&request, token.expose()).instrument(span.clone()).await;
            tell(&span, &sent);
            let reply = sent?;
            match reply.status() {
                401 if !renewed => {
                    renewed = true;
                    self.tokens.drop_refused(&token).await;
                }
                401 => {
                    let code = error_code(&reply.body);
                    return Err(CxoneError::Unauthorized { what: reply.what, status: 401, code });
                }
                429 => {
                    let error = reply.refusal();
                    quota.throttled(error.retry_after()).await;
                    return Err(error);
                }
                300..=399 => {
                    return Err(CxoneError::Redirected { what: reply.what.clone(), status: reply.status() });
                }
                403 if is_missing_scope(&reply.headers, &reply.body) => {
                    // A token keeps the scopes that it was issued with; the next one may have more.
                    self.tokens.drop_refused(&token).await;
                    return Err(reply.refusal());
                }
                _ => {
                    quota.passed();
                    return Ok(reply);
                }
            }
        }
    }

    async fn send_once(&self, request: &Request<'_>, token: &str) -> Result<Reply, CxoneError> {
        let path = request.url.path().to_owned();
        let what = format!("{} {path}", request.method);
        let correlation_id = uuid::Uuid::now_v7().to_string();
        let mut sending = self
            .http
            .request(request.method.clone(), request.url.clone())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ACCEPT, request.media_type)
            .header("X-Correlation-Id", &correlation_id)
            .timeout(request.timeout);
        if let Some(etag) = request.if_match {
            sending = sending.header(IF_MATCH, etag);
        }
        if let Some(body) = &request.body {
            sending = sending.header(CONTENT_TYPE, request.media_type).body(body.clone());
        }
        let is_write = request.method != Method::GET && request.method != Method::POST;
        let begun = std::time::Instant::now();
        let answer = sending.send().await.map_err(|error| {
            metrics::api_answered(request.class, 0);
            self::sending(&error, &what, is_write)
        })?;
        let status = answer.status();
        metrics::api_answered(request.class, status.as_u16());
        progress::made();
        let headers = answer.headers().clone();
        let max_bytes = if status.is_success() { request.max_bytes } else { MAX_ERROR_BYTES };
        let body = match read_capped(answer, max_bytes, &what).await {
            Ok(body) => body,
            // Status first: what an error says matters less than that it is one, and a write that
            // was answered with success is read back anyway.
            Err(_) if !status.is_success() || is_write => Bytes::new(),
            Err(error) => return Err(error),
        };
        tracing::debug!(method = %request.method, path, status = status.as_u16(),
            ms = begun.elapsed().as_millis(), correlation_id, "CXone call");
        let call = Call {
            method: request.method.to_string(),
            path,
            status: status.as_u16(),
            at: Timestamp::now(),
            correlation_id: Some(correlation_id.clone()),
            note: None,
        };
        Ok(Reply { what, call, headers, body, scope: request.scope, correlation_id })
    }
}

/// What became of a call.
fn tell(span: &Span, sent: &Result<Reply, CxoneError>) {
    match sent {
        Ok(reply) => {
            span::answered(span, reply.status());
            span.record("offboarder.correlation_id", &reply.correlation_id);
        }
        Err(error) => span::failed(span, error.code()),
    }
}

/// Reads a body up to a cap. Encodings are never asked for, so that none can unpack into more.
pub(super) async fn read_capped(
    mut answer: Response,
    max_bytes: usize,
    what: &str,
) -> Result<Bytes, CxoneError> {
    let unreadable = |why: String| CxoneError::Unreadable { what: what.to_owned(), why };
    let encoded = answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    if encoded {
        return Err(unreadable("it is compressed, which was not asked for".to_owned()));
    }
    let too_large = || CxoneError::TooLarge { what: what.to_owned(), max_bytes };
    let announced = answer.content_length().unwrap_or(0);
    if announced > max_bytes as u64 {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) if error.is_timeout() => return Err(CxoneError::Timeout { what: what.to_owned() }),
            Err(_broken) => return Err(unreadable("it broke off".to_owned())),
        }
    }
}

/// Sorts an error of sending: a write that may have arrived is of unknown outcome.
pub(super) fn sending(error: &reqwest::Error, what: &str, is_write: bool) -> CxoneError {
    let what = what.to_owned();
    let mut why = String::from("no cause given");
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        why = cause.to_string();
        if is_no_descriptor(cause) {
            return CxoneError::NoDescriptor { what, why };
        }
        source = cause.source();
    }
    if is_write && !error.is_connect() && !error.is_builder() {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { why };
        return CxoneError::AnswerLost { what, why };
    }
    if error.is_timeout() {
        return CxoneError::Timeout { what };
    }
    CxoneError::Unreachable { what, why }
}

fn is_no_descriptor(cause: &(dyn std::error::Error + 'static)) -> bool {
    let number = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    number.is_some_and(|number| NO_DESCRIPTOR.contains(&number))
}

/// The error that a status stands for.
pub(super) fn refusal(
    what: &str,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    scope: &'static str,
    correlation_id: &str,
) -> CxoneError {
    let what = what.to_owned();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let code = error_code(body);
    let retry_after = retry_after(header(RETRY_AFTER), header(DATE));
    match status {
        403 if is_missing_scope(headers, body) => CxoneError::MissingScope { what, scope },
        429 => CxoneError::Throttled { what, retry_after },
        408 | 500..=599 => CxoneError::Server { what, status, code, retry_after },
        _ => CxoneError::Rejected { what, status, code, correlation_id: correlation_id.to_owned() },
    }
}

/// Whether a 403 is about the deployment and not about this user (RFC 6750 section 3.1).
pub(super) fn is_missing_scope(headers: &HeaderMap, body: &[u8]) -> bool {
    let challenged = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("insufficient_scope"));
    challenged || code_of(body).as_deref() == Some("insufficient_scope")
}

/// The short code of an error body, whichever of the known shapes it has.
pub(super) fn code_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let nested = value.get("error").and_then(|error| error.get("code")).and_then(text);
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
        .map(|code| code.chars().filter(char::is_ascii_graphic).take(64).collect())
}

/// The same with a space before it, or nothing.
pub(super) fn error_code(body: &[u8]) -> String {
    code_of(body).map_or_else(String::new, |code| format!(" {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_a_missing_descriptor_is_one() {
        let is = |number| is_no_descriptor(&std::io::Error::from_raw_os_error(number));
        assert!(is(23) && is(24), "the machine's, and this process's");
        assert!(!is(111), "a connection that is refused");
        assert!(!is_no_descriptor(&std::fmt::Error));
    }
}

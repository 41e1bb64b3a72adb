use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH,
};
use reqwest::{Method, Response};
use tracing::{Instrument as _, Span};
use url::Url;

use super::answer::{is_missing_scope, is_the_apis, refusal};
use super::error::CxoneError;
use super::quota::Quota;
use super::token::Tokens;
use crate::failure::Classify as _;
use crate::machine::Call;
use crate::ports::QuotaClass;
use crate::progress;
use crate::secret::Secret;
use crate::telemetry::{metrics, span};

const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
const MAX_ERROR_BYTES: usize = 16 * 1024;
/// ENFILE and EMFILE of Linux: the machine's files are used up, or this process's.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];

/// One call, as the client wants it.
#[derive(Clone)]
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

    /// 404 or 410, as the API itself says it.
    pub(super) fn says_missing(&self) -> bool {
        matches!(self.status(), 404 | 410) && is_the_apis(&self.body)
    }

    /// The error that this status stands for where the client expected none.
    pub(super) fn refusal(&self) -> CxoneError {
        refusal(
            &self.what,
            self.status(),
            &self.headers,
            &self.body,
            self.scope,
            &self.correlation_id,
        )
    }

    pub(super) fn unreadable(&self, why: impl Into<String>) -> CxoneError {
        CxoneError::Unreadable {
            what: self.what.clone(),
            why: why.into(),
        }
    }
}

/// The right to send one call now.
pub(crate) struct Permit {
    token: Secret,
    waited: Duration,
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
    const fn quota(&self, class: QuotaClass) -> &Quota {
        match class {
            QuotaClass::Routing => &self.routing,
            QuotaClass::Scim => &self.scim,
            QuotaClass::Analytics => &self.analytics,
        }
    }

    /// Waits until a call of this class may be sent: a place in the quota that is due, and a token. What is
    /// checked after it is checked as the last thing before the call.
    pub(super) async fn ready(&self, class: QuotaClass) -> Result<Permit, CxoneError> {
        // Without a token no place is taken.
        self.tokens.get().await?;
        let asked = std::time::Instant::now();
        self.quota(class).wait().await;
        let waited = asked.elapsed();
        Ok(Permit {
            token: self.tokens.get().await?,
            waited,
        })
    }

    /// Sends a call, with a new token once if the first is refused. Statuses that mean the same for
    /// every call (401, 429, redirects) are errors here; the rest is the client's to judge.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CxoneError> {
        let mut renewed = false;
        loop {
            let permit = self.ready(request.class).await?;
            match self.send_now(&request, &permit).await {
                Err(CxoneError::Unauthorized { .. }) if !renewed => renewed = true,
                sent => return sent,
            }
        }
    }

    /// Sends a call once, without any wait before it. A token that is refused is dropped.
    pub(super) async fn send_now(
        &self,
        request: &Request<'_>,
        permit: &Permit,
    ) -> Result<Reply, CxoneError> {
        let quota = self.quota(request.class);
        let span = span::api_call(request.method.as_str(), &request.url, Some(request.class));
        span.record(
            "offboarder.quota_wait_ms",
            i64::try_from(permit.waited.as_millis()).unwrap_or(i64::MAX),
        );
        let sent = self
            .send_once(request, permit.token.expose())
            .instrument(span.clone())
            .await;
        tell(&span, &sent);
        let reply = sent?;
        match reply.status() {
            401 => {
                self.tokens.drop_refused(&permit.token).await;
                Err(reply.refusal())
            }
            429 => {
                let error = reply.refusal();
                quota.throttled(error.retry_after()).await;
                Err(error)
            }
            300..=399 => Err(CxoneError::Redirected {
                what: reply.what.clone(),
                status: reply.status(),
            }),
            403 if is_missing_scope(&reply.headers, &reply.body) => {
                // A token keeps the scopes that it was issued with; the next one may have more.
                self.tokens.drop_refused(&permit.token).await;
                Err(reply.refusal())
            }
            _ => {
                quota.passed();
                Ok(reply)
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
            sending = sending
                .header(CONTENT_TYPE, request.media_type)
                .body(body.clone());
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
        let max_bytes = if status.is_success() {
            request.max_bytes
        } else {
            MAX_ERROR_BYTES
        };
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
        Ok(Reply {
            what,
            call,
            headers,
            body,
            scope: request.scope,
            correlation_id,
        })
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
    let unreadable = |why: String| CxoneError::Unreadable {
        what: what.to_owned(),
        why,
    };
    let encoded = answer
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity");
    if encoded {
        return Err(unreadable(
            "it is compressed, which was not asked for".to_owned(),
        ));
    }
    let too_large = || CxoneError::TooLarge {
        what: what.to_owned(),
        max_bytes,
    };
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
            Err(error) if error.is_timeout() => {
                return Err(CxoneError::Timeout {
                    what: what.to_owned(),
                });
            }
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
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            why
        };
        return CxoneError::AnswerLost { what, why };
    }
    if error.is_timeout() {
        return CxoneError::Timeout { what };
    }
    CxoneError::Unreachable { what, why }
}

fn is_no_descriptor(cause: &(dyn std::error::Error + 'static)) -> bool {
    let number = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error);
    number.is_some_and(|number| NO_DESCRIPTOR.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_descriptor_is_one() {
        let is = |number| is_no_descriptor(&std::io::Error::from_raw_os_error(number));
        assert!(is(23) && is(24), "the machine's, and this process's");
        assert!(!is(111), "a connection that is refused");
        assert!(!is_no_descriptor(&std::fmt::Error));
    }
}

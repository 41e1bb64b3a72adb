//! Sends calls to the API: token, quota, headers, size caps, timeouts, and the statuses that mean the same for every
//! call. The call itself says whether it writes, since that decides what a lost answer means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH};
use reqwest::{Method, StatusCode};
use tracing::{Instrument as _, Span};
use url::Url;

use super::answer::{Received, is_missing_right, is_own_error, refusal, says_missing};
use super::body::{read_capped, send_error};
use super::dialect::Dialect;
use super::error::ApiError;
use super::quota::{Quota, Turn};
use super::rate_headers::Remaining;
use super::row_stream::{RowStream, read_rows};
use super::token::Tokens;
use crate::clock::Clock;
use crate::failure::Classify as _;
use crate::machine::Call;
use crate::ports::QuotaClass;
use crate::progress::Progress;
use crate::secret::Secret;
use crate::telemetry::{metrics, span};

const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
const MAX_ERROR_BYTES: usize = 16 * 1024;

#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Whether the call changes anything. The method does not say so: a POST may be a query.
    pub(crate) writes: bool,
    pub(crate) url: Url,
    pub(crate) class: QuotaClass,
    /// Whether the call removes access. Deletions wait while such calls use up the quota.
    pub(crate) removes_access: bool,
    pub(crate) scope: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) if_match: Option<&'a str>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) max_bytes: usize,
    pub(crate) timeout: Duration,
}

impl Request<'_> {
    /// A call that changes nothing. If its answer is lost, it is simply repeated.
    pub(crate) fn read(method: Method, url: Url, class: QuotaClass, scope: &'static str) -> Self {
        Self {
            method,
            writes: false,
            url,
            class,
            removes_access: false,
            scope,
            media_type: "application/json",
            if_match: None,
            body: None,
            max_bytes: MAX_DOCUMENT_BYTES,
            timeout: Duration::from_mins(1),
        }
    }

    /// A call that changes something. If its answer is lost, it is unknown whether it did:
    /// [`ApiError::AnswerLost`].
    pub(crate) fn write(method: Method, url: Url, class: QuotaClass, scope: &'static str) -> Self {
        Self {
            writes: true,
            ..Self::read(method, url, class, scope)
        }
    }
}

/// An answer whose status is left to the client to interpret.
pub(crate) struct Reply {
    pub(crate) what: String,
    pub(crate) call: Call,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    scope: &'static str,
    dialect: &'static Dialect,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.call.status
    }

    pub(crate) fn etag(&self) -> Option<String> {
        self.headers.get(ETAG)?.to_str().ok().map(str::to_owned)
    }

    /// 404 or 410, in the form of the API itself.
    pub(crate) fn says_missing(&self) -> bool {
        matches!(self.status(), 404 | 410) && says_missing(self.dialect, &self.headers, &self.body)
    }

    /// An error in the form of the API itself.
    pub(crate) fn is_own(&self) -> bool {
        is_own_error(self.dialect, &self.headers, &self.body)
    }

    /// The error that this status means where the client did not expect it.
    pub(crate) fn refusal(&self) -> ApiError {
        let received = Received {
            what: &self.what,
            status: self.status(),
            headers: &self.headers,
            body: &self.body,
            correlation_id: self.call.correlation_id.as_deref().unwrap_or_default(),
            at: self.call.at,
        };
        refusal(received, self.dialect, self.scope)
    }

    pub(crate) fn unreadable(&self, why: impl Into<String>) -> ApiError {
        ApiError::Unreadable {
            what: self.what.clone(),
            why: why.into(),
        }
    }
}

/// The right to send one call now.
pub(crate) struct Permit {
    token: Secret,
    turn: Turn,
    waited: Duration,
}

pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) dialect: &'static Dialect,
    pub(crate) tokens: Tokens,
    pub(crate) routing: Quota,
    pub(crate) scim: Quota,
    pub(crate) analytics: Quota,
    pub(crate) clock: Clock,
    pub(crate) progress: Progress,
}

impl Transport {
    /// Whether calls that remove access wait for the quota of this class now, or did a moment ago.
    pub(crate) fn access_waits(&self, class: QuotaClass) -> bool {
        self.quota(class).access_waits()
    }

    const fn quota(&self, class: QuotaClass) -> &Quota {
        match class {
            QuotaClass::Routing => &self.routing,
            QuotaClass::Scim => &self.scim,
            QuotaClass::Analytics => &self.analytics,
        }
    }

    /// Waits until a call of this class may be sent: its place in the quota is due, and there is a token. So what the
    /// caller checks next is checked immediately before the call.
    pub(crate) async fn ready(
        &self,
        class: QuotaClass,
        removes_access: bool,
    ) -> Result<Permit, ApiError> {
        // First, since a place in the quota would be lost if no token can be had.
        self.tokens.get().await?;

        let asked = std::time::Instant::now();
        let turn = self.quota(class).wait(removes_access).await;
        let waited = asked.elapsed();

        Ok(Permit {
            token: self.tokens.get().await?,
            turn,
            waited,
        })
    }

    /// Sends a call, and once more with a new token if the first token is refused. Statuses that mean the same for
    /// every call (401, 429, redirects) are errors here; the client interprets the others.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        self.send_into(request, None).await
    }

    /// The same; the rows of a page go into `rows` as they arrive, and are not in the body of the reply.
    pub(super) async fn send_into(
        &self,
        request: Request<'_>,
        mut rows: Option<&mut RowStream<'_>>,
    ) -> Result<Reply, ApiError> {
        let mut renewed = false;

        loop {
            let permit = self.ready(request.class, request.removes_access).await?;
            let sent = self.send_permitted(&request, &permit, rows.as_deref_mut());
            match sent.await {
                Err(ApiError::Unauthorized { .. }) if !renewed => renewed = true,
                sent => return sent,
            }
        }
    }

    /// Sends a call once, and waits for nothing before it. A token that is refused is dropped.
    pub(crate) async fn send_now(
        &self,
        request: &Request<'_>,
        permit: &Permit,
    ) -> Result<Reply, ApiError> {
        self.send_permitted(request, permit, None).await
    }

    async fn send_permitted(
        &self,
        request: &Request<'_>,
        permit: &Permit,
        rows: Option<&mut RowStream<'_>>,
    ) -> Result<Reply, ApiError> {
        let quota = self.quota(request.class);
        let span = span::api_call(request.method.as_str(), &request.url, Some(request.class));
        let waited_ms = i64::try_from(permit.waited.as_millis()).unwrap_or(i64::MAX);
        span.record("offboarder.quota_wait_ms", waited_ms);

        let sent = self
            .send_once(request, permit, rows)
            .instrument(span.clone())
            .await;
        record(&span, &sent);
        let reply = sent?;
        let remaining = Remaining::read(&reply.headers);
        if let Some(remaining) = remaining.filter(|_| reply.status() != 429) {
            quota.heard(remaining).await;
        }

        match reply.status() {
            401 => {
                self.tokens.drop_refused(&permit.token).await;
                Err(reply.refusal())
            }
            429 => {
                let error = reply.refusal();
                let reset = || remaining.and_then(|said| said.pause_at(f64::MAX));
                quota.throttled(error.retry_after().or_else(reset)).await;
                Err(error)
            }
            300..=399 => Err(ApiError::Redirected {
                what: reply.what.clone(),
                status: reply.status(),
            }),
            403 if is_missing_right(self.dialect, &reply.headers, &reply.body) => {
                // A token keeps the rights that it was issued with; the next one may have more.
                self.tokens.drop_refused(&permit.token).await;
                Err(reply.refusal())
            }
            status => {
                if status == 403 && self.dialect.hides_missing_rights {
                    self.tokens.drop_refused(&permit.token).await;
                }
                quota.passed();
                Ok(reply)
            }
        }
    }

    async fn send_once(
        &self,
        request: &Request<'_>,
        permit: &Permit,
        rows: Option<&mut RowStream<'_>>,
    ) -> Result<Reply, ApiError> {
        let path = request.url.path().to_owned();
        let what = format!("{} {path}", request.method);
        let mut correlation_id = uuid::Uuid::now_v7().to_string();
        let begun = std::time::Instant::now();

        let prepared = self.prepare(request, permit.token.expose(), &correlation_id);
        permit.turn.send();
        let answered = prepared.send().await;
        permit.turn.end();
        let answer = answered.map_err(|error| {
            metrics::api_answered(request.class, 0);
            send_error(&error, &what, request.writes)
        })?;
        let status = answer.status();
        metrics::api_answered(request.class, status.as_u16());
        self.progress.made();

        let headers = answer.headers().clone();
        if let Some(own) = own_correlation_id(self.dialect, &headers) {
            correlation_id = own;
        }
        let max_bytes = if status.is_success() {
            request.max_bytes
        } else {
            MAX_ERROR_BYTES
        };
        let body = match rows.filter(|_| status == StatusCode::OK) {
            Some(rows) => read_rows(answer, max_bytes, &what, rows).await,
            None => read_capped(answer, max_bytes, &what).await,
        };
        let body = match body {
            Ok(body) => body,
            // The status counts more than the text of an error, and a write that succeeded is read back anyway.
            Err(_) if !status.is_success() || request.writes => Bytes::new(),
            Err(error) => return Err(error),
        };

        tracing::debug!(method = %request.method, path, status = status.as_u16(),
            ms = begun.elapsed().as_millis(), correlation_id, "CXone call");
        let call = Call {
            method: request.method.to_string(),
            path,
            status: status.as_u16(),
            at: self.clock.now(),
            correlation_id: Some(correlation_id),
            note: None,
        };
        Ok(Reply {
            what,
            call,
            headers,
            body,
            scope: request.scope,
            dialect: self.dialect,
        })
    }

    fn prepare(
        &self,
        request: &Request<'_>,
        token: &str,
        correlation_id: &str,
    ) -> reqwest::RequestBuilder {
        let mut prepared = self
            .http
            .request(request.method.clone(), request.url.clone())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ACCEPT, request.media_type)
            .header(self.dialect.correlation_header, correlation_id)
            .timeout(request.timeout);

        if let Some(etag) = request.if_match {
            prepared = prepared.header(IF_MATCH, etag);
        }
        if let Some(body) = &request.body {
            prepared = prepared
                .header(CONTENT_TYPE, request.media_type)
                .body(body.clone());
        }
        prepared
    }
}

/// The ID by which the API itself names the call; it goes into evidence, so only a plain one counts.
fn own_correlation_id(dialect: &Dialect, headers: &HeaderMap) -> Option<String> {
    let text = headers
        .get(dialect.own_correlation_header?)?
        .to_str()
        .ok()?;
    let is_plain =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| text.to_owned())
}

fn record(span: &Span, sent: &Result<Reply, ApiError>) {
    match sent {
        Ok(reply) => {
            span::answered(span, reply.status());
            if let Some(correlation_id) = &reply.call.correlation_id {
                span.record("offboarder.correlation_id", correlation_id);
            }
        }
        Err(error) => span::failed(span, error.code()),
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;

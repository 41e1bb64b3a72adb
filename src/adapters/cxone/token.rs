use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::error::CxoneError;
use super::transport::{error_code, read_capped};
use crate::config::Secret;
use crate::failure::Classify as _;
use crate::telemetry::span;

/// A token is renewed when a tenth of its life is left, at most five minutes before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const WHAT: &str = "POST token";

/// The client-credentials grant (RFC 6749 section 4.4): one token for the process, renewed early, by
/// one caller while the others wait for it.
pub(super) struct Tokens {
    http: reqwest::Client,
    uri: Url,
    authorization: Secret,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: Secret,
    /// What it was issued with, where the answer says so.
    scopes: Option<String>,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Seconds,
    scope: Option<String>,
}

/// Some tenants send the number as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Tokens {
    pub(super) fn new(http: reqwest::Client, uri: Url, client_id: &str, client_secret: &Secret) -> Self {
        // Form-encoded before Basic: RFC 6749 section 2.3.1.
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(client_id), encode(client_secret.expose()));
        let authorization = Secret::new(&format!("Basic {}", STANDARD.encode(pair)));
        Self { http, uri, authorization, cached: Mutex::new(None) }
    }

    /// A token that is good for a while.
    pub(super) async fn get(&self) -> Result<Secret, CxoneError> {
        self.cached(|cached| cached.token.clone()).await
    }

    /// The scopes of such a token, separated by spaces; `None` where nobody says which they are.
    pub(super) async fn scopes(&self) -> Result<Option<String>, CxoneError> {
        self.cached(|cached| cached.scopes.clone()).await
    }

    async fn cached<T>(&self, look: impl FnOnce(&Cached) -> T) -> Result<T, CxoneError> {
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| Instant::now() < cached.renew_at) {
            return Ok(look(cached));
        }
        let span = span::api_call("POST", &self.uri, None);
        let fetched = self.fetch().instrument(span.clone()).await;
        if let Err(error) = &fetched {
            span::failed(&span, error.code());
        }
        let (answer, life) = fetched?;
        let early = (life / 10).min(RENEW_BEFORE);
        let renew_at = Instant::now() + life.saturating_sub(early);
        let token = Secret::new(&answer.access_token);
        Ok(look(cached.insert(Cached { token, scopes: answer.scope, renew_at })))
    }

    /// Drops this token, and not one that another caller fetched meanwhile.
    pub(super) async fn drop_refused(&self, refused: &Secret) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|cached| cached.token.expose() == refused.expose()) {
            *cached = None;
        }
    }

    async fn fetch(&self) -> Result<(Answer, Duration), CxoneError> {
        let answer = self
            .http
            .post(self.uri.clone())
            .header(AUTHORIZATION, self.authorization.expose())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .timeout(Duration::from_secs(30))
            .body("grant_type=client_credentials")
            .send()
            .await
            .map_err(|error| super::transport::sending(&error, WHAT, false))?;
        let status = answer.status().as_u16();
        span::answered(&tracing::Span::current(), status);
        let headers = answer.headers().clone();
        let body = read_capped(answer, MAX_ANSWER_BYTES, WHAT).await;
        match status {
            200 => {
                let unreadable = |why: String| CxoneError::Unreadable { what: WHAT.to_owned(), why };
                // The parser's own text may quote the token.
                let answer: Answer = serde_json::from_slice(&body?)
                    .map_err(|error| unreadable(format!("no token, at column {}", error.column())))?;
                let seconds = match &answer.expires_in {
                    Seconds::Number(seconds) => *seconds,
                    Seconds::Text(text) => text
                        .trim()
                        .parse()
                        .map_err(|_not_a_number| unreadable("expires_in is no number".to_owned()))?,
                };
                Ok((answer, Duration::from_secs(seconds)))
            }
            // Everybody needs a token: whatever else is answered is never one user's fault.
            100..=407 | 409..=428 | 430..=499 => {
                let code = error_code(&body.unwrap_or_default());
                Err(CxoneError::Unauthorized { what: WHAT.to_owned(), status, code })
            }
            _ => Err(super::transport::refusal(WHAT, status, &headers, &body.unwrap_or_default(), "", "")),
        }
    }
}

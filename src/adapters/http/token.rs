//! The OAuth token: one for the process, renewed before it expires.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;
use url::form_urlencoded::{self, byte_serialize};

use super::answer::{Received, error_code, refusal};
use super::body::{read_capped, send_error};
use super::dialect::STANDARD as STANDARD_DIALECT;
use super::error::ApiError;
use super::token_endpoint::no_endpoint;
use crate::clock::Clock;
use crate::failure::Classify as _;
use crate::secret::Secret;
use crate::telemetry::span;

/// A token is renewed when a tenth of its life is left, at most five minutes before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// The life of a token whose answer does not give a usable one (RFC 6749 section 5.1 only recommends it). A token that
/// ends sooner is renewed when it is refused.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);
/// However short the announced life is, not every call fetches a token.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);
/// An upper bound, so that it can be added to a time.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const WHAT: &str = "POST token";
const BOTH: &str = "; ID and secret were sent form-encoded and plain, since servers read RFC 6749 section 2.3.1 in \
                    both ways";

/// What a token is asked for with, besides the OAuth client.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 4.3, with an access key in place of a person's name and password.
    AccessKey { id: String, secret: Secret },
}

impl Grant {
    /// The body of the request.
    fn form(&self) -> Secret {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match self {
            Self::ClientCredentials => form.append_pair("grant_type", "client_credentials"),
            Self::AccessKey { id, secret } => form
                .append_pair("grant_type", "password")
                .append_pair("username", id)
                .append_pair("password", secret.expose()),
        };
        Secret::new(&form.finish())
    }
}

/// One caller renews the token; the others wait for it.
pub(crate) struct Tokens {
    pub(super) http: reqwest::Client,
    pub(super) uri: Url,
    form: Secret,
    known: Mutex<Known>,
    clock: Clock,
}

struct Known {
    /// ID and secret for Basic, in the forms that servers accept; the first one is tried first.
    authorizations: Vec<Secret>,
    cached: Option<Cached>,
}

struct Cached {
    token: Secret,
    /// What it was issued with, if the answer says so.
    scopes: Option<String>,
    renew_at: Instant,
}

struct Answer {
    token: Secret,
    scopes: Option<String>,
    life: Duration,
}

impl Answer {
    /// `Err` says which member is at fault, and never quotes it.
    fn parse(body: &[u8]) -> Result<Self, String> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err("not a JSON object, so no token".to_owned());
        };
        let text = |member: &str| members.get(member).and_then(Value::as_str);
        let token = text("access_token").filter(|token| !token.is_empty());
        // What cannot be put into a header is not a token.
        let token = token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
        let token = token.ok_or("access_token is missing, or is not a token")?;

        let expires_in = members.get("expires_in").filter(|value| !value.is_null());
        let life = expires_in.and_then(life_of);
        if life.is_none() && expires_in.is_some() {
            let minutes = DEFAULT_LIFE.as_secs() / 60;
            tracing::warn!(
                minutes,
                "expires_in of the token is not a number of seconds; the token is renewed after this long"
            );
        }
        Ok(Self {
            token: Secret::new(token),
            scopes: text("scope").map(str::to_owned),
            life: life.unwrap_or(DEFAULT_LIFE),
        })
    }
}

/// Seconds: a number or a numeric string, with or without a fraction. Zero and less are of no use.
fn life_of(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }?;
    let seconds = Some(seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    let seconds = seconds.clamp(SHORTEST_LIFE.as_secs_f64(), LONGEST_LIFE.as_secs_f64());
    Some(Duration::from_secs_f64(seconds))
}

/// Form-encoded before Basic, as RFC 6749 section 2.3.1 has it, and plain, as some servers read it.
fn authorizations(client_id: &str, client_secret: &Secret) -> Vec<Secret> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let basic = |pair: String| Secret::new(&format!("Basic {}", STANDARD.encode(pair)));
    let secret = client_secret.expose();
    let encoded = format!("{}:{}", encode(client_id), encode(secret));
    let plain = format!("{client_id}:{secret}");
    // In a plain pair the first colon ends the ID (RFC 7617 section 2).
    let differs = encoded != plain && !client_id.contains(':');
    let plain = differs.then(|| basic(plain));
    std::iter::once(basic(encoded)).chain(plain).collect()
}

impl Tokens {
    pub(crate) fn new(
        http: reqwest::Client,
        uri: Url,
        client_id: &str,
        client_secret: &Secret,
        grant: &Grant,
        clock: Clock,
    ) -> Self {
        let known = Known {
            authorizations: authorizations(client_id, client_secret),
            cached: None,
        };
        Self {
            http,
            uri,
            form: grant.form(),
            known: Mutex::new(known),
            clock,
        }
    }

    /// A token that remains valid for a while.
    pub(super) async fn get(&self) -> Result<Secret, ApiError> {
        self.cached(|cached| cached.token.clone()).await
    }

    /// The scopes of such a token, separated by spaces; `None` where the answer does not list them.
    pub(crate) async fn scopes(&self) -> Result<Option<String>, ApiError> {
        self.cached(|cached| cached.scopes.clone()).await
    }

    async fn cached<T>(&self, pick: impl FnOnce(&Cached) -> T) -> Result<T, ApiError> {
        let mut known = self.known.lock().await;
        if let Some(cached) = known
            .cached
            .as_ref()
            .filter(|cached| Instant::now() < cached.renew_at)
        {
            return Ok(pick(cached));
        }

        let Answer {
            token,
            scopes,
            life,
        } = self.fetch(&mut known.authorizations).await?;
        let early = (life / 10).min(RENEW_BEFORE);
        let renew_at = Instant::now() + life.saturating_sub(early);
        Ok(pick(known.cached.insert(Cached {
            token,
            scopes,
            renew_at,
        })))
    }

    /// Drops this token, unless another caller has already replaced it.
    pub(super) async fn drop_refused(&self, refused: &Secret) {
        let mut known = self.known.lock().await;
        if known
            .cached
            .as_ref()
            .is_some_and(|cached| cached.token.expose() == refused.expose())
        {
            known.cached = None;
        }
    }

    /// Tries each form of ID and secret until one is accepted; that form is tried first from then on.
    async fn fetch(&self, authorizations: &mut [Secret]) -> Result<Answer, ApiError> {
        let forms = authorizations.len();
        for form in 0..forms {
            let Some(authorization) = authorizations.get(form) else {
                break;
            };

            let span = span::api_call("POST", &self.uri, None);
            let fetched = self
                .fetch_with(authorization)
                .instrument(span.clone())
                .await;
            if let Err(error) = &fetched {
                span::failed(&span, error.code());
            }

            match fetched {
                Err(ApiError::Unauthorized { status, code, .. })
                    if refuses_credentials(status, &code) =>
                {
                    if form + 1 == forms {
                        let readings = if forms > 1 { BOTH } else { "" };
                        return Err(ApiError::Unauthorized {
                            what: WHAT.to_owned(),
                            status,
                            code,
                            readings,
                        });
                    }
                }
                Err(error) => return Err(error),
                Ok(answer) => {
                    authorizations.swap(0, form);
                    return Ok(answer);
                }
            }
        }
        Err(ApiError::Setup("there are no OAuth credentials".to_owned()))
    }

    async fn fetch_with(&self, authorization: &Secret) -> Result<Answer, ApiError> {
        let answer = self
            .http
            .post(self.uri.clone())
            .header(AUTHORIZATION, authorization.expose())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .timeout(Duration::from_secs(30))
            .body(self.form.expose().to_owned())
            .send()
            .await
            .map_err(|error| send_error(&error, WHAT, false))?;

        let status = answer.status().as_u16();
        span::answered(&tracing::Span::current(), status);
        let headers = answer.headers().clone();
        let body = read_capped(answer, MAX_ANSWER_BYTES, WHAT).await;
        let seen = body.as_deref().unwrap_or_default();
        if let Some(error) = no_endpoint(&self.uri, status, &headers, seen) {
            return Err(error);
        }

        match status {
            200 => Answer::parse(&body?).map_err(|why| ApiError::Unreadable {
                what: WHAT.to_owned(),
                why,
            }),
            // Every user needs a token, so whatever else is answered is never one user's fault.
            100..=407 | 409..=428 | 430..=499 => {
                let code = error_code(&body.unwrap_or_default());
                Err(ApiError::Unauthorized {
                    what: WHAT.to_owned(),
                    status,
                    code,
                    readings: "",
                })
            }
            _ => Err(refusal(
                Received {
                    what: WHAT,
                    status,
                    headers: &headers,
                    body: &body.unwrap_or_default(),
                    correlation_id: "",
                    at: self.clock.now(),
                },
                &STANDARD_DIALECT,
                "",
            )),
        }
    }
}

/// Whether the server refuses the credentials in the form in which they were sent.
fn refuses_credentials(status: u16, code: &str) -> bool {
    status == 401 || (status == 400 && code.trim_start() == "invalid_client")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(expires_in: &str) -> Duration {
        let body = format!(r#"{{"access_token":"t1","token_type":"Bearer"{expires_in}}}"#);
        Answer::parse(body.as_bytes()).unwrap().life
    }

    #[test]
    fn a_token_is_accepted_whatever_its_announced_life() {
        for (announced, seconds) in [
            ("3600", 3600.0),
            (r#""3600""#, 3600.0),
            ("3599.5", 3599.5),
            (r#"" 3599.5 ""#, 3599.5),
            ("1", 10.0),
            ("0.001", 10.0),
            ("1e300", 86_400.0),
            ("18446744073709551615", 86_400.0),
        ] {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(
                life(&format!(r#","expires_in":{announced}"#)),
                expected,
                "{announced}"
            );
        }
        for announced in [
            "null",
            "-1",
            "0",
            "-0.0",
            r#""NaN""#,
            r#""inf""#,
            r#""soon""#,
            "[]",
            "{}",
            "true",
        ] {
            assert_eq!(
                life(&format!(r#","expires_in":{announced}"#)),
                DEFAULT_LIFE,
                "{announced}"
            );
        }
        assert_eq!(life(""), DEFAULT_LIFE, "it is only recommended");
    }

    #[test]
    fn an_answer_without_a_token_names_the_member_at_fault() {
        for body in [
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a b"}"#,
            "{\"access_token\":\"a\\r\\nX-Evil: 1\"}",
        ] {
            let why = Answer::parse(body.as_bytes()).err().unwrap();
            assert!(why.contains("access_token"), "{body}: {why}");
        }
        for body in ["<html>", "[]", "", &"[".repeat(60_000)] {
            assert!(Answer::parse(body.as_bytes()).is_err());
        }
    }

    #[test]
    fn credentials_are_sent_in_both_forms_where_they_differ() {
        let sent = |id: &str, secret: &str| {
            let sent = authorizations(id, &Secret::new(secret))
                .into_iter()
                .map(|authorization| {
                    let basic = authorization
                        .expose()
                        .strip_prefix("Basic ")
                        .unwrap()
                        .to_owned();
                    String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap()
                });
            sent.collect::<Vec<_>>()
        };
        assert_eq!(sent("id", "plain-secret"), ["id:plain-secret"]);
        let both = ["K2Q4%3D%3D%3D%3D:ab%2Fc%2Bd%3D%3D", "K2Q4====:ab/c+d=="];
        assert_eq!(sent("K2Q4====", "ab/c+d=="), both);
        assert_eq!(sent("a:b", "c"), ["a%3Ab:c"]);
    }
}

//! Signs people in to the console with their key, and knows them again by a cookie.
//!
//! A session is in Redis, so that it holds on every worker. While Redis is away, a person can sign in to one worker for a
//! quarter of an hour, to read and to pause: the cookie then carries the session, with a code that only this worker can make.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::caller::{Caller, SignIn};
use super::guesses::network;
use super::problem::Problem;
use super::reach::Reach;
use super::tries::Tries;
use crate::clock::Clock;
use crate::integrity::{Integrity, Purpose};
use crate::people::{KeyDigest, People};
use crate::ports::sessions::{Session, Sessions};
use crate::registers::PeopleWatch;
use crate::secret::Secret;
use crate::telemetry::metrics;

/// Without a request, a session ends.
const IDLE: Duration = Duration::from_mins(30);
/// And in any case after this time.
const LONGEST: SignedDuration = SignedDuration::from_hours(12);
/// A session of one worker.
const OF_WORKER: SignedDuration = SignedDuration::from_mins(15);
/// What the secret of a session of one worker begins with.
const OF_WORKER_MARK: &str = "w.";

/// The sign-in of the console.
pub(super) struct SessionDesk {
    people: Option<Arc<PeopleWatch>>,
    store: Arc<dyn Sessions>,
    reach: Reach,
    clock: Clock,
    /// Only this process has the key.
    of_worker: Integrity,
    tries: Tries,
}

/// Why nobody is signed in.
#[derive(Debug)]
pub(super) enum NotSignedIn {
    /// The name and the key do not go together.
    Wrong,
    /// Too many wrong tries.
    Wait(Duration),
    Refused(Problem),
}

/// Who a cookie says that somebody is.
#[derive(Debug)]
pub(super) enum Known {
    Caller(Caller),
    /// There is no session, or it ended.
    Nobody,
    /// Redis does not answer, so that it is unknown.
    Unknown,
}

fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl SessionDesk {
    pub(super) fn new(
        people: Option<Arc<PeopleWatch>>,
        store: Arc<dyn Sessions>,
        reach: Reach,
        clock: Clock,
    ) -> Self {
        let key = hex::encode(rand::random::<[u8; 32]>());
        Self {
            people,
            store,
            reach,
            clock,
            of_worker: Integrity::new(Some(&Secret::new(&key))),
            tries: Tries::default(),
        }
    }

    /// Whether there is somebody who could sign in.
    pub(super) const fn has_people(&self) -> bool {
        self.people.is_some()
    }

    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether the request carries a session.
    pub(super) fn has_cookie(&self, headers: &HeaderMap) -> bool {
        self.people.is_some() && self.secret(headers).is_some()
    }

    /// Signs a person in; the `Set-Cookie` of the answer.
    pub(super) async fn sign_in(
        &self,
        peer: IpAddr,
        name: &str,
        key: &str,
    ) -> Result<String, NotSignedIn> {
        let people = self.people().map_err(NotSignedIn::Refused)?;
        let from = network(peer).to_string();
        let named = format!(
            "name {}",
            name.to_ascii_lowercase()
                .chars()
                .take(64)
                .collect::<String>()
        );
        let now = Instant::now();
        let waits = [&from, &named].map(|who| self.tries.wait(who, now));
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(NotSignedIn::Wait(wait));
        }
        let person = people.with_key(key);
        let Some(person) = person.filter(|person| person.name.eq_ignore_ascii_case(name)) else {
            self.tries.wrong(&from, now);
            self.tries.wrong(&named, now);
            metrics::admin_refused("wrong_key");
            tracing::warn!(%peer, "somebody gave a wrong name or key to the console");
            return Err(NotSignedIn::Wrong);
        };

        let session = Session {
            name: person.name.clone(),
            key_mark: KeyDigest::of(key).mark(),
            signed_in_at: self.clock.now(),
        };
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let stored = self.store.keep(&digest(&secret), &session, IDLE).await;
        let secret = match stored {
            Ok(()) => secret,
            Err(failure) => {
                tracing::warn!(%failure, "a session of the console is of this worker alone");
                self.secret_of_worker(&session)
                    .map_err(NotSignedIn::Refused)?
            }
        };
        tracing::info!(who = session.name, "signed in to the console");
        Ok(self.reach.cookie(&secret))
    }

    /// Who sends a request with this cookie.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Known, Problem> {
        let Some(secret) = self.secret(headers) else {
            return Ok(Known::Nobody);
        };
        let found = if secret.starts_with(OF_WORKER_MARK) {
            self.of_worker(&secret)
                .map(|session| (session, SignIn::WorkerSession))
        } else {
            match self.store.find(&digest(&secret), IDLE).await {
                Ok(found) => found.map(|session| (session, SignIn::Session)),
                Err(_logged) => return Ok(Known::Unknown),
            }
        };
        let people = self.people()?;
        let caller = found.and_then(|(session, sign_in)| {
            let lasts = if sign_in == SignIn::Session {
                LONGEST
            } else {
                OF_WORKER
            };
            let age = self.clock.now().duration_since(session.signed_in_at);
            let person = people.named(&session.name)?;
            let has_key = person.key.is_some_and(|key| key.mark() == session.key_mark);
            (age < lasts && has_key).then(|| Caller::person(person, sign_in))
        });
        Ok(caller.map_or(Known::Nobody, Known::Caller))
    }

    /// Ends the session; the `Set-Cookie` that removes the cookie.
    pub(super) async fn sign_out(&self, headers: &HeaderMap) -> String {
        if let Some(secret) = self.secret(headers)
            && let Err(failure) = self.store.end(&digest(&secret)).await
        {
            tracing::warn!(%failure, "a session of the console could not be ended; it ends by itself");
        }
        self.reach.no_cookie()
    }

    /// Refuses what a page of another origin sent.
    pub(super) fn check_origin(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if self.reach.is_from_our_page(uri, headers) {
            return Ok(());
        }
        metrics::admin_refused("foreign_origin");
        let detail = "only a page of this console may send this; reload it, and check OFFBOARDER_ADMIN_ORIGIN";
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            detail,
        ))
    }

    fn people(&self) -> Result<Arc<People>, Problem> {
        match &self.people {
            Some(people) => people.now().map_err(|_logged| Problem::no_people()),
            None => Ok(Arc::default()),
        }
    }

    fn secret(&self, headers: &HeaderMap) -> Option<String> {
        if !self.reach.is_open() {
            return None;
        }
        let name = self.reach.cookie_name();
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.find(|(known, _)| *known == name)?;
        Some(found.1.to_owned())
    }

    fn secret_of_worker(&self, session: &Session) -> Result<String, Problem> {
        let document = serde_json::to_vec(session).map_err(|_never| Problem::panicked())?;
        let document = self
            .of_worker
            .sign(Purpose::Session, OF_WORKER_MARK, document);
        Ok(format!(
            "{OF_WORKER_MARK}{}",
            BASE64_URL_SAFE_NO_PAD.encode(document)
        ))
    }

    fn of_worker(&self, secret: &str) -> Option<Session> {
        let document = secret.strip_prefix(OF_WORKER_MARK)?;
        let document = BASE64_URL_SAFE_NO_PAD.decode(document).ok()?;
        let opened = self
            .of_worker
            .open(Purpose::Session, OF_WORKER_MARK, &document);
        opened.ok()
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;

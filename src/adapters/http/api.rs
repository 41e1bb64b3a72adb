//! What the clients of all APIs share: reads that are made twice before an object counts as missing, writes, and refusals
//! that too many users meet.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::claims::claims_of;
use super::connection::connect;
use super::dialect::Dialect;
use super::error::ApiError;
use super::quota::Quota;
use super::refusals::Refusals;
use super::row_stream::RowStream;
use super::token::{Grant, Tokens};
use super::transport::{Reply, Request, Transport};
use crate::address::PemFile;
use crate::clock::Clock;
use crate::failpoint::effect;
use crate::machine::Call;
use crate::ports::{Answered, QuotaClass, Quotas};
use crate::progress::Progress;
use crate::secret::Secret;
use crate::telemetry::metrics;

/// The note of a call whose object was missing twice.
pub(crate) const TWICE: &str = "not found by a second read after a pause, either";

/// The note of a write whose answer was the new state, so that no other read was made.
const SHOWN: &str = "the answer is the new state, and counts as the read after the write";

/// How a write was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Accepted; done when a read says so.
    Done,
    /// Accepted, and the answer shows that it is done; see [`Api::write_shown`].
    Shown,
    /// The object changed since it was read: read again.
    Conflict,
    /// The object does not exist any more.
    Gone,
}

/// How to reach an API.
pub(crate) struct ApiOptions {
    pub base_uri: Url,
    pub token_uri: Url,
    /// Of a private CA.
    pub ca: Option<PemFile>,
    pub client_id: String,
    pub client_secret: Secret,
    pub grant: Grant,
    /// Calls a second, routing and IAM; `None` for no limit.
    pub rate_routing: Option<f64>,
    pub rate_scim: Option<f64>,
    pub rate_analytics: Option<f64>,
    /// Shares the rates with the other workers.
    pub quotas: Arc<dyn Quotas>,
    pub page_size: u16,
    /// The pause before the second read of an object that was missing.
    pub second_read_after: Duration,
    pub clock: Clock,
    /// Of the process that calls.
    pub progress: Progress,
}

/// The API, with token, quotas and connections.
pub(crate) struct Api {
    base: Url,
    page_size: u16,
    second_read_after: Duration,
    refusals: Refusals,
    pub(crate) transport: Transport,
}

impl Api {
    pub(crate) fn new(options: ApiOptions, dialect: &'static Dialect) -> Result<Self, ApiError> {
        let ca = options.ca.as_ref();
        let http = connect(&options.base_uri, ca)?;
        // Each client reads all CAs of the system.
        let of_tokens = if options.token_uri.origin() == options.base_uri.origin() {
            http.clone()
        } else {
            connect(&options.token_uri, ca)?
        };
        let tokens = Tokens::new(
            of_tokens,
            options.token_uri,
            &options.client_id,
            &options.client_secret,
            &options.grant,
            options.clock.clone(),
        );
        let quota = |class, rate: Option<f64>| {
            if let Some(rate) = rate {
                metrics::quota(class, rate);
            }
            let quotas = Arc::clone(&options.quotas);
            Quota::new(class, rate, quotas, options.progress.clone())
        };
        let transport = Transport {
            http,
            dialect,
            tokens,
            routing: quota(QuotaClass::Routing, options.rate_routing),
            scim: quota(QuotaClass::Scim, options.rate_scim),
            analytics: quota(QuotaClass::Analytics, options.rate_analytics),
            clock: options.clock,
            progress: options.progress,
        };

        Ok(Self {
            base: options.base_uri,
            page_size: options.page_size,
            second_read_after: options.second_read_after,
            refusals: Refusals::default(),
            transport,
        })
    }

    /// The origin.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// Conversations a page.
    pub(crate) const fn page_size(&self) -> u16 {
        self.page_size
    }

    /// Gets a token, and returns its scopes if the answer that it came with lists them.
    pub(crate) async fn scopes(&self) -> Result<Option<String>, ApiError> {
        self.transport.tokens.scopes().await
    }

    /// Gets a token, and returns its claims if it is a JWT.
    pub(crate) async fn claims(&self) -> Result<Option<serde_json::Value>, ApiError> {
        let token = self.transport.tokens.get().await?;
        Ok(claims_of(token.expose()))
    }

    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        self.transport.send(request).await
    }

    /// Asks for a page. Its rows go into `rows` as they arrive; only the rest of the page is in the reply.
    pub(in crate::adapters) async fn send_page(
        &self,
        request: Request<'_>,
        rows: &mut RowStream<'_>,
    ) -> Result<Reply, ApiError> {
        self.transport.send_into(request, Some(rows)).await
    }

    /// Reads an object; `None` when it does not exist. One 404 proves nothing, since a gateway that restarts or a
    /// replica that lags answers so: only a second one after a pause counts.
    pub(crate) async fn read<T>(
        &self,
        request: Request<'_>,
        parse: impl FnOnce(&Reply) -> Result<T, String>,
    ) -> Result<Answered<Option<T>>, ApiError> {
        let mut reply = self.send(request.clone()).await?;
        let mut note = None;
        if reply.says_missing() {
            reply = self.send_again(request).await?;
            note = Some(TWICE.to_owned());
        }

        match reply.status() {
            200 => {
                let value = parse(&reply).map_err(|why| reply.unreadable(why))?;
                Ok(Answered {
                    value: Some(value),
                    call: reply.call,
                })
            }
            _ if reply.says_missing() => Ok(Answered {
                value: None,
                call: Call { note, ..reply.call },
            }),
            _ => Err(reply.refusal()),
        }
    }

    /// Sends the same call after the pause of a second read.
    pub(crate) async fn send_again(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        self.pause().await;
        self.send(request).await
    }

    /// The pause before a second read. No quota place is held during it.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.second_read_after).await;
    }

    /// Sends a write. `name` is the name of the call, the same for every user; `conflicts` says whether an answer means
    /// that the object changed since it was read.
    pub(crate) async fn write(
        &self,
        name: &'static str,
        request: Request<'_>,
        conflicts: impl FnOnce(&Reply) -> bool,
    ) -> Result<Answered<Write>, ApiError> {
        self.write_shown(name, request, conflicts, |_reply| false)
            .await
    }

    /// The same, where `shows` says whether the answer of an accepted write shows by itself that the object is now as it
    /// was asked to be.
    pub(crate) async fn write_shown(
        &self,
        name: &'static str,
        request: Request<'_>,
        conflicts: impl FnOnce(&Reply) -> bool,
        shows: impl FnOnce(&Reply) -> bool,
    ) -> Result<Answered<Write>, ApiError> {
        let mut reply = effect("the API write", self.send(request)).await?;

        let value = match reply.status() {
            _ if conflicts(&reply) => Write::Conflict,
            200 if shows(&reply) => {
                self.succeeded(name);
                reply.call.note = Some(SHOWN.to_owned());
                Write::Shown
            }
            200..=299 => {
                self.succeeded(name);
                Write::Done
            }
            404 | 410 if reply.says_missing() => Write::Gone,
            _ => return Err(self.refused(name, &reply.what, reply.refusal())),
        };
        Ok(Answered {
            value,
            call: reply.call,
        })
    }

    /// A call of this name was accepted, so that not every user meets a refusal of it.
    pub(crate) fn succeeded(&self, name: &'static str) {
        self.refusals.succeeded(name);
    }

    /// The refusal of a call: a systemic one, if too many users met it. `user` is different for each of them.
    pub(crate) fn refused(&self, name: &'static str, user: &str, refusal: ApiError) -> ApiError {
        let same = match &refusal {
            ApiError::Rejected { status, code, .. } => format!("{status}{code}"),
            ApiError::Foreign { status, .. } => format!("{status}, foreign"),
            ApiError::Withheld { status, why, .. } => format!("{status}, {why}"),
            ApiError::Contradiction { .. } => "contradiction".to_owned(),
            ApiError::Setup(_)
            | ApiError::Unreachable { .. }
            | ApiError::Untrusted { .. }
            | ApiError::NoTokenEndpoint { .. }
            | ApiError::NoDescriptor { .. }
            | ApiError::Timeout { .. }
            | ApiError::AnswerLost { .. }
            | ApiError::Unauthorized { .. }
            | ApiError::MissingScope { .. }
            | ApiError::Throttled { .. }
            | ApiError::Server { .. }
            | ApiError::RefusedToMany { .. }
            | ApiError::Redirected { .. }
            | ApiError::Unreadable { .. }
            | ApiError::TooLarge { .. }
            | ApiError::BadNextPage { .. }
            | ApiError::ForeignNextPage { .. }
            | ApiError::CursorLost { .. }
            | ApiError::PagesMoved { .. }
            | ApiError::WindowTooLong { .. }
            | ApiError::TooManyResults { .. } => return refusal,
        };
        match self.refusals.record(name, &same, user) {
            Some(users) => ApiError::RefusedToMany {
                refusal: Box::new(refusal),
                users,
            },
            None => refusal,
        }
    }
}

/// A document that was parsed when it was read does not parse again: a fault of ours.
pub(crate) fn unwritable(call: &str, why: String) -> ApiError {
    ApiError::Unreadable {
        what: call.to_owned(),
        why,
    }
}

//! The client: what its calls share.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::paths::Paths;
use crate::adapters::http::{
    ApiError, Quota, Refusals, Reply, Request, Tokens, Transport, code_of, connect,
};
use crate::clock::Clock;
use crate::failpoint::effect;
use crate::machine::Call;
use crate::ports::{Answered, QuotaClass, Quotas, Write};
use crate::progress::Progress;
use crate::secret::Secret;
use crate::telemetry::metrics;

/// The note of a call whose object was missing twice.
pub(super) const TWICE: &str = "not found by a second read after a pause, either";
pub(super) const SCIM: &str = "application/scim+json";

pub(crate) struct Options {
    pub base_uri: Url,
    pub token_uri: Url,
    pub client_id: String,
    pub client_secret: Secret,
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

/// The API. Cheap to clone; clones share token, quota and connections.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) paths: Paths,
    pub(super) page_size: u16,
    pub(super) second_read_after: Duration,
    pub(super) refusals: Refusals,
    pub(super) transport: Transport,
}

impl Client {
    pub(crate) fn new(options: Options) -> Result<Self, ApiError> {
        let tokens = Tokens::new(
            connect(&options.token_uri)?,
            options.token_uri,
            &options.client_id,
            &options.client_secret,
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
            http: connect(&options.base_uri)?,
            tokens,
            routing: quota(QuotaClass::Routing, options.rate_routing),
            scim: quota(QuotaClass::Scim, options.rate_scim),
            analytics: quota(QuotaClass::Analytics, options.rate_analytics),
            clock: options.clock,
            progress: options.progress,
        };

        Ok(Self {
            shared: Arc::new(Shared {
                paths: Paths::new(options.base_uri),
                page_size: options.page_size,
                second_read_after: options.second_read_after,
                refusals: Refusals::default(),
                transport,
            }),
        })
    }

    /// Gets a token, and returns its scopes if the answer that it came with lists them.
    pub(super) async fn scopes(&self) -> Result<Option<String>, ApiError> {
        self.shared.transport.tokens.scopes().await
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.shared.paths
    }

    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        self.shared.transport.send(request).await
    }

    /// Reads an object; `None` when it does not exist. One 404 proves nothing, since a gateway that restarts or a
    /// replica that lags answers so: only a second one after a pause counts.
    pub(super) async fn read<T>(
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

    /// Sends the same call after the pause of a second read. No quota place is held while it waits.
    pub(super) async fn send_again(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        tokio::time::sleep(self.shared.second_read_after).await;
        self.send(request).await
    }

    /// Writes an object back. `name` is the name of the call, the same for every user.
    pub(super) async fn write(
        &self,
        name: &'static str,
        request: Request<'_>,
    ) -> Result<Answered<Write>, ApiError> {
        let is_scim = request.media_type == SCIM;
        let reply = effect("the API write", self.send(request)).await?;

        let value = match reply.status() {
            200..=299 => {
                self.shared.refusals.succeeded(name);
                Write::Done
            }
            404 | 410 if reply.says_missing() => Write::Gone,
            412 => Write::Conflict,
            409 if is_scim => Write::Conflict,
            400 if code_of(&reply.body).as_deref() == Some("invalidVers") => Write::Conflict,
            _ => return Err(self.refused(name, &reply.what, reply.refusal())),
        };
        Ok(Answered {
            value,
            call: reply.call,
        })
    }

    /// The refusal of a call: a systemic one, if too many users met it. `user` is different for each of them.
    pub(super) fn refused(&self, name: &'static str, user: &str, refusal: ApiError) -> ApiError {
        let same = match &refusal {
            ApiError::Rejected { status, code, .. } => format!("{status}{code}"),
            ApiError::Foreign { status, .. } => format!("{status}, foreign"),
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
            | ApiError::CursorLost { .. } => return refusal,
        };
        match self.shared.refusals.record(name, &same, user) {
            Some(users) => ApiError::RefusedToMany {
                refusal: Box::new(refusal),
                users,
            },
            None => refusal,
        }
    }
}

/// A document that was parsed when it was read does not parse again: a fault of ours.
pub(super) fn unwritable(call: &str, why: String) -> ApiError {
    ApiError::Unreadable {
        what: call.to_owned(),
        why,
    }
}

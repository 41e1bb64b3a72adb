use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::answer::code_of;
use super::document::{Queue, QueueId, RoutingProfile, ScimUser};
use super::error::CxoneError;
use super::http::http;
use super::page::{NextPage, PATH, Page};
use super::quota::Quota;
use super::refusals::Refusals;
use super::token::Tokens;
use super::transport::{Reply, Request, Transport};
use crate::failpoint::effect;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{QuotaClass, Quotas};
use crate::secret::Secret;
use crate::telemetry::metrics;

/// A page may hold 500 long conversations; one that is larger still is refused, so that memory
/// stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);
/// Said of a call whose object was not there.
pub(super) const TWICE: &str = "not there at a second look after a pause, either";
pub(super) const SCIM: &str = "application/scim+json";

/// What a client needs to know.
pub(crate) struct Options {
    pub base_uri: Url,
    pub token_uri: Url,
    pub client_id: String,
    pub client_secret: Secret,
    /// Calls a second, routing and IAM; `None` for no limit.
    pub rate_routing: Option<f64>,
    pub rate_scim: Option<f64>,
    pub rate_analytics: Option<f64>,
    /// With whom the quotas are shared.
    pub quotas: Arc<dyn Quotas>,
    pub page_size: u16,
    /// Between two looks for what is not there.
    pub second_look: Duration,
}

/// The API. Cheap to clone; clones share token, quota and connections.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    base: Url,
    page_size: u16,
    pub(super) second_look: Duration,
    pub(super) refusals: Refusals,
    pub(super) transport: Transport,
}

/// An answer, and the call that proves it.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub value: T,
    pub call: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Accepted; done when a read says so.
    Done,
    /// The object changed since it was read: read again.
    Conflict,
    /// The object is not there any more.
    Gone,
}

impl Client {
    pub(crate) fn new(options: Options) -> Result<Self, CxoneError> {
        let http = http(&options.base_uri)?;
        let of_tokens = self::http(&options.token_uri)?;
        let tokens = Tokens::new(
            of_tokens,
            options.token_uri,
            &options.client_id,
            &options.client_secret,
        );
        let quota = |class, rate: Option<f64>| {
            if let Some(rate) = rate {
                metrics::quota(class, rate);
            }
            Quota::new(class, rate, Arc::clone(&options.quotas))
        };
        let transport = Transport {
            http,
            tokens,
            routing: quota(QuotaClass::Routing, options.rate_routing),
            scim: quota(QuotaClass::Scim, options.rate_scim),
            analytics: quota(QuotaClass::Analytics, options.rate_analytics),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                base: options.base_uri,
                page_size: options.page_size,
                second_look: options.second_look,
                refusals: Refusals::default(),
                transport,
            }),
        })
    }

    /// Gets a token, and tells its scopes, where the answer that it came with does.
    pub(crate) async fn scopes(&self) -> Result<Option<String>, CxoneError> {
        self.shared.transport.tokens.scopes().await
    }

    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, CxoneError> {
        let mut url = self.shared.base.clone();
        url.path_segments_mut()
            .map_err(|()| CxoneError::Setup("the base URI cannot have a path".to_owned()))?
            .clear()
            .extend(segments);
        Ok(url)
    }

    pub(super) fn user_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "iam", "users", &user_id.to_string()])
    }

    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CxoneError> {
        self.shared.transport.send(request).await
    }

    /// Reads an object; `None` when it is not there. One 404 proves nothing, since a gateway that restarts or a
    /// replica that lags answers so: only a second one after a pause counts.
    async fn read<T>(
        &self,
        request: Request<'_>,
        parse: impl FnOnce(&Reply) -> Result<T, String>,
    ) -> Result<Answered<Option<T>>, CxoneError> {
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

    /// The same call after the pause of a second look; nothing is held meanwhile.
    pub(super) async fn send_again(&self, request: Request<'_>) -> Result<Reply, CxoneError> {
        tokio::time::sleep(self.shared.second_look).await;
        self.send(request).await
    }

    /// Writes an object back. `name` is the call's, whoever the user is.
    async fn write(
        &self,
        name: &'static str,
        request: Request<'_>,
    ) -> Result<Answered<Write>, CxoneError> {
        let is_scim = request.media_type == SCIM;
        let reply = effect("the API write", self.send(request)).await?;
        let value = match reply.status() {
            200..=299 => {
                self.shared.refusals.passed(name);
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

    /// The refusal of a call, or everybody's, when too many users met it. `user` is different for each of them.
    pub(super) fn refused(
        &self,
        name: &'static str,
        user: &str,
        refusal: CxoneError,
    ) -> CxoneError {
        let same = match &refusal {
            CxoneError::Rejected { status, code, .. } => format!("{status}{code}"),
            CxoneError::Foreign { status, .. } => format!("{status}, foreign"),
            CxoneError::Contradiction { .. } => "contradiction".to_owned(),
            CxoneError::Setup(_)
            | CxoneError::Unreachable { .. }
            | CxoneError::NoDescriptor { .. }
            | CxoneError::Timeout { .. }
            | CxoneError::AnswerLost { .. }
            | CxoneError::Unauthorized { .. }
            | CxoneError::MissingScope { .. }
            | CxoneError::Throttled { .. }
            | CxoneError::Server { .. }
            | CxoneError::RefusedToMany { .. }
            | CxoneError::Redirected { .. }
            | CxoneError::Unreadable { .. }
            | CxoneError::TooLarge { .. }
            | CxoneError::BadNextPage { .. }
            | CxoneError::ForeignNextPage { .. }
            | CxoneError::CursorLost { .. } => return refusal,
        };
        match self.shared.refusals.met(name, &same, user) {
            Some(users) => CxoneError::RefusedToMany {
                refusal: Box::new(refusal),
                users,
            },
            None => refusal,
        }
    }

    fn profile_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&[
            "api",
            "v2",
            "routing",
            "users",
            &user_id.to_string(),
            "routingprofile",
        ])
    }

    pub(crate) async fn routing_profile(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<RoutingProfile>>, CxoneError> {
        let request = Request::new(
            Method::GET,
            self.profile_url(user_id)?,
            QuotaClass::Routing,
            "routing:read",
        );
        self.read(request, |reply| {
            RoutingProfile::parse(&reply.body, reply.etag())
        })
        .await
    }

    /// Writes the profile back without queues.
    pub(crate) async fn clear_routing_profile(
        &self,
        user_id: UserId,
        read: &RoutingProfile,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, CxoneError> {
        let url = self.profile_url(user_id)?;
        let request = Request {
            if_match,
            body: Some(read.cleared()),
            ..Request::new(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        self.write("patch_routing_profile", request).await
    }

    fn queue_url(&self, queue_id: &QueueId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "routing", "queues", queue_id.as_str()])
    }

    pub(crate) async fn queue(
        &self,
        queue_id: &QueueId,
    ) -> Result<Answered<Option<Queue>>, CxoneError> {
        let request = Request::new(
            Method::GET,
            self.queue_url(queue_id)?,
            QuotaClass::Routing,
            "routing:read",
        );
        self.read(request, |reply| {
            Queue::parse(queue_id, &reply.body, reply.etag())
        })
        .await
    }

    /// Writes the queue back without the user as owner or supervisor.
    pub(crate) async fn release_queue(
        &self,
        read: &Queue,
        user_id: UserId,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, CxoneError> {
        let url = self.queue_url(read.id())?;
        let request = Request {
            if_match,
            body: Some(read.without(user_id)),
            ..Request::new(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        self.write("patch_queue", request).await
    }

    pub(super) fn scim_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "scim", "v2", "Users", &user_id.to_string()])
    }

    /// The SCIM user; `None` says nothing of the account, see [`Self::account`].
    pub(crate) async fn scim_user(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<ScimUser>>, CxoneError> {
        let url = self.scim_url(user_id)?;
        let request = Request {
            media_type: SCIM,
            ..Request::new(Method::GET, url, QuotaClass::Scim, "scim:read")
        };
        self.read(request, |reply| {
            ScimUser::parse(user_id, &reply.body, reply.etag())
        })
        .await
    }

    /// Writes the whole SCIM user back, inactive.
    pub(crate) async fn deactivate(
        &self,
        read: &ScimUser,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, CxoneError> {
        let url = self.scim_url(read.user_id)?;
        let request = Request {
            media_type: SCIM,
            if_match,
            body: Some(read.deactivated()),
            ..Request::new(Method::PUT, url, QuotaClass::Scim, "scim:write")
        };
        self.write("put_scim_user", request).await
    }

    /// The first page of the user's conversations in `[from, to)`.
    pub(crate) async fn first_page(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Page, CxoneError> {
        let body = json!({
            "dateFrom": from, "dateTo": to, "pageSize": self.shared.page_size,
            "filter": { "participantId": user_id },
        });
        let url = self.url(&["api", "v2", "conversations", "details", "query"])?;
        let request = Request {
            body: Some(body.to_string().into_bytes()),
            ..page_request(Method::POST, url)
        };
        self.page(self.send(request).await?)
    }

    pub(crate) async fn next_page(&self, link: &NextPage) -> Result<Page, CxoneError> {
        let url = link.url(&self.shared.base)?;
        let reply = self.send(page_request(Method::GET, url)).await?;
        // In any form: beginning again takes nothing away, and an old cursor may be all that is wrong.
        if matches!(reply.status(), 404 | 410) {
            return Err(CxoneError::CursorLost {
                what: format!("GET {PATH}"),
                status: reply.status(),
            });
        }
        self.page(reply)
    }

    fn page(&self, reply: Reply) -> Result<Page, CxoneError> {
        match reply.status() {
            200 | 204 => Page::parse(reply.body, &self.shared.base, &reply.what),
            _ => Err(reply.refusal()),
        }
    }
}

pub(super) fn page_request(method: Method, url: Url) -> Request<'static> {
    Request {
        max_bytes: MAX_PAGE_BYTES,
        timeout: PAGE_TIMEOUT,
        ..Request::new(
            method,
            url,
            QuotaClass::Analytics,
            "analytics:read and conversations:read",
        )
    }
}

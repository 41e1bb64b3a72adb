use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::document::{Queue, QueueId, RoutingProfile, ScimUser};
use super::error::CxoneError;
use super::look::{Look, Seen};
use super::page::{NextPage, PATH, Page};
use super::quota::Quota;
use super::token::Tokens;
use super::transport::{Reply, Request, Transport, code_of, is_missing_scope};
use crate::config::Secret;
use crate::job::UserId;
use crate::kill_point::effect;
use crate::machine::Call;
use crate::ports::{QuotaClass, Quotas};
use crate::telemetry::metrics;

/// A page may hold 500 long conversations; one that is larger still is refused, so that memory
/// stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);
const SCIM: &str = "application/scim+json";

/// What a client needs to know.
pub struct Options {
    /// API origin.
    pub base_uri: Url,
    /// Where tokens come from.
    pub token_uri: Url,
    /// OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Calls a second, routing and IAM; `None` for no limit.
    pub rate_routing: Option<f64>,
    /// Calls a second, SCIM.
    pub rate_scim: Option<f64>,
    /// Calls a second, conversations.
    pub rate_analytics: Option<f64>,
    /// With whom the quotas are shared.
    pub quotas: Arc<dyn Quotas>,
    /// Conversations a page.
    pub page_size: u16,
}

/// The API. Cheap to clone; clones share token, quota and connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    base: Url,
    page_size: u16,
    transport: Transport,
}

/// An answer, and the call that proves it.
#[derive(Debug)]
pub struct Answered<T> {
    /// What was answered.
    pub value: T,
    /// Evidence.
    pub call: Call,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Accepted; done when a read says so.
    Done,
    /// The object changed since it was read: read again.
    Conflict,
    /// The object is not there any more.
    Gone,
}

/// How a DELETE was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// 204.
    Deleted,
    /// 202: gone when a read says 404.
    Accepted,
    /// 404 or 410.
    Gone,
    /// 403 other than a missing scope, 409, 422, 423: not this user.
    Refused {
        /// The error code.
        code: Option<String>,
    },
    /// 405 or 501: not at this tenant.
    NotOffered {
        /// The error code.
        code: Option<String>,
    },
}

impl Client {
    /// Sends nothing yet.
    pub fn new(options: Options) -> Result<Self, CxoneError> {
        let http = Transport::http()?;
        let tokens = Tokens::new(http.clone(), options.token_uri, &options.client_id, &options.client_secret);
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
            shared: Arc::new(Shared { base: options.base_uri, page_size: options.page_size, transport }),
        })
    }

    /// Gets a token, and tells its scopes, where the answer that it came with does.
    pub async fn scopes(&self) -> Result<Option<String>, CxoneError> {
        self.shared.transport.tokens.scopes().await
    }

    /// Reads what nobody has: every user's calls of this kind are answered alike, and nothing is changed.
    pub async fn look(&self, look: Look) -> Result<Seen, CxoneError> {
        let id = "00000000-0000-4000-8000-000000000000";
        let get = |segments: &[&str], class, scope| {
            self.url(segments).map(|url| Request::new(Method::GET, url, class, scope))
        };
        let mut request = match look {
            Look::User => get(&["api", "v2", "iam", "users", id], QuotaClass::Routing, "user:read")?,
            Look::Routing => get(
                &["api", "v2", "routing", "users", id, "routingprofile"],
                QuotaClass::Routing,
                "routing:read",
            )?,
            Look::Scim => Request {
                media_type: SCIM,
                ..get(&["api", "v2", "scim", "v2", "Users", id], QuotaClass::Scim, "scim:read")?
            },
            Look::Conversations => {
                let to = Timestamp::now();
                let from = to.checked_sub(SignedDuration::from_hours(1)).unwrap_or(to);
                let body = json!({ "dateFrom": from, "dateTo": to, "pageSize": 1, "filter": { "participantId": id } });
                let url = self.url(&["api", "v2", "conversations", "details", "query"])?;
                Request { body: Some(body.to_string().into_bytes()), ..page_request(Method::POST, url) }
            }
        };
        request.timeout = Duration::from_secs(8);
        let reply = self.send(request).await?;
        match reply.status() {
            403 | 408 | 500 | 502..=599 => Err(reply.refusal()),
            _ => Ok(Seen::of(&reply)),
        }
    }

    fn url(&self, segments: &[&str]) -> Result<Url, CxoneError> {
        let mut url = self.shared.base.clone();
        url.path_segments_mut()
            .map_err(|()| CxoneError::Setup("the base URI cannot have a path".to_owned()))?
            .clear()
            .extend(segments);
        Ok(url)
    }

    fn user_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "iam", "users", &user_id.to_string()])
    }

    async fn send(&self, request: Request<'_>) -> Result<Reply, CxoneError> {
        self.shared.transport.send(request).await
    }

    /// Whether the API lets us in and answers: reads a user that nobody has.
    pub async fn probe(&self) -> Result<(), CxoneError> {
        let nobody = self.url(&["api", "v2", "iam", "users", "00000000-0000-4000-8000-000000000000"])?;
        let mut request = Request::new(Method::GET, nobody, QuotaClass::Routing, "user:read");
        request.timeout = Duration::from_secs(8);
        match self.send(request).await {
            Ok(reply) if matches!(reply.status(), 200 | 404 | 410) => Ok(()),
            Ok(reply) => Err(reply.refusal()),
            // Slow down is an answer.
            Err(CxoneError::Throttled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the user exists.
    pub async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, CxoneError> {
        let url = self.user_url(user_id)?;
        let reply = self.send(Request::new(Method::GET, url, QuotaClass::Routing, "user:read")).await?;
        match reply.status() {
            200 => Ok(Answered { value: true, call: reply.call }),
            404 | 410 => Ok(Answered { value: false, call: reply.call }),
            _ => Err(reply.refusal()),
        }
    }

    /// Reads an object; `None` when it is not there.
    async fn read<T>(
        &self,
        request: Request<'_>,
        parse: impl FnOnce(&Reply) -> Result<T, String>,
    ) -> Result<Answered<Option<T>>, CxoneError> {
        let reply = self.send(request).await?;
        match reply.status() {
            200 => {
                let value = parse(&reply).map_err(|why| reply.unreadable(why))?;
                Ok(Answered { value: Some(value), call: reply.call })
            }
            404 | 410 => Ok(Answered { value: None, call: reply.call }),
            _ => Err(reply.refusal()),
        }
    }

    /// Writes an object back.
    async fn write(&self, request: Request<'_>) -> Result<Answered<Write>, CxoneError> {
        let is_scim = request.media_type == SCIM;
        let reply = effect("the API write", self.send(request)).await?;
        let value = match reply.status() {
            200..=299 => Write::Done,
            404 | 410 => Write::Gone,
            412 => Write::Conflict,
            409 if is_scim => Write::Conflict,
            400 if code_of(&reply.body).as_deref() == Some("invalidVers") => Write::Conflict,
            _ => return Err(reply.refusal()),
        };
        Ok(Answered { value, call: reply.call })
    }

    fn profile_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "routing", "users", &user_id.to_string(), "routingprofile"])
    }

    /// The user's routing profile.
    pub async fn routing_profile(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<RoutingProfile>>, CxoneError> {
        let request =
            Request::new(Method::GET, self.profile_url(user_id)?, QuotaClass::Routing, "routing:read");
        self.read(request, |reply| RoutingProfile::parse(&reply.body, reply.etag())).await
    }

    /// Writes the profile back without queues.
    pub async fn clear_routing_profile(
        &self,
        user_id: UserId,
        read: &RoutingProfile,
    ) -> Result<Answered<Write>, CxoneError> {
        let url = self.profile_url(user_id)?;
        let request = Request {
            if_match: read.etag.as_deref(),
            body: Some(read.cleared()),
            ..Request::new(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        self.write(request).await
    }

    fn queue_url(&self, queue_id: &QueueId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "routing", "queues", queue_id.as_str()])
    }

    /// A queue.
    pub async fn queue(&self, queue_id: &QueueId) -> Result<Answered<Option<Queue>>, CxoneError> {
        let request =
            Request::new(Method::GET, self.queue_url(queue_id)?, QuotaClass::Routing, "routing:read");
        self.read(request, |reply| Queue::parse(queue_id, &reply.body, reply.etag())).await
    }

    /// Writes the queue back without the user as owner or supervisor.
    pub async fn release_queue(&self, read: &Queue, user_id: UserId) -> Result<Answered<Write>, CxoneError> {
        let url = self.queue_url(read.id())?;
        let request = Request {
            if_match: read.etag.as_deref(),
            body: Some(read.without(user_id)),
            ..Request::new(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        self.write(request).await
    }

    fn scim_url(&self, user_id: UserId) -> Result<Url, CxoneError> {
        self.url(&["api", "v2", "scim", "v2", "Users", &user_id.to_string()])
    }

    /// The SCIM user.
    pub async fn scim_user(&self, user_id: UserId) -> Result<Answered<Option<ScimUser>>, CxoneError> {
        let url = self.scim_url(user_id)?;
        let request =
            Request { media_type: SCIM, ..Request::new(Method::GET, url, QuotaClass::Scim, "scim:read") };
        self.read(request, |reply| ScimUser::parse(user_id, &reply.body, reply.etag())).await
    }

    /// Writes the whole SCIM user back, inactive.
    pub async fn deactivate(&self, read: &ScimUser) -> Result<Answered<Write>, CxoneError> {
        let url = self.scim_url(read.user_id)?;
        let request = Request {
            media_type: SCIM,
            if_match: read.version.as_deref(),
            body: Some(read.deactivated()),
            ..Request::new(Method::PUT, url, QuotaClass::Scim, "scim:write")
        };
        self.write(request).await
    }

    /// Deletes the user for good.
    pub async fn delete_user(&self, user_id: UserId) -> Result<Answered<DeleteAnswer>, CxoneError> {
        let url = self.user_url(user_id)?;
        let request = Request::new(Method::DELETE, url, QuotaClass::Routing, "iam:write");
        let reply = effect("the DELETE", self.send(request)).await?;
        let code = code_of(&reply.body);
        let value = match reply.status() {
            200 | 204 => DeleteAnswer::Deleted,
            202 => DeleteAnswer::Accepted,
            404 | 410 => DeleteAnswer::Gone,
            403 if is_missing_scope(&reply.headers, &reply.body) => return Err(reply.refusal()),
            403 | 409 | 422 | 423 => DeleteAnswer::Refused { code },
            405 | 501 => DeleteAnswer::NotOffered { code },
            _ => return Err(reply.refusal()),
        };
        Ok(Answered { value, call: reply.call })
    }

    /// The first page of the user's conversations in `[from, to)`.
    pub async fn first_page(
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
        let request =
            Request { body: Some(body.to_string().into_bytes()), ..page_request(Method::POST, url) };
        self.page(self.send(request).await?)
    }

    /// A further page.
    pub async fn next_page(&self, link: &NextPage) -> Result<Page, CxoneError> {
        let url = link.url(&self.shared.base)?;
        let reply = self.send(page_request(Method::GET, url)).await?;
        if matches!(reply.status(), 404 | 410) {
            return Err(CxoneError::CursorLost { what: format!("GET {PATH}"), status: reply.status() });
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

fn page_request(method: Method, url: Url) -> Request<'static> {
    Request {
        max_bytes: MAX_PAGE_BYTES,
        timeout: PAGE_TIMEOUT,
        ..Request::new(method, url, QuotaClass::Analytics, "analytics:read and conversations:read")
    }
}

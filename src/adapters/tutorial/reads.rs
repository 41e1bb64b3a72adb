//! Reads for a user that does not exist: they show whether a part of the API works, and touch no user.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use super::client::{Client, SCIM};
use crate::adapters::http::{ApiError, NOBODY, Reply, Request, facts_of, is_own};
use crate::ports::{QuotaClass, ReadFacts, TenantRead};

impl Client {
    pub(super) async fn facts(&self, read: TenantRead) -> Result<ReadFacts, ApiError> {
        let reply = self.read_of_nobody(read).await?;
        match reply.status() {
            403 | 408 | 500 | 502..=599 => Err(reply.refusal()),
            _ => Ok(facts_of(&reply)),
        }
    }

    /// Whether the API accepts and answers calls of this kind: the user is not found, and it is the API that says so.
    pub(super) async fn probe_read(&self, read: TenantRead) -> Result<(), ApiError> {
        match self.read_of_nobody(read).await {
            Ok(reply) => match reply.status() {
                200 | 204 if is_own(&reply) => Ok(()),
                200 | 204 => Err(reply.unreadable("not a JSON object, but something else")),
                _ if reply.says_missing() => Ok(()),
                _ => Err(reply.refusal()),
            },
            // "Slow down" is an answer.
            Err(ApiError::Throttled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_of_nobody(&self, read: TenantRead) -> Result<Reply, ApiError> {
        let paths = self.paths();
        let get = |url, class, scope| Request::read(Method::GET, url, class, scope);

        let mut request = match read {
            TenantRead::User => get(paths.user(NOBODY)?, QuotaClass::Routing, "user:read"),
            TenantRead::Routing => get(
                paths.routing_profile(NOBODY)?,
                QuotaClass::Routing,
                "routing:read",
            ),
            TenantRead::Account => Request {
                media_type: SCIM,
                ..get(paths.scim_user(NOBODY)?, QuotaClass::Scim, "scim:read")
            },
            TenantRead::Conversations => {
                let to = self.api.transport.clock.now();
                let from = to.checked_sub(SignedDuration::from_hours(1)).unwrap_or(to);
                self.query(&json!({
                    "dateFrom": from, "dateTo": to, "pageSize": 1,
                    "filter": { "participantId": NOBODY },
                }))?
            }
        };
        request.timeout = Duration::from_secs(8);
        self.api.send(request).await
    }
}

//! Reads for a user that does not exist: they show whether a part of the API works, and touch no user.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::client::GenesysClient;
use super::limits::over_limit;
use super::paths::Page;
use crate::adapters::http::{ApiError, NOBODY, Reply, Request, facts_of, is_own};
use crate::ports::{QuotaClass, ReadFacts, TenantRead};

impl GenesysClient {
    pub(super) async fn facts(&self, read: TenantRead) -> Result<ReadFacts, ApiError> {
        let reply = self.read_of_nobody(read).await?;
        if let Some(error) = over_limit(&reply) {
            return Err(error);
        }
        match reply.status() {
            403 | 408 | 500 | 502..=599 => Err(reply.refusal()),
            _ => Ok(facts_of(&reply)),
        }
    }

    /// Whether the API accepts and answers calls of this kind: the user is not found, and it is the API that says so.
    pub(super) async fn probe_read(&self, read: TenantRead) -> Result<(), ApiError> {
        match self.read_of_nobody(read).await {
            Ok(reply) => match reply.status() {
                200 if is_own(&reply) => Ok(()),
                200 => Err(reply.unreadable("not a JSON object, but something else")),
                _ if reply.says_missing() => Ok(()),
                _ => Err(over_limit(&reply).unwrap_or_else(|| reply.refusal())),
            },
            // "Slow down" is an answer.
            Err(ApiError::Throttled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_of_nobody(&self, read: TenantRead) -> Result<Reply, ApiError> {
        let get = |url, scope| Request::read(Method::GET, url, QuotaClass::Routing, scope);
        let mut request = match read {
            // The same read shows whether a user may sign in.
            TenantRead::User | TenantRead::Account => {
                get(self.paths().user(NOBODY)?, "to view users")
            }
            TenantRead::Routing => {
                let page = Page { size: 1, number: 1 };
                let url = self.paths().queues(NOBODY, true, page)?;
                get(url, "routing:queue:view")
            }
            TenantRead::Conversations => {
                let interval = self.whole_window();
                self.query(NOBODY, interval, 1, 1)?
            }
        };
        request.timeout = Duration::from_secs(8);
        self.api.send(request).await
    }

    /// The longest interval that an archive asks for: only a query of that length shows that the API takes it.
    pub(super) fn whole_window(&self) -> [Timestamp; 2] {
        let now = self.api.transport.clock.now();
        let midnight = now.as_second() - now.as_second().rem_euclid(86_400);
        let to = Timestamp::from_second(midnight).unwrap_or(now);
        let days = i64::from(self.window_days.unwrap_or(1));
        let from = to.checked_sub(SignedDuration::from_hours(days.saturating_mul(24)));
        [from.unwrap_or(to), to]
    }
}

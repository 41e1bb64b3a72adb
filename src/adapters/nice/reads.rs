//! Reads for a user that does not exist: they show whether a part of the API works, and touch no user.

use std::time::Duration;

use jiff::SignedDuration;

use super::client::{Client, get, right};
use super::numbers::Number;
use crate::adapters::http::{ApiError, NOBODY, Reply, Request, facts_of, is_own};
use crate::ports::{ReadFacts, TenantRead};

/// The number of an agent that does not exist.
const NOBODYS_NUMBER: u64 = 2_147_483_647;

impl Client {
    /// Makes all reads of this kind, and returns what the last one shows, or the first that the API did not answer.
    pub(super) async fn examine_read(&self, read: TenantRead) -> Result<ReadFacts, ApiError> {
        let mut requests = self.reads_of_nobody(read)?.into_iter();
        loop {
            let Some(request) = requests.next() else {
                return Err(ApiError::Setup("no read of this kind".to_owned()));
            };
            let reply = self.send_briefly(request).await?;
            match reply.status() {
                403 | 408 | 500 | 502..=599 => return Err(reply.refusal()),
                _ if requests.len() == 0 || !answers(&reply) => return Ok(facts_of(&reply)),
                _ => {}
            }
        }
    }

    /// Whether the API accepts and answers all calls of this kind: nobody is found, and it is the API that says so.
    pub(super) async fn probe_read(&self, read: TenantRead) -> Result<(), ApiError> {
        for request in self.reads_of_nobody(read)? {
            match self.send_briefly(request).await {
                Ok(reply) if answers(&reply) => {}
                Ok(reply) => match reply.status() {
                    200..=299 => {
                        return Err(reply.unreadable("not a JSON object, but something else"));
                    }
                    _ => return Err(reply.refusal()),
                },
                // "Slow down" is an answer.
                Err(ApiError::Throttled { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn send_briefly(&self, mut request: Request<'static>) -> Result<Reply, ApiError> {
        request.timeout = Duration::from_secs(8);
        self.api.send(request).await
    }

    /// As the steps make them, so that a right which one of them misses shows.
    fn reads_of_nobody(&self, read: TenantRead) -> Result<Vec<Request<'static>>, ApiError> {
        let paths = self.paths();
        let agent = Number::new(NOBODYS_NUMBER)
            .ok_or_else(|| ApiError::Setup("the number of nobody is none".to_owned()))?;
        let user = get(paths.user(NOBODY)?, right::VIEW_EMPLOYEES);

        Ok(match read {
            TenantRead::User => vec![user],
            TenantRead::Account => {
                let keys = paths.access_keys(&[("userId", NOBODY)])?;
                vec![user, get(keys, right::VIEW_KEYS)]
            }
            TenantRead::Routing => vec![
                get(paths.agent(NOBODY)?, right::VIEW_AGENTS),
                get(paths.skills_of(agent, 0, 1)?, right::VIEW_SKILLS),
                get(paths.groups_of(agent)?, right::VIEW_GROUPS),
            ],
            TenantRead::Conversations => {
                let to = self.api.transport.clock.now();
                let from = to.checked_sub(SignedDuration::from_hours(1)).unwrap_or(to);
                vec![self.contacts(agent, from, to, 0, 1)?]
            }
        })
    }
}

/// An ID that nobody has may be refused as a bad one.
fn answers(reply: &Reply) -> bool {
    match reply.status() {
        200 | 204 => is_own(reply),
        400 => reply.is_own(),
        _ => reply.says_missing(),
    }
}

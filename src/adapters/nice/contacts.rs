//! Completed contacts of an agent, page by page. A window is complete once as many rows were seen as its total says, and
//! the total never changed in between; otherwise the archive begins again with the same dates.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::client::{Client, get, hides, right};
use super::documents::hides_rows;
use super::facts::read_contact;
use super::known_agents::AgentOf;
use super::numbers::Number;
use super::page_link::PageLink;
use crate::adapters::http::{ApiError, InOrder, Reply, Request, rows};
use crate::job::UserId;
use crate::ports::{Page, PageRequest};

/// A page may hold thousands of contacts. A larger one is refused, so that memory stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);

const CALL: &str = "get_contacts";

impl Client {
    /// A user who is no agent, in both parts of the API, has no contacts: each window is empty.
    pub(super) async fn read_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
    ) -> Result<Page, ApiError> {
        let link = request.link.map(str::parse::<PageLink>).transpose()?;
        let known = self
            .known_agent(user_id, request.agent, &mut Vec::new())
            .await?;
        let agent = match known {
            AgentOf::Number(agent) => agent,
            AgentOf::Nobody if link.is_none() => {
                return Ok(Page::new(Bytes::new(), Vec::new(), None));
            }
            AgentOf::Nobody => return Err(self.moved("the user is no agent any more")?),
            AgentOf::UserGone => return Err(self.unknown_history(user_id)?),
        };
        // A link of another agent would bring its contacts into this user's archive.
        if link.as_ref().is_some_and(|link| link.agent != agent) {
            return Err(self.moved("the saved link is of another agent")?);
        }

        let size = u64::from(self.api.page_size());
        let skip = link.as_ref().map_or(0, |link| link.seen);
        let request = self.contacts(agent, request.from, request.to, skip, size)?;
        let reply = self.api.send(request).await?;
        let page = match reply.status() {
            200 | 204 => parse(&reply, agent, link.as_ref())?,
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        Ok(page)
    }

    /// A query of the contacts that began in `[from, to)`. `endDate` is inclusive.
    pub(super) fn contacts(
        &self,
        agent: Number,
        from: Timestamp,
        to: Timestamp,
        skip: u64,
        top: u64,
    ) -> Result<Request<'static>, ApiError> {
        let last = to.checked_sub(SignedDuration::from_millis(1)).unwrap_or(to);
        let url = self.paths().contacts(&[
            ("startDate", &shown(from)),
            ("endDate", &shown(last)),
            ("agentId", &agent.to_string()),
            ("orderBy", "contactStartDate asc"),
            ("skip", &skip.to_string()),
            ("top", &top.to_string()),
        ])?;
        Ok(Request {
            max_bytes: MAX_PAGE_BYTES,
            timeout: PAGE_TIMEOUT,
            ..get(url, right::VIEW_CONTACTS)
        })
    }

    fn moved(&self, why: &str) -> Result<ApiError, ApiError> {
        Ok(ApiError::PagesMoved {
            what: self.what()?,
            why: why.to_owned(),
        })
    }

    fn unknown_history(&self, user_id: UserId) -> Result<ApiError, ApiError> {
        let refusal = ApiError::Withheld {
            what: self.what()?,
            status: 404,
            why: "that is, neither UserHub nor ACD knows the user: the number of its agent is unknown, and so is its \
                  history, which does not count as empty"
                .to_owned(),
            correlation_id: String::new(),
        };
        Ok(self.api.refused(CALL, &user_id.to_string(), refusal))
    }

    fn what(&self) -> Result<String, ApiError> {
        Ok(format!("GET {}", self.paths().contacts(&[])?.path()))
    }
}

/// In UTC, with milliseconds and `Z`: an offset is not honoured.
fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A page of this agent's contacts, of which `link` names those that came before.
fn parse(reply: &Reply, agent: Number, link: Option<&PageLink>) -> Result<Page, ApiError> {
    let moved = |why: String| ApiError::PagesMoved {
        what: reply.what.clone(),
        why,
    };
    let unreadable = |why: String| reply.unreadable(why);
    if reply.status() == 204 {
        return match link {
            None => Ok(Page::new(Bytes::new(), Vec::new(), None)),
            Some(_) => Err(moved("the contacts end before their total".to_owned())),
        };
    }

    let read = rows(&reply.body, "completedContacts").map_err(unreadable)?;
    let hidden = read.member::<Value>("hiddenAgents").map_err(unreadable)?;
    if hides_rows(hidden.as_ref()).map_err(unreadable)? {
        return Err(hides(reply, right::VIEW_CONTACTS));
    }
    let total: Option<u64> = read.member("totalRecords").map_err(unreadable)?;
    let total = total.ok_or_else(|| unreadable("totalRecords is missing".to_owned()))?;
    let ranges = match read.ranges {
        None if total > 0 => return Err(unreadable("completedContacts is missing".to_owned())),
        ranges => ranges.unwrap_or_default(),
    };
    let mut order = InOrder::after(link.map(|link| &link.end));
    for range in &ranges {
        let row = reply.body.get(range.clone()).unwrap_or_default();
        let contact = read_contact(row);
        let contact = contact.ok_or_else(|| reply.unreadable("a contact cannot be read"))?;
        // A server that ignores the filter would put other people's contacts into the archive.
        if !contact.agent.is_null() && Number::of(&contact.agent) != Some(agent) {
            return Err(reply.unreadable("a contact is of another agent than the one asked for"));
        }
        order.follow(&contact.facts, reply)?;
    }

    if let Some(link) = link.filter(|link| link.total != total) {
        let before = link.total;
        return Err(moved(format!(
            "the number of contacts changed from {before} to {total}"
        )));
    }
    let seen = link.map_or(0, |link| link.seen) + ranges.len() as u64;
    if seen > total || (seen < total && ranges.is_empty()) {
        return Err(moved(format!("{seen} contacts came of {total}")));
    }
    let next = (seen < total).then(|| {
        let end = order.end();
        PageLink {
            seen,
            total,
            agent,
            end,
        }
        .to_string()
    });
    Ok(Page::new(reply.body.clone(), ranges, next))
}

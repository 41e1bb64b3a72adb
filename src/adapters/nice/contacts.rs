//! Completed contacts of an agent, page by page. A window is complete once as many rows were seen as its total says, and
//! the total never changed in between; otherwise the archive begins again with the same dates.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::client::{Client, get, hides, right};
use super::documents::hides_rows;
use super::facts::read_contact;
use super::known_agents::AgentOf;
use super::numbers::Number;
use super::page_link::PageLink;
use crate::adapters::http::{ApiError, InOrder, Reply, Request, RowStream, Rows};
use crate::job::UserId;
use crate::ports::{ConversationSink, PageRequest};

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
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, ApiError> {
        let link = request.link.map(str::parse::<PageLink>).transpose()?;
        let known = self
            .known_agent(user_id, request.agent, &mut Vec::new())
            .await?;
        let agent = match known {
            AgentOf::Number(agent) => agent,
            AgentOf::Nobody if link.is_none() => return Ok(None),
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
        let mut order = InOrder::after(link.as_ref().map(|link| &link.end));
        let mut check = |row: &[u8], what: &str| check(row, what, agent, &mut order);
        let mut stream = RowStream::new("completedContacts", &mut check, sink);
        let reply = self.api.send_page(request, &mut stream).await?;
        let next = match reply.status() {
            200 => {
                let page = stream.page(&reply.body);
                let page = page.map_err(|why| reply.unreadable(why))?;
                parse(&reply, &page, agent, link.as_ref(), order)?
            }
            204 if link.is_none() => None,
            204 => return Err(self.moved("the contacts end before their total")?),
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        Ok(next)
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

fn check(row: &[u8], what: &str, agent: Number, order: &mut InOrder) -> Result<(), ApiError> {
    let unreadable = |why: &str| ApiError::Unreadable {
        what: what.to_owned(),
        why: why.to_owned(),
    };
    let contact = read_contact(row).ok_or_else(|| unreadable("a contact cannot be read"))?;

    // A server that ignores the filter would put other people's contacts into the archive.
    if !contact.agent.is_null() && Number::of(&contact.agent) != Some(agent) {
        return Err(unreadable(
            "a contact is of another agent than the one asked for",
        ));
    }
    order.follow(&contact.facts, what)
}

/// The link to the page after this one, if the window has one; `link` names the contacts that came before.
fn parse(
    reply: &Reply,
    page: &Rows<'_>,
    agent: Number,
    link: Option<&PageLink>,
    order: InOrder,
) -> Result<Option<String>, ApiError> {
    let moved = |why: String| ApiError::PagesMoved {
        what: reply.what.clone(),
        why,
    };
    let unreadable = |why: String| reply.unreadable(why);

    let hidden = page.member::<Value>("hiddenAgents").map_err(unreadable)?;
    if hides_rows(hidden.as_ref()).map_err(unreadable)? {
        return Err(hides(reply, right::VIEW_CONTACTS));
    }
    let total: Option<u64> = page.member("totalRecords").map_err(unreadable)?;
    let total = total.ok_or_else(|| unreadable("totalRecords is missing".to_owned()))?;
    let count = match &page.ranges {
        None if total > 0 => return Err(unreadable("completedContacts is missing".to_owned())),
        ranges => ranges.as_ref().map_or(0, Vec::len) as u64,
    };

    if let Some(link) = link.filter(|link| link.total != total) {
        let before = link.total;
        return Err(moved(format!(
            "the number of contacts changed from {before} to {total}"
        )));
    }
    let seen = link.map_or(0, |link| link.seen) + count;
    if seen > total || (seen < total && count == 0) {
        return Err(moved(format!("{seen} contacts came of {total}")));
    }
    Ok((seen < total).then(|| {
        let end = order.end();
        PageLink {
            seen,
            total,
            agent,
            end,
        }
        .to_string()
    }))
}

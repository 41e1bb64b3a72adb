//! Pages of conversations, and the proof that a window is whole.
//!
//! The API returns what *began* on the days that an interval touches. So days are what is asked for:
//!
//! * A window begins at midnight, except for the first, which is asked for from the midnight before it. What began on that
//!   day before `from` is archived, too: that is more than was asked for, and never less.
//! * What began before the first day is not returned, also if it continued. In a later window, the window before it
//!   returned it.
//! * A window ends at midnight, except for the last. Whether the API counts the day that begins at that midnight is not
//!   known. If it does, the next window returns the same conversations again: they end after the bound, or name no end, so
//!   the archive's deduplicator remembers them and admits each once. Asking for less would lose them if the API does not.
//! * The last window ends now. What began later on that day is archived if the API returns it already.
//!
//! A window is whole if as many different conversations were read as `totalHits` says, and each page said the same.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::client::GenesysClient;
use super::limits::over_limit;
use super::link::NextPage;
use crate::adapters::http::{
    ApiError, InOrder, Reply, Request, RowStream, Rows, conversation_facts,
};
use crate::ports::{ConversationSink, PageRequest, QuotaClass};

/// A page may hold 100 long conversations. A larger one is refused, so that memory stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);
const DAY_MS: i64 = 86_400_000;

impl GenesysClient {
    pub(super) async fn read_page(
        &self,
        user: &str,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, ApiError> {
        let before: Option<NextPage> = request.link.map(str::parse).transpose()?;
        let size = before
            .as_ref()
            .map_or(u64::from(self.api.page_size()), |link| link.size);
        let number = before.as_ref().map_or(1, |link| link.number);

        let query = self.query(user, [request.from, request.to], size, number)?;
        let mut order = InOrder::after(before.as_ref().map(|link| &link.end));
        let mut check = |row: &[u8], what: &str| order.follow(&conversation_facts(row), what);
        let mut stream = RowStream::new("conversations", &mut check, sink);
        let reply = self.api.send_page(query, &mut stream).await?;
        if let Some(error) = over_limit(&reply) {
            return Err(error);
        }
        match reply.status() {
            200 => {
                let page = stream.page(&reply.body);
                let page = page.map_err(|why| reply.unreadable(why))?;
                read(&reply, &page, before.as_ref(), size, order)
            }
            201..=299 => Err(reply.unreadable("a page of conversations has the status 200")),
            _ => Err(reply.refusal()),
        }
    }

    /// A read, although a POST.
    pub(super) fn query(
        &self,
        user: &str,
        [from, to]: [Timestamp; 2],
        size: u64,
        number: u64,
    ) -> Result<Request<'static>, ApiError> {
        let query = json!({
            "interval": interval(from, to),
            "order": "asc",
            "orderBy": "conversationStart",
            "segmentFilters": [{
                "type": "and",
                "predicates": [{
                    "type": "dimension", "dimension": "userId", "operator": "matches",
                    "value": user,
                }],
            }],
            "paging": { "pageSize": size, "pageNumber": number },
        });
        Ok(Request {
            body: Some(query.to_string().into_bytes()),
            max_bytes: MAX_PAGE_BYTES,
            timeout: PAGE_TIMEOUT,
            ..Request::read(
                Method::POST,
                self.paths().conversations()?,
                QuotaClass::Routing,
                "analytics:conversationDetail:view",
            )
        })
    }
}

/// From midnight, since the API counts days; to the millisecond that is not before `to`.
fn interval(from: Timestamp, to: Timestamp) -> String {
    let shown = |ms: i64| {
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    };
    let from = from.as_millisecond();
    let midnight = from - from.rem_euclid(DAY_MS);
    let floor = to.as_millisecond();
    let is_whole = Timestamp::from_millisecond(floor).is_ok_and(|at| at >= to);
    let end = if is_whole { floor } else { floor + 1 };
    format!("{}/{}", shown(midnight), shown(end))
}

/// The link to the page after this one, if the window has one.
fn read(
    reply: &Reply,
    page: &Rows<'_>,
    before: Option<&NextPage>,
    size: u64,
    order: InOrder,
) -> Result<Option<String>, ApiError> {
    let unreadable = |why: String| reply.unreadable(why);
    let moved = |why: String| ApiError::PagesMoved {
        what: reply.what.clone(),
        why,
    };

    let hits: u64 = page
        .member("totalHits")
        .map_err(unreadable)?
        .ok_or_else(|| {
            let why = "totalHits is missing, so that nothing shows whether the window is whole";
            reply.unreadable(why)
        })?;
    let count = page.ranges.as_ref().map_or(0, Vec::len) as u64;
    if count > size {
        let why = format!("over {size} conversations on a page");
        return Err(reply.unreadable(why));
    }

    let first_hits = before.map_or(hits, |link| link.hits);
    if hits != first_hits {
        let why = format!("totalHits was {first_hits} on a page before and is {hits} now");
        return Err(moved(why));
    }
    let seen = before.map_or(0, |link| link.seen) + count;
    if seen > hits || (count == 0 && seen < hits) {
        let why = format!("its pages have {seen} conversations, and totalHits is {hits}");
        return Err(moved(why));
    }

    Ok((seen < hits).then(|| {
        let number = before.map_or(1, |link| link.number) + 1;
        NextPage {
            number,
            size,
            hits,
            seen,
            end: order.end(),
        }
        .to_string()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_begins_at_midnight_and_has_milliseconds() {
        let of = |from: &str, to: &str| interval(from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(
            of("2026-06-01T10:30:00Z", "2026-06-08T00:00:00Z"),
            "2026-06-01T00:00:00.000Z/2026-06-08T00:00:00.000Z"
        );
        assert_eq!(
            of("2026-06-01T00:00:00Z", "2026-06-01T14:03:07.5671Z"),
            "2026-06-01T00:00:00.000Z/2026-06-01T14:03:07.568Z"
        );
    }
}

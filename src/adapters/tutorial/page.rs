//! Pages of conversations: where in the body each conversation is, since an archive holds the bytes as they were received.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::client::Client;
use super::link::NextPage;
use super::paths::CONVERSATIONS;
use crate::adapters::http::{ApiError, Reply, Request, rows};
use crate::job::UserId;
use crate::ports::{Page, PageRequest, QuotaClass};

/// A page may hold 500 long conversations. A larger one is refused, so that memory stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);

impl Client {
    pub(super) async fn read_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
    ) -> Result<Page, ApiError> {
        match request.link {
            None => self.first_page(user_id, request.from, request.to).await,
            Some(link) => self.next_page(&link.parse()?).await,
        }
    }

    async fn first_page(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Page, ApiError> {
        let query = json!({
            "dateFrom": from, "dateTo": to, "pageSize": self.api.page_size(),
            "filter": { "participantId": user_id },
        });
        let request = self.query(&query)?;
        self.parse_reply(self.api.send(request).await?)
    }

    async fn next_page(&self, link: &NextPage) -> Result<Page, ApiError> {
        let url = link.url(self.paths().base())?;
        let reply = self.api.send(page_request(Method::GET, url)).await?;
        // In any form: the query begins again, which loses nothing, and an old cursor may be all that is wrong.
        if matches!(reply.status(), 404 | 410) {
            return Err(ApiError::CursorLost {
                what: format!("GET {CONVERSATIONS}"),
                status: reply.status(),
            });
        }
        self.parse_reply(reply)
    }

    /// A query for conversations: a POST that reads.
    pub(super) fn query(&self, query: &serde_json::Value) -> Result<Request<'static>, ApiError> {
        let url = self.paths().conversations()?;
        Ok(Request {
            body: Some(query.to_string().into_bytes()),
            ..page_request(Method::POST, url)
        })
    }

    fn parse_reply(&self, reply: Reply) -> Result<Page, ApiError> {
        match reply.status() {
            200 | 204 => parse(reply.body, self.paths().base(), &reply.what),
            _ => Err(reply.refusal()),
        }
    }
}

fn page_request(method: Method, url: Url) -> Request<'static> {
    Request {
        max_bytes: MAX_PAGE_BYTES,
        timeout: PAGE_TIMEOUT,
        ..Request::read(
            method,
            url,
            QuotaClass::Analytics,
            "analytics:read and conversations:read",
        )
    }
}

/// An empty body (204) is an empty last page.
pub(crate) fn parse(body: Bytes, base: &Url, what: &str) -> Result<Page, ApiError> {
    let unreadable = |why: String| ApiError::Unreadable {
        what: what.to_owned(),
        why,
    };
    if body.is_empty() {
        return Ok(Page::new(body, Vec::new(), None));
    }

    let page = rows(&body, "details").map_err(unreadable)?;
    let link: Option<String> = page.member("nextPageUri").map_err(unreadable)?;
    let next = match link.as_deref() {
        None | Some("") => None,
        Some(link) => Some(NextPage::resolve(link, base)?.to_string()),
    };
    let conversations = page.ranges.unwrap_or_default();
    Ok(Page::new(body, conversations, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://api.example").unwrap()
    }

    #[test]
    fn conversations_are_the_bytes_received() {
        let body = "{\"details\" : [ {\"a\": 1.10 ,\"b\":\"\\u00e9\"},\n{\"c\":9007199254740993}], \"nextPageUri\":null}";
        let page = parse(Bytes::from_static(body.as_bytes()), &base(), "x").unwrap();
        let rows: Vec<&str> = page
            .conversations()
            .map(|row| std::str::from_utf8(row).unwrap())
            .collect();
        assert_eq!(
            rows,
            [
                "{\"a\": 1.10 ,\"b\":\"\\u00e9\"}",
                "{\"c\":9007199254740993}"
            ]
        );
        assert!(page.next().is_none());
    }

    #[test]
    fn an_empty_page_may_have_a_next_one() {
        for body in [
            r#"{"details":[],"nextPageUri":"?cursor=a"}"#,
            r#"{"details":null,"nextPageUri":"?cursor=a"}"#,
            r#"{"nextPageUri":"\/api/v2/conversations/details/query?cursor=a"}"#,
            r#"{"nextPageUri":"https://api.example:443/api/v2/conversations/details/query?cursor=a"}"#,
        ] {
            let page = parse(Bytes::from_static(body.as_bytes()), &base(), "x").unwrap();
            assert_eq!(page.conversations().count(), 0);
            assert_eq!(
                page.next().unwrap(),
                format!("{CONVERSATIONS}?cursor=a"),
                "{body}"
            );
        }
        assert!(parse(Bytes::new(), &base(), "x").unwrap().next().is_none());
    }

    #[test]
    fn a_conversation_that_is_nested_deeply_is_the_bytes_received() {
        let nested =
            |open: &str, close: &str| format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
        let deep = format!(r#"{{"a":{}}}"#, nested("[", "]"));
        let body = format!(
            r#"{{"details":[{deep}],"more":{}}}"#,
            nested(r#"{"b":"#, "}")
        );
        let page = parse(Bytes::from(body), &base(), "x").unwrap();
        assert_eq!(page.conversations().collect::<Vec<_>>(), [deep.as_bytes()]);
    }

    #[test]
    fn what_is_not_a_page_is_an_error_and_never_an_empty_page() {
        for body in [
            "<html></html>",
            "{\"details\":[{\"a\":1}",
            "[]",
            "{\"details\":{}}",
            "null",
            "{\"details\":[{},null]}",
        ] {
            assert!(
                parse(Bytes::from_static(body.as_bytes()), &base(), "x").is_err(),
                "{body}"
            );
        }
    }
}

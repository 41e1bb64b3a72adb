//! Pages of conversations: where in the body each conversation is, since an archive holds the bytes as they were received.

use std::time::Duration;

#[cfg(any(test, fuzzing))]
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::client::Client;
use super::link::NextPage;
use super::paths::CONVERSATIONS;
use crate::adapters::http::{ApiError, Request, RowStream, Rows};
use crate::job::UserId;
#[cfg(any(test, fuzzing))]
use crate::ports::Page;
use crate::ports::{ConversationSink, PageRequest, QuotaClass};

/// A page may hold 500 long conversations. A larger one is refused, so that memory stays bounded.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
const ROWS: &str = "details";
const PAGE_TIMEOUT: Duration = Duration::from_mins(5);

impl Client {
    pub(super) async fn read_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, ApiError> {
        let link: Option<NextPage> = request.link.map(str::parse).transpose()?;
        let query = match &link {
            None => self.first_page(user_id, request.from, request.to)?,
            Some(link) => page_request(Method::GET, link.url(self.paths().base())?),
        };
        let mut check = |_: &[u8], _: &str| Ok(());
        let mut stream = RowStream::new(ROWS, &mut check, sink);
        let reply = self.api.send_page(query, &mut stream).await?;

        match reply.status() {
            204 => Ok(None),
            200 if reply.body.is_empty() => Ok(None),
            200 => {
                let page = stream.page(&reply.body);
                let page = page.map_err(|why| reply.unreadable(why))?;
                next_of(&page, self.paths().base(), &reply.what)
            }
            // In any form: the query begins again, which loses nothing, and an old cursor may be all that is wrong.
            404 | 410 if link.is_some() => Err(ApiError::CursorLost {
                what: format!("GET {CONVERSATIONS}"),
                status: reply.status(),
            }),
            _ => Err(reply.refusal()),
        }
    }

    fn first_page(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Request<'static>, ApiError> {
        self.query(&json!({
            "dateFrom": from, "dateTo": to, "pageSize": self.api.page_size(),
            "filter": { "participantId": user_id },
        }))
    }

    /// A query for conversations: a POST that reads.
    pub(super) fn query(&self, query: &serde_json::Value) -> Result<Request<'static>, ApiError> {
        let url = self.paths().conversations()?;
        Ok(Request {
            body: Some(query.to_string().into_bytes()),
            ..page_request(Method::POST, url)
        })
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

fn next_of(page: &Rows<'_>, base: &Url, what: &str) -> Result<Option<String>, ApiError> {
    let link: Option<String> = page
        .member("nextPageUri")
        .map_err(|why| ApiError::Unreadable {
            what: what.to_owned(),
            why,
        })?;
    match link.as_deref() {
        None | Some("") => Ok(None),
        Some(link) => Ok(Some(NextPage::resolve(link, base)?.to_string())),
    }
}

/// A whole page that arrives in pieces of this many bytes.
#[cfg(any(test, fuzzing))]
pub(crate) async fn parse(
    body: &Bytes,
    piece: usize,
    base: &Url,
    what: &str,
) -> Result<Page, ApiError> {
    let mut page = Page::default();
    let mut check = |_: &[u8], _: &str| Ok(());
    let mut stream = RowStream::new(ROWS, &mut check, &mut page);
    let rest = stream.read_pieces(body, piece, what).await?;
    let next = if rest.is_empty() {
        None
    } else {
        let rows = stream.page(&rest);
        let unreadable = |why| ApiError::Unreadable {
            what: what.to_owned(),
            why,
        };
        next_of(&rows.map_err(unreadable)?, base, what)?
    };
    page.next = next;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn base() -> Url {
        Url::parse("https://api.example").unwrap()
    }

    /// Pieces of one byte would parse the same, and take long.
    fn read(body: &str) -> Result<Page, ApiError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        parse(&body, 1000, &base(), "x").now_or_never().unwrap()
    }

    #[test]
    fn conversations_are_the_bytes_received() {
        let body = "{\"details\" : [ {\"a\": 1.10 ,\"b\":\"\\u00e9\"},\n{\"c\":9007199254740993}], \"nextPageUri\":null}";
        let page = read(body).unwrap();
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
            let page = read(body).unwrap();
            assert_eq!(page.conversations().count(), 0);
            assert_eq!(
                page.next().unwrap(),
                format!("{CONVERSATIONS}?cursor=a"),
                "{body}"
            );
        }
        assert!(read("").unwrap().next().is_none());
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
        let page = read(&body).unwrap();
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
            assert!(read(body).is_err(), "{body}");
        }
    }
}

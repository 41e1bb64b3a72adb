//! Lists of what a user has, read to the end. A list counts only if as many different objects were read as its `total`
//! says, and if `total` did not move: a shorter one would pass for "no queues".

use std::collections::HashSet;
use std::hash::Hash;

use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use super::client::GenesysClient;
use super::paths::Page;
use crate::adapters::http::{ApiError, Document, Reply, Request, TWICE};
use crate::machine::Call;
use crate::ports::QuotaClass;

const PAGE_SIZE: usize = 100;
/// Nobody has that many queues or skills: it is a list that does not end.
const MAX_PAGES: usize = 100;
/// How often a list is read from its beginning if it moves while it is read.
const TRIES: usize = 3;

/// A list; `None` where the API says that the user does not exist.
pub(super) struct Listed<T> {
    pub(super) items: Option<Vec<T>>,
    pub(super) calls: Vec<Call>,
}

/// One try to read a list.
enum Try<T> {
    Listed(Listed<T>),
    /// It changed while it was read, or does not add up.
    Moved(ApiError),
}

impl GenesysClient {
    /// Reads all pages of a list. `page_at` makes the URL of a page.
    pub(super) async fn list<T: DeserializeOwned, K: Eq + Hash>(
        &self,
        scope: &'static str,
        page_at: impl Fn(Page) -> Result<Url, ApiError>,
        id_of: impl Fn(&T) -> K,
    ) -> Result<Listed<T>, ApiError> {
        let mut tries = 0;
        loop {
            match self.try_list(scope, &page_at, &id_of).await? {
                Try::Listed(listed) => return Ok(listed),
                Try::Moved(error) => {
                    tries += 1;
                    if tries == TRIES {
                        return Err(error);
                    }
                    self.api.pause().await;
                }
            }
        }
    }

    async fn try_list<T: DeserializeOwned, K: Eq + Hash>(
        &self,
        scope: &'static str,
        page_at: &impl Fn(Page) -> Result<Url, ApiError>,
        id_of: &impl Fn(&T) -> K,
    ) -> Result<Try<T>, ApiError> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut calls = Vec::new();
        let mut first_total = None;

        for number in 1..=MAX_PAGES {
            let url = page_at(Page {
                size: PAGE_SIZE,
                number,
            })?;
            let reply = self.read_page_of_list(scope, url).await?;
            if reply.says_missing() {
                calls.push(Call {
                    note: Some(TWICE.to_owned()),
                    ..reply.call
                });
                return Ok(Try::Listed(Listed { items: None, calls }));
            }

            let page: ListPage<T> = parse(&reply)?;
            let total = *first_total.get_or_insert(page.total);
            let is_empty = page.items.is_empty();
            let all_new = page.items.iter().all(|item| seen.insert(id_of(item)));
            items.extend(page.items);

            let has_moved = !all_new || page.total != total || items.len() > total;
            if has_moved || (is_empty && items.len() < total) {
                let why = format!("its pages do not add up to its total of {total}");
                return Ok(Try::Moved(reply.unreadable(why)));
            }
            calls.push(reply.call);
            if items.len() == total {
                let items = Some(items);
                return Ok(Try::Listed(Listed { items, calls }));
            }
        }
        Err(ApiError::Unreadable {
            what: "GET a list of the user".to_owned(),
            why: format!("it has over {MAX_PAGES} pages"),
        })
    }

    /// One 404 proves nothing: it counts if a second read after a pause says the same.
    async fn read_page_of_list(&self, scope: &'static str, url: Url) -> Result<Reply, ApiError> {
        let request = Request {
            removes_access: true,
            ..Request::read(Method::GET, url, QuotaClass::Routing, scope)
        };
        let reply = self.api.send(request.clone()).await?;
        let reply = if reply.says_missing() {
            self.api.send_again(request).await?
        } else {
            reply
        };
        match reply.status() {
            200 => Ok(reply),
            _ if reply.says_missing() => Ok(reply),
            _ => Err(reply.refusal()),
        }
    }
}

struct ListPage<T> {
    items: Vec<T>,
    total: usize,
}

fn parse<T: DeserializeOwned>(reply: &Reply) -> Result<ListPage<T>, ApiError> {
    let read = || {
        let document = Document::parse(&reply.body)?;
        let items = document.list("entities")?;
        let total = document
            .get("total")
            .ok_or("total is missing, so that nothing shows whether the list is whole")?;
        Ok(ListPage { items, total })
    };
    read().map_err(|why: String| reply.unreadable(why))
}

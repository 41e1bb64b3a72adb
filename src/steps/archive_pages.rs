use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::mpsc;

use crate::adapters::cxone::{Client, NextPage, Page};
use crate::archive::{after_window, end_of};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Cursor};

/// More pages than this are no history of one person, but a loop that changes its cursors.
const MAX_PAGES: usize = 200_000;

/// What to ask for, and what comes after it.
pub(super) type Fetched = Result<(Page, Cursor), Failure>;

/// Fetches page after page into `pages`. Ends at the last page, at a failure (which is the last
/// thing sent), or when nobody listens any more.
pub(super) async fn fetch(
    cxone: Client,
    user_id: UserId,
    progress: ArchiveInProgress,
    mut cursor: Cursor,
    pages: mpsc::Sender<Fetched>,
) {
    // Digests, so that a long history costs little memory.
    let (mut seen, hasher) = (HashSet::new(), RandomState::new());
    loop {
        let fetched = page(&cxone, user_id, &progress, &cursor).await;
        let following = fetched
            .as_ref()
            .ok()
            .map(|(_, following)| following.clone());
        if pages.send(fetched).await.is_err() {
            return;
        }
        match following {
            None | Some(Cursor::End) => return,
            Some(following) => cursor = following,
        }
        if seen.len() == MAX_PAGES || !seen.insert(hasher.hash_one(&cursor)) {
            let _nobody_listens = pages.send(Err(looping(seen.len()))).await;
            return;
        }
    }
}

pub(crate) async fn page(
    cxone: &Client,
    user_id: UserId,
    progress: &ArchiveInProgress,
    cursor: &Cursor,
) -> Fetched {
    let (page, from) = match cursor {
        Cursor::Window { from } => (
            cxone
                .first_page(user_id, *from, end_of(*from, progress))
                .await?,
            *from,
        ),
        Cursor::Page { from, link } => (cxone.next_page(&link.parse::<NextPage>()?).await?, *from),
        Cursor::End => {
            let text = "a page was asked for after the last one";
            return Err(Failure::new(Class::Defect, Code::IllegalTransition, text));
        }
    };
    let following = match page.next() {
        Some(link) => Cursor::Page {
            from,
            link: link.to_string(),
        },
        None => after_window(from, progress),
    };
    Ok((page, following))
}

fn looping(pages: usize) -> Failure {
    Failure::new(
        Class::Permanent(Reason::ApiRejected),
        Code::CxoneBadNextPage,
        format!(
            "the conversations do not end: after {pages} pages a cursor came again, or there are too many"
        ),
    )
}

//! Fetches the pages of an archive in order, window after window, and detects a cursor that goes round in circles.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::archive::{after_window, end_of};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Cursor};
use crate::ports::{Page, PageRequest, Tenant};

/// No person's history has more pages than this: it is a loop whose cursors change.
const MAX_PAGES: usize = 200_000;

/// A page, and the cursor of what follows it.
pub(super) type Fetched = Result<(Page, Cursor), Failure>;

/// Sends page after page into `pages`. Ends at the last page, at a failure (which is the last thing sent), or when the
/// receiver is dropped.
pub(super) async fn fetch(
    tenant: Arc<dyn Tenant>,
    user_id: UserId,
    agent: Option<u64>,
    progress: ArchiveInProgress,
    mut cursor: Cursor,
    pages: mpsc::Sender<Fetched>,
) {
    // Digests of the cursors, so that a long history costs little memory.
    let mut seen = HashSet::new();
    let hasher = RandomState::new();

    loop {
        let fetched = page(&*tenant, user_id, agent, &progress, &cursor).await;
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
            pages.send(Err(looping(seen.len()))).await.ok();
            return;
        }
    }
}

pub(crate) async fn page(
    tenant: &dyn Tenant,
    user_id: UserId,
    agent: Option<u64>,
    progress: &ArchiveInProgress,
    cursor: &Cursor,
) -> Fetched {
    let (from, link) = match cursor {
        Cursor::Window { from } => (*from, None),
        Cursor::Page { from, link } => (*from, Some(link.as_str())),
        Cursor::End => {
            let text = "a page was asked for after the last one";
            return Err(Failure::new(Class::Defect, Code::IllegalTransition, text));
        }
    };
    let request = PageRequest {
        from,
        to: end_of(from, progress),
        link,
        agent,
    };
    let page = tenant.page(user_id, request).await?;

    let following = match page.next() {
        Some(link) => Cursor::Page {
            from,
            link: link.to_owned(),
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

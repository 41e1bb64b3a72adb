//! Fetches the pages of an archive in order, window after window, and detects a cursor that goes round in circles.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::archive::{after_window, end_of};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Cursor};
use crate::ports::{Batch, ConversationSink, PageRequest, Tenant};

/// No person's history has more pages than this: it is a loop whose cursors change.
const MAX_PAGES: usize = 200_000;

/// What is fetched of an archive, in order.
pub(super) enum Fetched {
    /// Conversations of a page that is still arriving.
    Conversations(Batch),
    /// The page is complete; this follows it.
    PageEnd(Cursor),
}

/// The archive's end of the channel.
struct Sender(mpsc::Sender<Result<Fetched, Failure>>);

#[async_trait]
impl ConversationSink for Sender {
    async fn take(&mut self, batch: Batch) {
        // Without a receiver, this task is about to be aborted.
        let fetched = Ok(Fetched::Conversations(batch));
        self.0.send(fetched).await.ok();
    }
}

/// Sends page after page into `pages`, as it arrives. Ends at the last page, at a failure (which is the last thing sent),
/// or when the receiver is dropped.
pub(super) async fn fetch(
    tenant: Arc<dyn Tenant>,
    user_id: UserId,
    agent: Option<u64>,
    progress: ArchiveInProgress,
    mut cursor: Cursor,
    pages: mpsc::Sender<Result<Fetched, Failure>>,
) {
    // Digests of the cursors, so that a long history costs little memory.
    let mut seen = HashSet::new();
    let hasher = RandomState::new();
    let mut sink = Sender(pages);

    loop {
        let fetched = page(&*tenant, user_id, agent, &progress, &cursor, &mut sink).await;
        let following = fetched.as_ref().ok().cloned();
        let sent = sink.0.send(fetched.map(Fetched::PageEnd)).await;
        if sent.is_err() {
            return;
        }

        match following {
            None | Some(Cursor::End) => return,
            Some(following) => cursor = following,
        }
        if seen.len() == MAX_PAGES || !seen.insert(hasher.hash_one(&cursor)) {
            sink.0.send(Err(looping(seen.len()))).await.ok();
            return;
        }
    }
}

/// Reads a page into `sink`; returns the cursor of what follows it.
pub(crate) async fn page(
    tenant: &dyn Tenant,
    user_id: UserId,
    agent: Option<u64>,
    progress: &ArchiveInProgress,
    cursor: &Cursor,
    sink: &mut dyn ConversationSink,
) -> Result<Cursor, Failure> {
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
    let next = tenant.stream_page(user_id, request, sink).await?;

    Ok(match next {
        Some(link) => Cursor::Page { from, link },
        None => after_window(from, progress),
    })
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

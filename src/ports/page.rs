//! A page of conversations: what is asked for, and where its conversations go while it arrives.

use async_trait::async_trait;
use jiff::Timestamp;

/// A batch is passed on once it has this many bytes, so that a page takes little memory whatever its size.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_ROWS: usize = 4096;

/// One page of a user's conversations in `[from, to)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest<'a> {
    pub from: Timestamp,
    pub to: Timestamp,
    /// What [`super::Tenant::stream_page`] returned for the page before; `None` asks for the first page.
    pub link: Option<&'a str>,
    /// What [`super::Tenant::agent_of`] said before the account was inactive.
    pub agent: Option<u64>,
}

/// Some conversations of a page, byte for byte and in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one that follows this one in the same page, with room for as much, so that it does not have to grow.
    pub(crate) fn another(&self) -> Self {
        Self {
            bytes: Vec::with_capacity(self.bytes.len().min(BATCH_BYTES) * 3 / 2),
            ends: Vec::with_capacity(self.ends.len() * 3 / 2),
        }
    }

    pub(crate) fn push(&mut self, conversation: &[u8]) {
        self.bytes.extend_from_slice(conversation);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins
            .zip(&self.ends)
            .filter_map(|(begin, end)| self.bytes.get(begin..*end))
    }

    /// How many conversations it has.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.ends.len() >= BATCH_ROWS
    }
}

/// Where the conversations of a page go while the page arrives. They count only once
/// [`super::Tenant::stream_page`] has returned: the end of a page may show that it is none.
#[async_trait]
pub(crate) trait ConversationSink: Send {
    /// Takes a batch that is not empty. Until it returns, no more of the page is read.
    async fn take(&mut self, batch: Batch);
}

/// Calls a function for each conversation, and keeps none.
pub(crate) struct Each<F>(pub(crate) F);

#[async_trait]
impl<F: FnMut(&[u8]) + Send> ConversationSink for Each<F> {
    async fn take(&mut self, batch: Batch) {
        batch.conversations().for_each(&mut self.0);
    }
}

/// A whole page.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) batches: Vec<Batch>,
    pub(crate) next: Option<String>,
}

#[cfg(any(test, fuzzing))]
impl Page {
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().flat_map(Batch::conversations)
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

#[cfg(any(test, fuzzing))]
#[async_trait]
impl ConversationSink for Page {
    async fn take(&mut self, batch: Batch) {
        self.batches.push(batch);
    }
}

//! Reads an archive back: its bytes, its digest, how many conversations and pages it holds, and whether it is whole.

use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::progress::Progress;

/// What a stored archive turns out to be when it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) conversations: u64,
    pub(crate) pages: u64,
    /// It is one whole array, in the form in which [`super::writer`] writes it.
    pub(crate) whole: bool,
}

/// Reads an archive back as a stream; `None` when it does not exist.
pub(crate) async fn read_back(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
    version_id: Option<&str>,
    progress: &Progress,
) -> Result<Option<Contents>, Failure> {
    let Some(mut chunks) = store.stream(key, version_id).await? else {
        return Ok(None);
    };

    let mut sha256 = Sha256::new();
    let mut bytes = 0;
    let mut counter = Counter::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        progress.made();
        sha256.update(&chunk);
        bytes += chunk.len() as u64;
        counter.take(&chunk);
    }

    Ok(Some(Contents {
        bytes,
        sha256: hex::encode(sha256.finalize()),
        conversations: counter.conversations,
        pages: counter.pages,
        whole: counter.is_whole(),
    }))
}

/// Counts the members of an array, and the spaces between them: there is one space for each page.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the state of a scanner that reads single bytes"
)]
struct Counter {
    depth: u32,
    in_text: bool,
    escaped: bool,
    begun: bool,
    strange: bool,
    conversations: u64,
    pages: u64,
}

impl Counter {
    fn is_whole(&self) -> bool {
        self.depth == 0 && self.begun && !self.in_text && !self.strange
    }

    fn take(&mut self, chunk: &[u8]) {
        for byte in chunk {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                // JSON has no control characters there: a store that lost bytes returns zeros.
                0..=0x1f => self.strange = true,
                _ => {}
            }
            return;
        }
        match (self.depth, byte) {
            (0, b'[') if !self.begun => {
                self.begun = true;
                self.depth = 1;
            }
            (0, b'\n') if self.begun => {}
            (1, b'{') => {
                self.conversations += 1;
                self.depth = 2;
            }
            (1, b' ') => self.pages += 1,
            (1, b']') => self.depth = 0,
            (1, b',' | b'\n') => {}
            (0 | 1, _) | (_, 0..=0x08 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f..) => self.strange = true,
            (_, b'{' | b'[') => self.depth += 1,
            (_, b'}' | b']') => self.depth -= 1,
            (_, b'"') => self.in_text = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> (u64, u64, bool) {
        let mut counter = Counter::default();
        // In two chunks, so that nothing depends on where a chunk ends.
        let middle = text.len() / 2;
        counter.take(&text.as_bytes()[..middle]);
        counter.take(&text.as_bytes()[middle..]);
        (counter.conversations, counter.pages, counter.is_whole())
    }

    #[test]
    fn conversations_and_pages_are_counted_whatever_is_in_them() {
        assert_eq!(count("[ ]\n"), (0, 1, true));
        assert_eq!(count("[  ]\n"), (0, 2, true));
        assert_eq!(
            count("[\n{\"a\": [ {} , \"]} \\\" \" ]},\n{\"b\":\n 1.10 } ,\n{} \n]\n"),
            (3, 2, true),
            "two pages of two and one"
        );
    }

    #[test]
    fn what_is_cut_short_or_not_an_archive_of_ours_is_not_whole() {
        for text in [
            "",
            "[\n{\"a\":1}",
            "[\n{\"a\":\"",
            "hello",
            "{\"a\":1}",
            "[1,2]",
            "[]x",
            "[][]",
            "[\n{\"a\":\"\0\"} \n]\n",
            "[\n{\"a\":\0} \n]\n",
        ] {
            assert!(!count(text).2, "{text}");
        }
    }
}

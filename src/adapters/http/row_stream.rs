//! Reads a page of rows as it arrives: each row is checked and passed on, and what is beside the rows is the answer's body.

use bytes::Bytes;
use reqwest::Response;
use serde_json::value::RawValue;

use super::body::{next_chunk, refuse_encoded};
use super::error::ApiError;
use super::row_scanner::RowScanner;
use super::rows::{Rows, rows};
use crate::ports::{Batch, ConversationSink};

/// What a page may have beside its rows.
const MAX_REST_BYTES: usize = 4 * 1024 * 1024;

/// Checks one row of the call that is named.
pub(in crate::adapters) type Check<'a> =
    &'a mut (dyn FnMut(&[u8], &str) -> Result<(), ApiError> + Send);

/// Where the rows of a page go.
pub(in crate::adapters) struct RowStream<'a> {
    member: &'static str,
    check: Check<'a>,
    sink: &'a mut dyn ConversationSink,
    batch: Batch,
    count: usize,
}

impl<'a> RowStream<'a> {
    /// The rows are the objects in the list `member`.
    pub(in crate::adapters) fn new(
        member: &'static str,
        check: Check<'a>,
        sink: &'a mut dyn ConversationSink,
    ) -> Self {
        Self {
            member,
            check,
            sink,
            batch: Batch::default(),
            count: 0,
        }
    }

    /// Reads the body of a page from what was beside its rows. What is no page is an error, and never an empty page.
    pub(in crate::adapters) fn page<'b>(&self, rest: &'b Bytes) -> Result<Rows<'b>, String> {
        let page = rows(rest, self.member)?;
        // Another spelling of the list's name hides its rows from the scanner.
        if page.ranges.as_ref().map_or(0, Vec::len) != self.count {
            return Err(format!(
                "not a page of conversations: {} is written in an odd way",
                self.member
            ));
        }
        Ok(page)
    }

    /// Passes on what the piece completes.
    async fn feed(
        &mut self,
        scanner: &mut RowScanner,
        piece: &[u8],
        what: &str,
    ) -> Result<(), ApiError> {
        // A piece that is large itself must not become one large batch.
        for piece in piece.chunks(64 * 1024) {
            scanner.feed(piece, |row| {
                let parsed = || serde_json::from_slice::<&RawValue>(row.bytes);
                if !row.is_json && parsed().is_err() {
                    return Err(ApiError::Unreadable {
                        what: what.to_owned(),
                        why: "not a page of conversations: a conversation is no JSON".to_owned(),
                    });
                }
                (self.check)(row.bytes, what)?;
                self.batch.push(row.bytes);
                self.count += 1;
                Ok::<(), ApiError>(())
            })?;
            if self.batch.is_full() {
                let next = self.batch.another();
                self.sink
                    .take(std::mem::replace(&mut self.batch, next))
                    .await;
            }
        }
        Ok(())
    }

    /// Reads a page that is here already, in pieces; returns what is beside its rows.
    #[cfg(any(test, fuzzing))]
    pub(in crate::adapters) async fn read_pieces(
        &mut self,
        body: &[u8],
        piece: usize,
        what: &str,
    ) -> Result<Bytes, ApiError> {
        let mut scanner = RowScanner::new(self.member);
        for piece in body.chunks(piece) {
            self.feed(&mut scanner, piece, what).await?;
        }
        self.finish().await;
        Ok(scanner.into_rest().into())
    }

    async fn finish(&mut self) {
        if self.batch.count() > 0 {
            self.sink.take(std::mem::take(&mut self.batch)).await;
        }
    }
}

/// Reads a page up to a cap; returns what is beside its rows.
pub(super) async fn read_rows(
    mut answer: Response,
    max_bytes: usize,
    what: &str,
    stream: &mut RowStream<'_>,
) -> Result<Bytes, ApiError> {
    refuse_encoded(&answer, what)?;
    let too_large = |max_bytes| ApiError::TooLarge {
        what: what.to_owned(),
        max_bytes,
    };

    let mut scanner = RowScanner::new(stream.member);
    let mut bytes = 0;
    while let Some(chunk) = next_chunk(&mut answer, what).await? {
        bytes += chunk.len();
        if bytes > max_bytes {
            return Err(too_large(max_bytes));
        }
        stream.feed(&mut scanner, &chunk, what).await?;
        if scanner.rest().len() > MAX_REST_BYTES {
            return Err(too_large(MAX_REST_BYTES));
        }
    }
    stream.finish().await;
    Ok(scanner.into_rest().into())
}

//! Archives in a directory, with the promises of a bucket: an object is not visible before it is
//! complete, is never overwritten, and is on the disk once it is visible.

mod document;
mod error;
mod files;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use document::FileDocument;
pub(crate) use store::DirectoryStore;

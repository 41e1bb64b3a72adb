//! Archives in a directory, with the promises of the bucket: nothing is visible before it is whole,
//! nothing is overwritten, and what is there is on the disk.

mod error;
mod store;

pub(crate) use store::DirectoryStore;

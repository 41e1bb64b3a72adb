//! Archives in S3 and its like. Objects are written with `If-None-Match: *` and a checksum on every
//! part, and never overwritten.

mod connect;
mod error;
mod examine;
mod probe;
mod store;
#[cfg(test)]
mod tests;
mod trace;
mod versions;
mod writing;

pub(crate) use store::S3Store;

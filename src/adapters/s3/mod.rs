//! Archives in S3 and compatible stores. Objects are written with `If-None-Match: *` and a checksum
//! on every part, and never overwritten.

mod connect;
mod document;
mod error;
mod examine;
#[cfg(test)]
mod faulty_s3;
mod listing;
mod probe;
mod reading;
mod store;
#[cfg(test)]
mod tests;
mod trace;
mod versions;
mod writing;

pub(crate) use document::S3Document;
pub(crate) use store::{S3Options, S3Store};

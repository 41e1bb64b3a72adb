//! What the fuzz targets in `fuzz/` call: one function for each parser of input from outside. Each
//! takes any bytes, returns whether the parser accepted them, and panics when a promise is broken.
//!
//! The module is public under `--cfg fuzzing`, since a fuzz target is a crate of its own and the
//! parsers are private to this one. A release is built without it. The tests run the same functions
//! on a stable toolchain, over `fuzz/corpus` and mutations of it.

mod checkpoint;
mod known_faults;
mod message;
#[cfg(test)]
mod mutation;
mod page;
mod settings;
mod spiked;
mod stored;
#[cfg(test)]
mod tests;

pub use checkpoint::checkpoint;
pub use message::{headers, message};
pub use page::{next_link, page, retry_after};
pub use settings::settings;
pub use stored::stored;

/// The user whose checkpoint [`checkpoint`] and whose objects [`stored`] read.
const USER_ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

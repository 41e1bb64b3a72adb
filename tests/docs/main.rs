//! What the documents promise: every failure code has its section in the runbook, and every test
//! that a document names exists. These checks read files only; README's table of settings is
//! compared in `src/config/tests`, since the texts of the settings are private to the library.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is a test: what is unexpected ends it, with the place"
)]

mod names;
mod runbook;

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

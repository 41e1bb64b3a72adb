//! What `tests/backends.sh` brought, and what could not be had.

use std::fs;
use std::path::PathBuf;

use super::{repository, table};

const BROUGHT: &str = ".backends";

/// The root directory of another Debian with this part, such as `rabbitmq`; nothing if it could not be had. That is the
/// verdict of the trial, then.
pub(crate) fn root_with(part: &str) -> Option<PathBuf> {
    has(part).then(|| repository(BROUGHT).join("debian-13"))
}

/// Whether this part was brought. If it could not be had, that is the verdict of the trial.
pub(crate) fn has(part: &str) -> bool {
    let state = repository(BROUGHT).join("parts").join(part);
    let state = fs::read_to_string(&state)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make test-backends`", state.display()));
    let state = state.trim();
    if state != "here" {
        table::backend(part);
        table::verdict(format!("not tried: {state}"));
    }
    state == "here"
}

//! One function for each thing that an operator does. The commands and the HTTP API call these, and nothing else.

pub(crate) mod batches;
pub(crate) mod dead_letters;
pub(crate) mod holds;
pub(crate) mod plan;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod verify;

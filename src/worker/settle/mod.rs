//! Settling a delivery after its run: what takes its place, and the events that announce an end.

pub(super) mod delayed;
pub(super) mod results;
pub(super) mod settlement;
pub(super) mod settler;

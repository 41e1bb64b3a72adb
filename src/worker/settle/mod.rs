//! What becomes of a delivery after its run.

pub(super) mod delayed;
pub(super) mod disposition;
pub(super) mod results;
pub(super) mod settlement;

//! Operations: replay, discard and verify of a frozen set. Who begins one stores what was asked for with the set; a
//! worker, or the command where no worker lives, does it and stores how it ended. It survives the process that works on
//! it: the next one continues where that one ended, because each result is noted, and a dead letter that was replayed or
//! discarded is no longer in the queue.

mod begin;
mod execute;
mod orders;
mod paced;
mod record;
mod view;
mod work;

pub(crate) use begin::{MAX_ITEMS, Order, Place, StopError};
pub(crate) use execute::{Executed, Executor, OnFailure};
pub(crate) use orders::{discard_order, replay_order, verify_order};
pub(crate) use record::{Manner, Operation, OperationEnd, OperationReport};
pub(crate) use view::{ListedOperations, OperationView, ShownOperation};
pub(crate) use work::work;

//! Makes messages of arguments, lists, CSV and JSON Lines, and publishes them. Each message is checked with the parser
//! that workers use before the first one is sent. The input is read twice for that and never kept in memory.

mod cancelled;
mod cells;
mod decode;
mod entry;
mod faults;
mod header;
mod input;
mod members;
mod memory;
mod near_miss;
mod notes;
mod order;
mod rows;
mod sending;
mod spelling;

pub(crate) use cancelled::{Cancellations, Named};
pub(crate) use decode::Encoding;
pub(crate) use entry::{Message, Overlay};
pub(crate) use faults::{Fault, Faults};
pub(crate) use input::{Checked, Input, Reading};
pub(crate) use memory::{Memory, MemoryStores};
pub(crate) use order::PlacedOrder;
use sending::unreadable;
pub(crate) use sending::{CHUNK, Publishing, Sending, Sent};

#[cfg(test)]
mod tests;

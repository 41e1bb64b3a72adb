//! Makes messages of arguments, lists, CSV and JSON Lines, and publishes them. Each message is checked with the parser
//! that workers use before the first one is sent. The input is read twice for that and never kept in memory.

mod cancelled;
mod entry;
mod faults;
mod ignored;
mod input;
mod members;
mod memory;
mod near_miss;
mod rows;
mod sending;

pub(crate) use cancelled::{Cancellations, Named};
pub(crate) use entry::{Message, Overlay};
pub(crate) use input::{Checked, Input};
pub(crate) use memory::{Memory, MemoryStores};
pub(crate) use sending::{CHUNK, Sending};

#[cfg(test)]
mod tests;

//! What is to be published: IDs, lists, CSV and JSON Lines made into messages. Every message is checked by
//! the parser that workers use before the first one is sent; the input is read twice for that and never
//! held, so that memory stays flat.

mod entry;
mod faults;
mod ignored;
mod input;
mod memory;
mod near_miss;
mod rows;
mod sending;

pub(crate) use entry::{Message, Overlay};
pub(crate) use input::{Checked, Input};
pub(crate) use memory::Memory;
pub(crate) use sending::{CHUNK, Sending};

#[cfg(test)]
mod tests;

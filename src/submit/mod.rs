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

pub use entry::{Message, Overlay};
pub use faults::{Fault, Faults};
pub use input::{Checked, Input, Messages};
pub use memory::Memory;
pub use sending::{CHUNK, Sending, Sent};

#[cfg(test)]
mod tests;

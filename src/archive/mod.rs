//! The format of an archive: one RFC 8259 JSON array of conversations. It is written in parts and read back as a stream;
//! the history is asked for in windows, and each conversation is archived once.

mod buffers;
mod hash_state;
mod interval;
mod memory;
mod reader;
mod windows;
mod writer;

pub(crate) use interval::{begin_of, interval_is_as_asked, is_before, may_continue};
pub(crate) use memory::{ArchiveMemory, ReservedMemory};
pub(crate) use reader::read_back;
pub(crate) use windows::{WindowDeduplicator, after_window, end_of};
pub(crate) use writer::{ArchiveWriter, Written, memory_to_begin};

//! What is to be published: reads IDs, lists, CSV and JSON Lines into messages. Pure; every message is
//! checked by the parser that workers use, before the first one is sent.

mod source;

pub use source::{Fault, Faults, Message, Overlay, Submission, read};

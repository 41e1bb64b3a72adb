//! `offboarder` off-boards users of NICE CXone: it removes their access at once, archives their
//! conversations, deletes their accounts where the tenant allows it, and proves all of it.
//!
//! A delivery flows one way: `queue` → `worker` → `machine` (pure) → `steps` → `ports` ←
//! `adapters`.
//! `docs/ARCHITECTURE.md` has the map of the rooms, the arrows between them, and the glossary.

pub mod cli;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

mod adapters;
mod address;
mod admin;
mod archive;
mod clock;
mod config;
mod evidence_log;
mod failpoint;
mod failure;
mod guards;
mod integrity;
mod job;
mod limits;
mod machine;
mod manifest;
mod operations;
mod people;
mod ports;
mod printable;
mod profile;
mod progress;
mod queue;
mod registers;
mod secret;
mod signed_note;
mod simulator;
mod steps;
mod telemetry;
mod worker;

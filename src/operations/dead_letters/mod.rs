//! The dead letters: looking at them, judging whether a replay is safe, replaying, discarding. Looking takes
//! nothing off the queue; what takes a letter off has put it elsewhere first.
//!
//! A replay notes, publishes with a confirm, notes again, and only then takes the letter off. Killed in between
//! it leaves a letter that the next replay knows by its note. Killed between the publish and its note it
//! publishes twice: both copies carry the moment of the letter, so that a worker which gave the user up after
//! one of them drops the other (see `worker/order.rs`), and a user who is done stays done.

mod canary;
mod discard;
mod fingerprint;
mod groups;
mod judge;
mod letter;
mod listing;
mod pick;
mod replay;
mod sweep;

pub(crate) use discard::{Discard, DiscardTold, Discarded, Whole};
pub(crate) use groups::{Group, groups};
pub(crate) use judge::{Judge, Judgement, Verdict, is_left_over};
pub(crate) use letter::{Letter, LetterId};
pub(crate) use listing::{Listed, Listing, list, show};
pub(crate) use pick::{Pass, Pick, look};
pub(crate) use replay::{Replay, ReplayTold, Report};

//! Dead letters: listing them, assessing whether a replay is safe, replaying and discarding them. Reading takes no message
//! off the queue; whatever takes a dead letter off has stored or published it elsewhere first.
//!
//! A replay notes the dead letter, publishes the message with a confirm, notes that it is published, and only then takes the
//! dead letter off. A crash in between leaves a dead letter that the next replay recognises by its note. After a crash
//! between the publish and its note, the message is published twice: both copies carry the time of the dead letter, so a
//! worker that gave the user up after one copy drops the other, and a user who is done stays done.

mod assess;
mod canary;
mod dead_letter;
mod discard;
mod filter;
mod fingerprint;
mod groups;
mod listing;
mod replay;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use assess::{Assessment, Assessor, ReplaySafety, is_left_over};
pub(crate) use dead_letter::{DeadLetter, DeadLetterId};
pub(crate) use discard::{Discard, DiscardResult, Discarded, FullDeadLetter};
pub(crate) use filter::DeadLetterFilter;
pub(crate) use groups::{Group, groups};
pub(crate) use listing::{Listed, Listing, list, show};
pub(crate) use replay::{Replay, ReplayReport, ReplayResult};

//! Dead letters: listing them, assessing whether a replay is safe, replaying and discarding them. Reading takes no message
//! off the queue; whatever takes a dead letter off has stored or published it elsewhere first.
//!
//! A replay notes the dead letter, publishes the message with a confirm, notes that it is published, and only then takes the
//! dead letter off. A crash in between leaves a dead letter that the next replay recognises by its note. After a crash
//! between the publish and its note, the message is published twice: both copies carry the time of the dead letter, so a
//! worker that gave the user up after one copy drops the other, and a user who is done stays done.

mod access;
mod assess;
mod assessment;
mod canary;
mod dead_letter;
mod decide;
mod discard;
mod error;
mod filter;
mod group_counts;
mod groups;
mod handling;
mod items;
mod listing;
mod next;
mod outcome;
mod pace;
mod past;
mod pick;
mod replay;
mod replay_headers;
mod replay_run;
mod report;
mod scan;
mod seen;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use access::{Access, AccessCounts};
pub(crate) use assessment::{Assessment, ReplaySafety};
pub(crate) use dead_letter::{DeadLetter, DeadLetterId};
pub(crate) use decide::{DeadLetterGroups, GroupChange, GroupChanged};
pub(crate) use discard::{Discard, DiscardPlan, DiscardResult, Discarded, FullDeadLetter};
pub(crate) use error::DeadLetterError;
pub(crate) use filter::{DeadLetterFilter, GroupName};
pub(crate) use group_counts::{GroupCounts, count_groups};
pub(crate) use groups::{Group, groups};
pub(crate) use handling::{GroupState, Handling};
pub(crate) use listing::{Listed, Listing, ShownDeadLetter, list, show};
pub(crate) use pace::parse_pace;
pub(crate) use past::{GroupHistory, PastDecision};
pub(crate) use replay::{Replay, ReplayPlan};
pub(crate) use replay_run::Replaying;
pub(crate) use report::{GroupReport, ReplayReport, ReplayResult, Skipped};
pub(crate) use seen::LastReplay;

use dead_letter::count_by_group;

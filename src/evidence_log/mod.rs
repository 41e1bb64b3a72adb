//! The evidence log: an append-only Merkle log (RFC 6962) of what must not be denied later, with signed checkpoints
//! (c2sp.org/tlog-checkpoint). It is in the archive store, and on where `OFFBOARDER_EVIDENCE_ORIGIN` is set.
//!
//! Who writes a record also writes an *announcement*, an empty object whose name says which object was written, with which
//! digest ([`AnnouncingStore`]); several at once are one object. A worker with the key makes *steps* of the announcements, at most one a minute ([`Writer`]). A
//! step is one object, written once under the next number, so that of two writers one wins, a crash leaves a whole step or
//! none, and Redis has no part in it.
//!
//! A user's manifests leave it as one file with proofs, which anybody checks offline ([`Bundle`]).
//!
//! The crate `tlog_tiles` is not used: it brings `sha2` and `base64` of earlier releases, and what is needed of it here is the
//! hundred lines of `tree` and `proof`, with the vectors of others.

mod announcement;
mod announcing;
#[cfg(test)]
mod attacks;
mod bundle;
mod check;
mod cosignatures;
mod cosigners;
mod group;
#[cfg(test)]
mod group_tests;
mod head;
mod inbox;
mod keeping;
mod leaf;
#[cfg(test)]
mod model;
mod now;
mod policy;
mod proof;
mod signers;
mod step;
mod stored_digest;
mod tree;
mod trust;
#[cfg(test)]
mod witness_tests;
mod writer;
#[cfg(test)]
mod writer_tests;

pub(crate) use announcing::AnnouncingStore;
pub(crate) use bundle::{Bundle, Checked, NotExported, export, last_checkpoint};
pub(crate) use check::{Erased, LogReport, check_log};
pub(crate) use cosigners::Cosigner;
pub(crate) use keeping::{await_signers, keep_evidence_log};
pub(crate) use now::{LogFlow, LogNow, log_flow, log_now};
pub(crate) use policy::Policy;
pub(crate) use signers::Signers;
pub(crate) use writer::Writer;

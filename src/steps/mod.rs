//! One file per step. A step reads before it writes and reads back what it wrote, so that repeating
//! it after a crash is harmless; it reports what happened as an [`Event`](crate::machine::Event) and decides nothing.

mod approval;
mod approval_guard;
mod approval_rule;
mod archive;
mod archive_pages;
mod archive_quiet;
mod archive_store;
mod archive_stream;
mod archived;
mod before_image;
mod cancellation;
mod checkpoint_session;
mod clear_queues;
mod confirm_deletion;
mod converge;
mod deactivate;
mod delete;
mod deletions_seen;
mod documents;
mod fate;
mod first_received;
mod guard;
mod hold_back;
mod interrupt;
mod look_back;
mod perform;
mod prior_evidence;
mod probe;
mod profile;
mod read_again;
mod record;
mod recorded_ahead;
mod recount;
mod request_limit;
mod seal;
mod sealed_archive;
mod services;
mod stop;
mod surge;
#[cfg(test)]
pub(crate) mod test_services;
#[cfg(test)]
pub(crate) mod test_surges;

pub(crate) use approval_guard::ApprovalGuard;
pub(crate) use archive::begin as begin_archive;
pub(crate) use archive_pages::page;
pub(crate) use before_image::{Images, read_image};
pub(crate) use cancellation::Cancellation;
pub(crate) use checkpoint_session::CheckpointSession;
pub(crate) use deactivate::is_active;
pub(crate) use documents::MAX_DOCUMENT_BYTES;
pub(crate) use fate::{decide, read_fate};
pub(crate) use guard::on_deletion;
pub(crate) use interrupt::{Interrupt, Stopped};
pub(crate) use look_back::{is_recorded, look_back};
pub(crate) use perform::perform;
pub(crate) use request_limit::RequestLimit;
pub(crate) use services::Services;
pub(crate) use surge::{AboutToFail, CLAIM, RUN, SurgeVerdict, SurgeWatch};

use crate::ports::keep;

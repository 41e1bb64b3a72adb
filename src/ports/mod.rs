//! What the steps and the worker need of a store, whoever provides it.

mod archive_store;
pub(crate) mod batches;
mod checkpoints;
mod checksum;
mod quotas;
mod worker_registry;

pub(crate) use crate::limits::QuotaClass;
pub(crate) use crate::machine::{Part, UploadId};
pub(crate) use crate::manifest::ObjectKey;
pub(crate) use archive_store::{
    ArchiveStore, Chunks, DateRange, Found, Listed, PutOnce, Stored, Version, Versions,
    part_size_bytes,
};
pub(crate) use checkpoints::{Checkpoints, Claim, DeletionAdmission, Lease, ReplayNote, Saved};
pub(crate) use checksum::{crc32c, crc32c_of_parts};
pub(crate) use quotas::{Quotas, Reservation};
pub(crate) use worker_registry::{Announced, Announcement, SILENT};

//! What the steps and the worker need of a store, whoever provides it.

mod archive_store;
mod checkpoints;
mod checksum;
mod quotas;

pub use archive_store::{
    ArchiveStore, Chunks, Found, Listed, ObjectKey, Part, PutOnce, Span, Stored, UploadId, Version,
    Versions, part_size_bytes,
};
pub use checkpoints::{Braking, Checkpoints, Claim, Lease, ReplayNote, Saved};
pub use checksum::{crc32c, crc32c_of_parts};
pub use quotas::{QuotaClass, Quotas, Reservation};

//! What the steps, the worker and the operations need of the outside. Adapters implement it.

mod archive_store;
pub(crate) mod batches;
mod checkpoints;
mod checksum;
mod document;
mod file_columns;
mod key_set;
#[cfg(test)]
pub(crate) mod memory_queue;
mod note_signer;
pub(crate) mod operations;
mod page;
pub(crate) mod queue;
mod quotas;
mod replays;
pub(crate) mod sessions;
mod shared;
mod store_health;
mod surges;
mod survey;
mod tenant;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod views;
mod witness;
mod worker_registry;

pub(crate) use crate::limits::QuotaClass;
pub(crate) use crate::machine::{Part, UploadId};
pub(crate) use crate::manifest::ObjectKey;
pub(crate) use archive_store::{
    ArchiveStore, Chunks, DateRange, Found, Listed, Proof, PutOnce, Stored, Version, Versions,
    part_size_bytes,
};
pub(crate) use checkpoints::{Admission, Checkpoints, Claim, CountOf, Lease, Requester, Saved};
pub(crate) use checksum::{crc32c, crc32c_of_parts};
pub(crate) use document::{Document, Edition, read_regular};
pub(crate) use file_columns::FileColumns;
pub(crate) use key_set::KeySet;
pub(crate) use note_signer::NoteSigner;
#[cfg(any(test, fuzzing))]
pub(crate) use page::Page;
pub(crate) use page::{Batch, ConversationSink, Each, PageRequest};
pub(crate) use quotas::{Place, Quotas, Reservation, Window};
pub(crate) use replays::{GroupReplay, ReplayNote, ReplayedUser};
pub(crate) use shared::SharedStores;
pub(crate) use store_health::{BucketHealth, CheckpointHealth, Persistence, ReplicaRule};
pub(crate) use surges::{SURGE_WINDOW, SurgeCount, SurgeHit, Surges};
pub(crate) use survey::{Observation, STATE_OF_USER, Seen, SeenWord};
pub(crate) use tenant::{
    Account, AccountRead, Answered, CallCounts, ConversationFacts, Deactivation, DeleteAnswer,
    GivenBack, ReadFacts, ReadyDeletion, RefusalCause, RefusedRead, RoutingWrites, StepCalls,
    Tenant, TenantRead, UNKNOWN_ROUTING, keep,
};
pub(crate) use witness::{Witness, WitnessAnswer};
pub(crate) use worker_registry::{Heartbeat, LaneSlots, Lanes, LiveWorker, SILENT, WorkerRegistry};

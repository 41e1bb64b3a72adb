//! What the steps work with.

use std::sync::Arc;
use std::time::Duration;

use super::{ApprovalGuard, RequestLimit, SurgeWatch};
use crate::archive::ArchiveMemory;
use crate::clock::Clock;
use crate::guards::Guards;
use crate::limits::DeletePolicy;
use crate::machine::RetryPolicy;
use crate::manifest::Actor;
use crate::ports::{ArchiveStore, Checkpoints, Tenant};
use crate::progress::Progress;
use crate::registers::{Orders, PauseState, ProtectedSource, SharedRead, StopRegister};

/// What every step works with. Made once for each process.
pub(crate) struct Services {
    pub(crate) clock: Clock,
    /// Shared with the tenant's client, which makes progress, too.
    pub(crate) progress: Progress,
    pub tenant: Arc<dyn Tenant>,
    /// Where archives, seals and manifests go.
    pub archive_store: Arc<dyn ArchiveStore>,
    pub checkpoints: Arc<dyn Checkpoints>,
    pub guards: Guards,
    /// Holds back users whom no order names; `run` and `plan` have none, since a person names their users.
    pub(crate) requests: Option<RequestLimit>,
    pub protected: ProtectedSource,
    /// Whether a second person approved a deletion, where the rule wants it.
    pub(crate) approval: Arc<ApprovalGuard>,
    /// What `submit` was asked for, as messages claim.
    pub(crate) orders: Orders,
    /// What operators ordered not to be done.
    pub stop_orders: Arc<StopRegister>,
    /// Whether operators paused the workers, as the guards before each DELETE ask.
    pub(crate) pause: SharedRead<PauseState>,
    pub delete: DeletePolicy,
    /// Whether deletions wait while users who still have access need the quota. A worker's do; `run` leads each user to
    /// its end.
    pub access_first: bool,
    pub retry: RetryPolicy,
    /// Notices that this release fails for every user. A worker has it; `run` does not, and stops where its caller sees it.
    pub surges: Option<SurgeWatch>,
    /// Of all archives that are under way.
    pub(crate) memory: ArchiveMemory,
    /// How far back the archive reaches.
    pub history: Duration,
    /// The longest interval of one query, in days.
    pub window_days: Option<u32>,
    /// How long after the access is gone the archive begins, so that the API shows the last conversations.
    pub settle: Duration,
    /// Named in the manifest as its writer.
    pub actor: Actor,
}

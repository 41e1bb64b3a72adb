//! Puts the settings of a command together, or says everything that is wrong with them.

use super::fault::{Fault, Faults};
use super::reader::Reader;
use super::resolve::{Entry, State, resolve};
use super::setting::{Profile, Unset};
use super::sources::Sources;
use super::{
    Admin, Archive, CheckpointsRetention, CheckpointsUrl, Cxone, Guard, Queue, Worker, integrity,
    table,
};
use crate::integrity::Integrity;
use crate::secret::Secret;

/// The settings of a command. Most groups have defaults and are always there. The two that have
/// none are there for the commands that cannot work without them, and are an `Option` for the
/// others.
#[derive(Debug, Clone)]
pub(crate) struct Settings<C = Option<Cxone>, Q = Option<Queue>> {
    /// `OFFBOARDER_CXONE_…`.
    pub cxone: C,
    /// `OFFBOARDER_QUEUE_…`.
    pub queue: Q,
    /// `OFFBOARDER_CHECKPOINTS_…`.
    pub checkpoints: CheckpointsUrl,
    /// `OFFBOARDER_CHECKPOINTS_RETENTION`.
    pub retention: CheckpointsRetention,
    /// `OFFBOARDER_ARCHIVE_…`.
    pub archive: Archive,
    /// `OFFBOARDER_WORKER_…`.
    pub worker: Worker,
    /// `OFFBOARDER_GUARD_…`.
    pub guard: Guard,
    /// `OFFBOARDER_INTEGRITY_KEY`.
    pub integrity: Integrity,
    /// `OFFBOARDER_ADMIN_…`.
    pub admin: Admin,
}

impl Settings<Cxone, Queue> {
    /// For `worker`, which shares its work with other workers: stores that only this host can reach
    /// are refused, but the operator may allow such an archive.
    pub(crate) fn for_worker(sources: &Sources, allow_local_archive: bool) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Worker);
        draft.refuse_local_stores(allow_local_archive);
        draft.finish(|cxone| cxone, |queue| queue)
    }
}

impl Settings<Cxone, Queue> {
    /// For commands that assess and replay dead letters: they need what the workers use.
    pub(crate) fn for_replay(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Run);
        draft.demand(Profile::Broker);
        draft.refuse_local_stores(true);
        draft.finish(|cxone| cxone, |queue| queue)
    }
}

impl Settings {
    /// The variables that commands of this profile cannot work without, and that are not set.
    pub(crate) fn missing(sources: &Sources, profile: Profile) -> Vec<String> {
        let draft = Draft::read(sources);
        let missing = draft.entries.iter().filter(|entry| {
            matches!(entry.setting.unset, Unset::RequiredBy(profiles) if profiles.contains(&profile))
                && matches!(entry.state, State::Unset)
        });
        missing.map(|entry| entry.setting.variable()).collect()
    }
}

impl Settings<Cxone> {
    /// For commands that call the tenant and need no broker.
    pub(crate) fn for_run(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Run);
        draft.finish(|cxone| cxone, Some)
    }
}

impl Settings<Option<Cxone>, Queue> {
    /// For commands that use the broker and do not call the tenant.
    pub(crate) fn for_broker(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Broker);
        draft.finish(Some, |queue| queue)
    }
}

impl Settings {
    /// For commands that read the stores, or need no service at all. Settings that they do not use
    /// must be right, too: a worker may start with the same environment.
    pub(crate) fn for_stores(sources: &Sources) -> Result<Self, Faults> {
        Draft::read(sources).finish(Some, Some)
    }
}

/// Every group that could be read. If one is missing, its fault is noted, or a setting of it that
/// has no default is unset.
struct Draft {
    entries: Vec<Entry>,
    faults: Vec<Fault>,
    incomplete: bool,
    cxone: Option<Cxone>,
    queue: Option<Queue>,
    checkpoints: Option<CheckpointsUrl>,
    retention: Option<CheckpointsRetention>,
    archive: Option<Archive>,
    worker: Option<Worker>,
    guard: Option<Guard>,
    integrity: Option<Secret>,
    admin: Option<Admin>,
}

impl Draft {
    fn read(sources: &Sources) -> Self {
        let resolved = resolve(sources);
        let mut reader = Reader::new(&resolved.entries, resolved.faults);
        let cxone = Cxone::read(&mut reader);
        let queue = Queue::read(&mut reader);
        let checkpoints = CheckpointsUrl::read(&mut reader);
        let retention = CheckpointsRetention::read(&mut reader);
        let archive = Archive::read(&mut reader);
        let worker = Worker::read(&mut reader);
        let guard = Guard::read(&mut reader);
        let integrity = integrity::read(&mut reader);
        let admin = Admin::read(&mut reader);
        let faults = reader.faults;

        Self {
            entries: resolved.entries,
            faults,
            incomplete: resolved.incomplete,
            cxone,
            queue,
            checkpoints,
            retention,
            archive,
            worker,
            guard,
            integrity,
            admin,
        }
    }

    fn demand(&mut self, profile: Profile) {
        if self.incomplete {
            return;
        }
        for Entry { setting, state } in &self.entries {
            let Unset::RequiredBy(profiles) = setting.unset else {
                continue;
            };
            if profiles.contains(&profile) && matches!(state, State::Unset) {
                let variable = setting.variable();
                let text = format!(
                    "is not set, and {profile} cannot work without; set it, or {variable}_FILE"
                );
                self.faults.push(Fault::about(variable, text));
            }
        }
    }

    fn refuse_local_stores(&mut self, allow_local_archive: bool) {
        if self.incomplete {
            return;
        }
        let mut reader = Reader::new(&self.entries, std::mem::take(&mut self.faults));
        // This checks the texts, since a group is missing if any of its settings has a fault.
        if reader.begins(&table::CHECKPOINTS_URL, "file:") {
            reader.refuse(
                &table::CHECKPOINTS_URL,
                "is for one process only, and worker shares its work; give a redis:// URL",
            );
        }
        if !allow_local_archive && reader.begins(&table::ARCHIVE_URL, "file:") {
            reader.refuse(
                &table::ARCHIVE_URL,
                "is a directory of this host, and worker keeps archives where they survive it; \
                 give an s3:// URL, or pass --allow-local-archive",
            );
        }
        self.faults = reader.faults;
    }

    fn finish<C, Q>(
        self,
        cxone: impl FnOnce(Option<Cxone>) -> Option<C>,
        queue: impl FnOnce(Option<Queue>) -> Option<Q>,
    ) -> Result<Settings<C, Q>, Faults> {
        if let Some(faults) = Faults::all(self.faults) {
            return Err(faults);
        }

        let whole = || {
            Some(Settings {
                cxone: cxone(self.cxone)?,
                queue: queue(self.queue)?,
                checkpoints: self.checkpoints?,
                retention: self.retention?,
                archive: self.archive?,
                worker: self.worker?,
                guard: self.guard?,
                integrity: Integrity::new(self.integrity.as_ref()),
                admin: self.admin?,
            })
        };
        whole().ok_or_else(|| {
            let text =
                "a group of settings is missing and no fault says why; this is a defect, report it";
            Faults::one(Fault::about("settings", text))
        })
    }
}

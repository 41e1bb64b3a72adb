//! Puts the settings of a command together, or says everything that is wrong with them.

use super::fault::{Fault, Faults};
use super::reader::Reader;
use super::resolve::{Entry, State, resolve};
use super::setting::{Profile, Unset};
use super::sources::Sources;
use super::{
    Admin, Archive, CheckpointsRetention, CheckpointsUrl, Cxone, Evidence, Guard, Queue, Worker,
    evidence, integrity, runbook, table,
};
use crate::address::RunbookUrl;
use crate::integrity::Integrity;
use crate::secret::Secret;

/// The groups that every command has, because all their settings have defaults.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `OFFBOARDER_CHECKPOINTS_URL`.
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
    /// `OFFBOARDER_EVIDENCE_…`.
    pub evidence: Option<Evidence>,
    /// `OFFBOARDER_ADMIN_…`.
    pub admin: Admin,
    /// `OFFBOARDER_RUNBOOK_URL`.
    pub runbook: Option<RunbookUrl>,
}

/// For commands that call the tenant and need no broker: `run`, `plan`.
#[derive(Debug, Clone)]
pub(crate) struct TenantSettings {
    pub cxone: Cxone,
    pub base: Settings,
}

/// For commands that use the broker and do not call the tenant.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    pub queue: Queue,
    pub base: Settings,
}

/// For `worker`, and for commands that assess and replay dead letters, which need the same.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSettings {
    pub cxone: Cxone,
    pub queue: Queue,
    pub base: Settings,
}

impl Settings {
    /// For commands that read the stores, or need no service at all. Settings that they do not use
    /// must be right, too: a worker may start with the same environment.
    pub(crate) fn read(sources: &Sources) -> Result<Self, Faults> {
        Ok(Draft::read(sources).finish()?.base)
    }
}

/// All groups, for commands that use what is there. The two that have no defaults are there if they
/// are set.
#[derive(Debug, Clone)]
pub(crate) struct AnySettings {
    pub cxone: Option<Cxone>,
    pub queue: Option<Queue>,
    pub base: Settings,
}

impl AnySettings {
    pub(crate) fn read(sources: &Sources) -> Result<Self, Faults> {
        Draft::read(sources).finish()
    }

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

impl TenantSettings {
    pub(crate) fn read(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Run);
        let AnySettings { cxone, base, .. } = draft.finish()?;
        Ok(Self {
            cxone: demanded(cxone)?,
            base,
        })
    }
}

impl BrokerSettings {
    pub(crate) fn read(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Broker);
        let AnySettings { queue, base, .. } = draft.finish()?;
        Ok(Self {
            queue: demanded(queue)?,
            base,
        })
    }
}

impl WorkerSettings {
    /// For `worker`, which shares its work with other workers: stores that only this host can reach
    /// are refused, but the operator may allow such an archive.
    pub(crate) fn read(sources: &Sources, allow_local_archive: bool) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Worker);
        draft.refuse_local_stores(allow_local_archive);
        Self::finish(draft)
    }

    /// For commands that assess and replay dead letters.
    pub(crate) fn read_for_replay(sources: &Sources) -> Result<Self, Faults> {
        let mut draft = Draft::read(sources);
        draft.demand(Profile::Run);
        draft.demand(Profile::Broker);
        draft.refuse_local_stores(true);
        Self::finish(draft)
    }

    fn finish(draft: Draft) -> Result<Self, Faults> {
        let AnySettings { cxone, queue, base } = draft.finish()?;
        Ok(Self {
            cxone: demanded(cxone)?,
            queue: demanded(queue)?,
            base,
        })
    }
}

/// A group that [`Draft::demand`] found, or that has no default to miss.
fn demanded<T>(group: Option<T>) -> Result<T, Faults> {
    group.ok_or_else(|| {
        let text =
            "a group of settings is missing and no fault says why; this is a defect, report it";
        Faults::one(Fault::about("settings", text))
    })
}

/// Every group that could be read. If one is missing, its fault is noted, or a setting of it that
/// has no default is unset.
struct Draft {
    /// The command, which faults name.
    command: String,
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
    evidence: Option<Evidence>,
    admin: Option<Admin>,
    runbook: Option<RunbookUrl>,
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
        let evidence = evidence::read(&mut reader);
        let admin = Admin::read(&mut reader);
        let runbook = runbook::read(&mut reader);
        let faults = reader.faults;

        Self {
            command: sources.command.clone(),
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
            evidence,
            admin,
            runbook,
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
                let command = &self.command;
                let text = format!(
                    "is not set, and {command} cannot work without it; set it, or {variable}_FILE"
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

    fn finish(self) -> Result<AnySettings, Faults> {
        if let Some(faults) = Faults::all(self.faults) {
            return Err(faults);
        }

        Ok(AnySettings {
            cxone: self.cxone,
            queue: self.queue,
            base: Settings {
                checkpoints: demanded(self.checkpoints)?,
                retention: demanded(self.retention)?,
                archive: demanded(self.archive)?,
                worker: demanded(self.worker)?,
                guard: demanded(self.guard)?,
                integrity: Integrity::new(self.integrity.as_ref()),
                evidence: self.evidence,
                admin: demanded(self.admin)?,
                runbook: self.runbook,
            },
        })
    }
}

//! Checkpoints in the database file. Every save is on the disk before it counts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use redb::ReadableDatabase as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::access;
use super::counts;
use super::database::{CHECKPOINTS, DatabaseFile, HOLDS, REPLAYS};
use super::error::EmbeddedError;
use super::rows::{Row, store};
use crate::adapters::stored_checkpoint;
use crate::clock::Clock;
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::integrity::{Integrity, Purpose};
use crate::job::{BatchId, UserId};
use crate::limits::RateLimit;
use crate::machine::Checkpoint;
use crate::ports::batches::{FinishedBatch, Summary};
use crate::ports::operations::OperationLine;
use crate::ports::{Admission, Checkpoints, Claim, CountOf, GroupReplay, Lease, ReplayNote, Saved};

/// Checkpoints in one file, for one process.
pub(crate) struct EmbeddedCheckpoints {
    file: DatabaseFile,
    /// The fence of each lease. They are kept in memory, since the file belongs to this process.
    leases: Mutex<HashMap<UserId, u64>>,
    last_fence: AtomicU64,
    /// The fence of the lease of each line of operations.
    pub(super) operation_leases: Mutex<HashMap<OperationLine, String>>,
    integrity: Integrity,
    pub(super) clock: Clock,
}

impl EmbeddedCheckpoints {
    /// Opens `directory/checkpoints.redb`. Creates both where they are missing.
    pub(crate) fn open(directory: &Path, clock: Clock) -> Result<Self, EmbeddedError> {
        Ok(Self {
            file: DatabaseFile::open(directory)?,
            leases: Mutex::new(HashMap::new()),
            last_fence: AtomicU64::new(0),
            operation_leases: Mutex::default(),
            integrity: Integrity::default(),
            clock,
        })
    }

    /// The same, with this integrity key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    pub(super) const fn file(&self) -> &DatabaseFile {
        &self.file
    }

    /// A claim shows that the user was asked for, before anything is saved.
    async fn add_asked(&self, user_id: UserId) -> Result<(), Failure> {
        let now = self.clock.now();
        let adding = self
            .file
            .blocking(move |database| access::add_asked(database, &[user_id], now));
        Ok(adding.await?)
    }

    fn take_lease(&self, user_id: UserId) -> Option<Lease> {
        let mut leases = self.leases.lock();
        if leases.contains_key(&user_id) {
            return None;
        }
        let fence = self.last_fence.fetch_add(1, Ordering::Relaxed) + 1;
        leases.insert(user_id, fence);
        Some(Lease {
            user_id,
            owner: String::new(),
            fence,
        })
    }

    fn has_lease(&self, lease: &Lease) -> bool {
        self.leases.lock().get(&lease.user_id) == Some(&lease.fence)
    }

    /// The row of a user; `None` where there is none, or it is not a row of ours.
    async fn row(&self, user_id: UserId) -> Result<Option<Row>, EmbeddedError> {
        let bytes = self.file.bytes(CHECKPOINTS, user_id.to_string()).await?;
        let row = bytes.map(|bytes| serde_json::from_slice(&bytes));
        if let Some(Err(error)) = &row {
            tracing::warn!(%user_id, %error, "the checkpoint is damaged and counts as absent");
        }
        Ok(row.and_then(Result::ok))
    }

    /// Stores a note of a replay.
    async fn note(&self, key: String, note: &(impl Serialize + Sync)) -> Result<(), EmbeddedError> {
        let note = serde_json::to_vec(note).map_err(|error| self.file.failed(&error))?;
        let noting = self.file.blocking(move |database| {
            let writing = database.begin_write()?;
            writing
                .open_table(REPLAYS)?
                .insert(key.as_str(), note.as_slice())?;
            Ok(writing.commit()?)
        });
        noting.await
    }

    /// Reads a note of a replay; one that cannot be read counts as absent.
    async fn noted<T: DeserializeOwned>(&self, key: String) -> Result<Option<T>, EmbeddedError> {
        let note = self.file.bytes(REPLAYS, key).await?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    fn open_row(&self, user_id: UserId, row: &Row) -> Result<Option<Box<Checkpoint>>, Failure> {
        let body = row.checkpoint.get().as_bytes();
        let name = user_id.to_string();
        let code = row.code.as_deref();
        Ok(stored_checkpoint::open(
            &self.integrity,
            &name,
            user_id,
            body,
            code,
        )?)
    }
}

/// What another program could do to the file.
#[cfg(test)]
impl EmbeddedCheckpoints {
    /// Writes this text in the place of the checkpoint; version and code stay.
    pub(crate) async fn replace_checkpoint(
        &self,
        user_id: UserId,
        text: &str,
    ) -> Result<(), EmbeddedError> {
        let row = self.row(user_id).await?.expect("there is a row");
        let row = match serde_json::value::RawValue::from_string(text.to_owned()) {
            Ok(checkpoint) => serde_json::to_vec(&Row { checkpoint, ..row }).expect("JSON"),
            Err(_not_json) => {
                format!("{{\"version\":{},\"checkpoint\":{text}}}", row.version).into()
            }
        };
        self.write_row(user_id, row).await
    }

    /// Stores the row of one user as the row of another one.
    pub(crate) async fn copy_record(&self, from: UserId, to: UserId) -> Result<(), EmbeddedError> {
        let row = self.file.bytes(CHECKPOINTS, from.to_string()).await?;
        self.write_row(to, row.expect("there is a row")).await
    }

    async fn write_row(&self, user_id: UserId, row: Vec<u8>) -> Result<(), EmbeddedError> {
        let writing = self.file.blocking(move |database| {
            let writing = database.begin_write()?;
            writing
                .open_table(CHECKPOINTS)?
                .insert(user_id.to_string().as_str(), row.as_slice())?;
            Ok(writing.commit()?)
        });
        writing.await
    }
}

/// The row of a group's last replay, among those of dead letters, whose IDs have no colon.
fn group_key(fingerprint: &str) -> String {
    format!("group:{fingerprint}")
}

#[async_trait]
impl Checkpoints for EmbeddedCheckpoints {
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure> {
        let Some(lease) = self.take_lease(user_id) else {
            return Ok(Claim::Held {
                for_at_most: self.lease_ttl(),
                look_again: None,
            });
        };

        let read = match self.row(user_id).await {
            Ok(Some(row)) => self
                .open_row(user_id, &row)
                .map(|checkpoint| (row.version, checkpoint)),
            Ok(None) => self.add_asked(user_id).await.map(|()| (0, None)),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok((version, checkpoint)) => Ok(Claim::Granted {
                lease,
                version,
                checkpoint,
                authenticated: self.integrity.has_key(),
                // A process that died released its claims with it, and the operator who starts the
                // next one knows.
                deaths: 0,
                workers: Vec::new(),
            }),
            Err(failure) => {
                self.release(&lease).await?;
                Err(failure)
            }
        }
    }

    async fn save(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure> {
        if !self.has_lease(lease) {
            return Ok(Saved::Refused);
        }
        let user_id = lease.user_id;
        let failed = |error: serde_json::Error| self.file.failed(&error);
        let body = serde_json::value::to_raw_value(checkpoint).map_err(failed)?;
        let name = user_id.to_string();
        let row = Row {
            version: expected + 1,
            code: self
                .integrity
                .code(Purpose::Checkpoint, &name, body.get().as_bytes()),
            checkpoint: body,
        };
        let row = serde_json::to_vec(&row).map_err(failed)?;
        let summary = Summary::from(checkpoint);

        let storing = self
            .file
            .blocking(move |database| store(database, user_id, expected, &row, &summary));
        Ok(storing.await?)
    }

    async fn renew(&self, lease: &Lease) -> Result<bool, Failure> {
        Ok(self.has_lease(lease))
    }

    async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let mut leases = self.leases.lock();
        if leases.get(&lease.user_id) == Some(&lease.fence) {
            leases.remove(&lease.user_id);
        }
        Ok(())
    }

    async fn admit(
        &self,
        of: CountOf,
        user_id: UserId,
        limit: RateLimit,
    ) -> Result<Admission, Failure> {
        let now = self.clock.now();
        let counting = self
            .file
            .blocking(move |database| counts::admit(database, of, user_id, limit, now));
        Ok(counting.await?)
    }

    async fn count_reaches(&self, of: CountOf, window: Duration) -> Result<bool, Failure> {
        let reading = self
            .file
            .blocking(move |database| counts::reaches(database, of, window));
        Ok(reading.await?)
    }

    async fn restore_count(
        &self,
        of: CountOf,
        window: Duration,
        seen: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        let seen = seen.to_vec();
        let restoring = self
            .file
            .blocking(move |database| counts::restore(database, of, window, &seen));
        Ok(restoring.await?)
    }

    /// Does nothing: the file keeps no batches, and its checkpoints do not expire.
    async fn end_in_batch(
        &self,
        _batch: &BatchId,
        _checkpoint: &Checkpoint,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Knows of no batch.
    async fn settle_in_batch(
        &self,
        _batch: &BatchId,
        _user_id: UserId,
        _at: Timestamp,
    ) -> Result<Option<FinishedBatch>, Failure> {
        Ok(None)
    }

    async fn note_batch_announced(&self, _batch: &FinishedBatch) -> Result<(), Failure> {
        Ok(())
    }

    async fn note_holds(&self, user_id: UserId, count: u32) -> Result<(), Failure> {
        let noting = self.file.blocking(move |database| {
            let writing = database.begin_write()?;
            writing
                .open_table(HOLDS)?
                .insert(user_id.to_string().as_str(), count)?;
            Ok(writing.commit()?)
        });
        Ok(noting.await?)
    }

    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure> {
        let reading = self.file.blocking(move |database| {
            let table = match database.begin_read()?.open_table(HOLDS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(0),
                Err(error) => return Err(error.into()),
            };
            let noted = table.get(user_id.to_string().as_str())?;
            Ok(noted.map_or(0, |noted| noted.value()))
        });
        Ok(reading.await?)
    }

    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure> {
        let claimed = self.leases.lock().contains_key(&user_id);
        Ok(claimed.then(|| self.lease_ttl()))
    }

    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure> {
        let Some(row) = self.row(user_id).await? else {
            return Ok(None);
        };
        let checkpoint = self.open_row(user_id, &row)?;
        Ok(checkpoint.map(|checkpoint| *checkpoint))
    }

    async fn note_replay(&self, dead_letter: &str, note: &ReplayNote) -> Result<(), Failure> {
        Ok(effect("the note", self.note(dead_letter.to_owned(), note)).await?)
    }

    async fn replay_note(&self, dead_letter: &str) -> Result<Option<ReplayNote>, Failure> {
        Ok(self.noted(dead_letter.to_owned()).await?)
    }

    async fn note_group_replay(
        &self,
        fingerprint: &str,
        replay: &GroupReplay,
    ) -> Result<(), Failure> {
        let noting = self.note(group_key(fingerprint), replay);
        Ok(effect("the note of the group", noting).await?)
    }

    async fn group_replay(&self, fingerprint: &str) -> Result<Option<GroupReplay>, Failure> {
        Ok(self.noted(group_key(fingerprint)).await?)
    }

    async fn probe(&self) -> Result<(), Failure> {
        let probe = self
            .file
            .blocking(|database| Ok(database.begin_write()?.abort()?));
        Ok(probe.await?)
    }

    fn lease_ttl(&self) -> Duration {
        Duration::from_mins(1)
    }
}

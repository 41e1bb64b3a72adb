//! Checkpoints in a file, for one process: an embedded database with ACID transactions.

mod brake;

use parking_lot::Mutex;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::adapters::private;
use crate::failpoint::effect;
use crate::failure::{Class, Classify, Code, Failure};
use crate::integrity::{Integrity, Purpose};
use crate::job::{BatchId, UserId};
use crate::limits::DeletionRateLimit;
use crate::machine::{Checkpoint, SCHEMA};
use crate::ports::{Checkpoints, Claim, DeletionAdmission, Lease, ReplayNote, Saved};

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("checkpoints");
/// How many acts on a legal hold are stored, by user.
const HOLDS: TableDefinition<'_, &str, u32> = TableDefinition::new("holds");
/// How far replays of dead letters got, by letter.
const REPLAYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("replays");
const FILE_NAME: &str = "checkpoints.redb";

/// What the file can do to us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbeddedError {
    /// Another process has it open.
    #[error(
        "{path} is in use by another offboarder; wait for it to end, or name another OFFBOARDER_CHECKPOINTS_URL"
    )]
    InUse { path: PathBuf },
    /// The file system or the database refused.
    #[error("{path}: {why}; check that the directory can be written and has space")]
    Failed { path: PathBuf, why: String },
    /// Damaged, or written by a later release.
    #[error("{path}: the checkpoint of {user_id} cannot be read by this release ({why})")]
    Unreadable {
        path: PathBuf,
        user_id: UserId,
        why: String,
    },
}

impl Classify for EmbeddedError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::InUse { .. } | Self::Failed { .. } => {
                (Class::Systemic, Code::CheckpointsUnreachable)
            }
            Self::Unreadable { .. } => (Class::Defect, Code::CheckpointUnreadable),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    version: u64,
    checkpoint: Checkpoint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Row {
    fn code(checkpoint: &Checkpoint, integrity: &Integrity) -> serde_json::Result<Option<String>> {
        let name = checkpoint.user_id.to_string();
        Ok(integrity.code(Purpose::Checkpoint, &name, &serde_json::to_vec(checkpoint)?))
    }
}

/// Checkpoints in one file. Every save is on the disk before it counts.
pub(crate) struct EmbeddedCheckpoints {
    database: Arc<Database>,
    path: PathBuf,
    claimed: Mutex<HashSet<UserId>>,
    integrity: Integrity,
}

impl EmbeddedCheckpoints {
    /// Opens `directory/checkpoints.redb`, making both where they are missing.
    pub(crate) fn open(directory: &Path) -> Result<Self, EmbeddedError> {
        let path = directory.join(FILE_NAME);
        let failed = |error: std::io::Error| EmbeddedError::Failed {
            path: path.clone(),
            why: error.to_string(),
        };
        private::directory(directory).map_err(failed)?;
        let file = private::create_or_open(&path).map_err(failed)?;
        let opened =
            FileBackend::new(file).and_then(|file| Database::builder().create_with_backend(file));
        let database = opened.map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => EmbeddedError::InUse { path: path.clone() },
            other => EmbeddedError::Failed {
                path: path.clone(),
                why: other.to_string(),
            },
        })?;
        let (database, claimed) = (Arc::new(database), Mutex::new(HashSet::new()));
        Ok(Self {
            database,
            path,
            claimed,
            integrity: Integrity::default(),
        })
    }

    /// The same, with the codes of this key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    /// Runs `work` where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, EmbeddedError> {
        let database = Arc::clone(&self.database);
        let failed = |why: String| EmbeddedError::Failed {
            path: self.path.clone(),
            why,
        };
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Whether nobody but our own processes can have written it, where there is a key.
    fn counts(&self, row: &Row) -> bool {
        let code = Row::code(&row.checkpoint, &self.integrity).ok().flatten();
        let counts = !self.integrity.has_key() || (code.is_some() && code == row.code);
        if !counts {
            let user_id = row.checkpoint.user_id;
            tracing::warn!(%user_id, "the checkpoint has no valid integrity code and counts as absent");
        }
        counts
    }

    async fn row(&self, user_id: UserId) -> Result<Option<Row>, EmbeddedError> {
        let bytes = self
            .blocking(move |database| stored(database, user_id))
            .await?;
        let unreadable = |why: String| EmbeddedError::Unreadable {
            path: self.path.clone(),
            user_id,
            why,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let row: Row =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if row.checkpoint.schema != SCHEMA {
            Err(unreadable(format!(
                "its schema is {}",
                row.checkpoint.schema
            )))
        } else if row.checkpoint.user_id != user_id {
            Err(unreadable(format!("it is of {}", row.checkpoint.user_id)))
        } else {
            Ok(Some(row))
        }
    }
}

fn stored(database: &Database, user_id: UserId) -> Result<Option<Vec<u8>>, redb::Error> {
    let reading = database.begin_read()?;
    match reading.open_table(TABLE) {
        Ok(table) => Ok(table
            .get(user_id.to_string().as_str())?
            .map(|bytes| bytes.value().to_vec())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl Checkpoints for EmbeddedCheckpoints {
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure> {
        // The file belongs to this process alone, so a lease has to outlive nothing but it.
        if !self.claimed.lock().insert(user_id) {
            return Ok(Claim::Held {
                for_at_most: self.lease_ttl(),
            });
        }
        let lease = Lease {
            user_id,
            owner: String::new(),
            fence: 0,
        };
        match self.row(user_id).await {
            Ok(row) => {
                let version = row.as_ref().map_or(0, |row| row.version);
                let row = row.filter(|row| self.counts(row));
                let authenticated = self.integrity.has_key();
                // A process that died took its claims along, and whoever starts the next one knows of it.
                let checkpoint = row.map(|row| Box::new(row.checkpoint));
                Ok(Claim::Granted {
                    lease,
                    version,
                    checkpoint,
                    authenticated,
                    deaths: 0,
                })
            }
            Err(error) => {
                self.release(&lease).await?;
                Err(error.into())
            }
        }
    }

    async fn save(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure> {
        let user_id = lease.user_id;
        let unwritable =
            |error: serde_json::Error| Failure::internal("cannot write a checkpoint", error);
        let code = Row::code(checkpoint, &self.integrity).map_err(unwritable)?;
        let row = Row {
            version: expected + 1,
            checkpoint: checkpoint.clone(),
            code,
        };
        let bytes = serde_json::to_vec(&row).map_err(unwritable)?;
        let saved = self
            .blocking(move |database| {
                let writing = database.begin_write()?;
                {
                    let mut table = writing.open_table(TABLE)?;
                    let key = user_id.to_string();
                    let version = table
                        .get(key.as_str())?
                        .and_then(|bytes| serde_json::from_slice::<Row>(bytes.value()).ok())
                        .map_or(0, |row| row.version);
                    if version != expected {
                        return Ok(Saved::Refused);
                    }
                    table.insert(key.as_str(), bytes.as_slice())?;
                }
                writing.commit()?;
                Ok(Saved::Version(expected + 1))
            })
            .await?;
        Ok(saved)
    }

    async fn renew(&self, _lease: &Lease) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        self.claimed.lock().remove(&lease.user_id);
        Ok(())
    }

    async fn brake(
        &self,
        user_id: UserId,
        brake: DeletionRateLimit,
    ) -> Result<DeletionAdmission, Failure> {
        let now = Timestamp::now();
        Ok(self
            .blocking(move |database| brake::count(database, user_id, brake, now))
            .await?)
    }

    async fn brake_reaches(&self, window: Duration) -> Result<bool, Failure> {
        Ok(self
            .blocking(move |database| brake::reaches(database, window))
            .await?)
    }

    async fn restore_brake(
        &self,
        window: Duration,
        deletions: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        let deletions = deletions.to_vec();
        Ok(self
            .blocking(move |database| brake::restore(database, window, &deletions))
            .await?)
    }

    async fn end_in_batch(
        &self,
        _batch: &BatchId,
        _checkpoint: &Checkpoint,
    ) -> Result<(), Failure> {
        // It keeps no batches, and its checkpoints do not expire.
        Ok(())
    }

    async fn note_holds(&self, user_id: UserId, acts: u32) -> Result<(), Failure> {
        let noting = self.blocking(move |database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(HOLDS)?;
                let key = user_id.to_string();
                table.insert(key.as_str(), acts)?;
            }
            Ok(writing.commit()?)
        });
        Ok(noting.await?)
    }

    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure> {
        let reading =
            self.blocking(
                move |database| match database.begin_read()?.open_table(HOLDS) {
                    Ok(table) => Ok(table
                        .get(user_id.to_string().as_str())?
                        .map_or(0, |noted| noted.value())),
                    Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
                    Err(error) => Err(error.into()),
                },
            );
        Ok(reading.await?)
    }

    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure> {
        let claimed = self.claimed.lock().contains(&user_id);
        Ok(claimed.then(|| self.lease_ttl()))
    }

    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure> {
        let row = self.row(user_id).await?.filter(|row| self.counts(row));
        Ok(row.map(|row| row.checkpoint))
    }

    async fn note_replay(&self, letter: &str, note: &ReplayNote) -> Result<(), Failure> {
        let note = serde_json::to_vec(note)
            .map_err(|error| Failure::internal("cannot write the note of a replay", error))?;
        let letter = letter.to_owned();
        let noting = self.blocking(move |database| {
            let writing = database.begin_write()?;
            writing
                .open_table(REPLAYS)?
                .insert(letter.as_str(), note.as_slice())?;
            Ok(writing.commit()?)
        });
        Ok(effect("the note", noting).await?)
    }

    async fn replay_note(&self, letter: &str) -> Result<Option<ReplayNote>, Failure> {
        let letter = letter.to_owned();
        let reading =
            self.blocking(
                move |database| match database.begin_read()?.open_table(REPLAYS) {
                    Ok(table) => Ok(table
                        .get(letter.as_str())?
                        .map(|note| note.value().to_vec())),
                    Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                    Err(error) => Err(error.into()),
                },
            );
        Ok(reading
            .await?
            .and_then(|note| serde_json::from_slice(&note).ok()))
    }

    async fn probe(&self) -> Result<(), Failure> {
        let probe = self.blocking(|database| Ok(database.begin_write()?.abort()?));
        Ok(probe.await?)
    }

    fn lease_ttl(&self) -> Duration {
        Duration::from_mins(1)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::job::Request;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[tokio::test]
    async fn what_was_saved_is_there_after_reopening_and_an_old_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let user_id: UserId = ID.parse().unwrap();
        let checkpoint = Checkpoint::new(user_id, Request::default(), Timestamp::UNIX_EPOCH);
        {
            let store = EmbeddedCheckpoints::open(directory.path()).unwrap();
            let Claim::Granted {
                lease,
                version: 0,
                checkpoint: None,
                ..
            } = store.claim(user_id).await.unwrap()
            else {
                panic!("a new user is granted")
            };
            assert!(matches!(
                store.claim(user_id).await.unwrap(),
                Claim::Held { .. }
            ));
            assert_eq!(
                store.save(&lease, 0, &checkpoint).await.unwrap(),
                Saved::Version(1)
            );
            assert_eq!(
                store.save(&lease, 0, &checkpoint).await.unwrap(),
                Saved::Refused
            );
        }
        let store = EmbeddedCheckpoints::open(directory.path()).unwrap();
        let Claim::Granted {
            version: 1,
            checkpoint: Some(read),
            ..
        } = store.claim(user_id).await.unwrap()
        else {
            panic!("the checkpoint is there")
        };
        assert_eq!(*read, checkpoint);
    }

    #[tokio::test]
    async fn a_note_of_a_replay_is_there_until_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedCheckpoints::open(directory.path()).unwrap();
        assert_eq!(store.replay_note("a").await.unwrap(), None);
        for published in [false, true] {
            let note = ReplayNote {
                published,
                saved_before: Some(Timestamp::UNIX_EPOCH),
            };
            store.note_replay("a", &note).await.unwrap();
            assert_eq!(store.replay_note("a").await.unwrap(), Some(note));
        }
        assert_eq!(store.replay_note("b").await.unwrap(), None);
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_one_of_an_older_release_becomes_so() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("offboarder-data");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = place.join(FILE_NAME);
        for wide in [0o600, 0o644] {
            drop(EmbeddedCheckpoints::open(&place).unwrap());
            assert_eq!((mode(&place), mode(&file)), (0o700, 0o600), "{wide:o}");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(wide)).unwrap();
        }
        drop(EmbeddedCheckpoints::open(&place).unwrap());
        assert_eq!(mode(&file), 0o600);
        let other = directory.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&file, other.join(FILE_NAME)).unwrap();
        assert!(matches!(
            EmbeddedCheckpoints::open(&other),
            Err(EmbeddedError::Failed { .. })
        ));
    }

    #[tokio::test]
    async fn a_second_process_is_told_who_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let _first = EmbeddedCheckpoints::open(directory.path()).unwrap();
        assert!(matches!(
            EmbeddedCheckpoints::open(directory.path()),
            Err(EmbeddedError::InUse { .. })
        ));
    }
}

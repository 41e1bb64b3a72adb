//! The database file: tables, and reads and writes of single rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::error::EmbeddedError;
use crate::adapters::private;

pub(super) const CHECKPOINTS: TableDefinition<'_, &str, &[u8]> =
    TableDefinition::new("checkpoints");
/// When each user who still has access was asked for, in ms since 1970.
pub(super) const ACCESS: TableDefinition<'_, &str, i64> = TableDefinition::new("access");
/// How many hold objects are stored, by user.
pub(super) const HOLDS: TableDefinition<'_, &str, u32> = TableDefinition::new("holds");
/// How far replays got, by dead letter.
pub(super) const REPLAYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("replays");
/// The progress of operations, by ID.
pub(super) const OPERATIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("operations");
/// What became of the items of operations.
pub(super) const OPERATION_RESULTS: TableDefinition<'_, &str, &[u8]> =
    TableDefinition::new("operation_results");
pub(super) const FILE_NAME: &str = "checkpoints.redb";

pub(super) struct DatabaseFile {
    database: Arc<Database>,
    path: PathBuf,
}

impl DatabaseFile {
    /// Opens `directory/checkpoints.redb`. Creates both where they are missing.
    pub(super) fn open(directory: &Path) -> Result<Self, EmbeddedError> {
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
        Ok(Self {
            database: Arc::new(database),
            path,
        })
    }

    pub(super) fn failed(&self, why: &dyn std::fmt::Display) -> EmbeddedError {
        EmbeddedError::Failed {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }

    /// Runs `work` on a thread where blocking is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, EmbeddedError> {
        let database = Arc::clone(&self.database);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(panicked) => Err(self.failed(&panicked)),
        }
    }

    /// The bytes of a row.
    pub(super) async fn bytes(
        &self,
        table: TableDefinition<'static, &'static str, &'static [u8]>,
        key: String,
    ) -> Result<Option<Vec<u8>>, EmbeddedError> {
        self.blocking(move |database| {
            let reading = database.begin_read()?;
            let table = match reading.open_table(table) {
                Ok(table) => table,
                // Nothing was written to it yet.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let row = table.get(key.as_str())?;
            Ok(row.map(|bytes| bytes.value().to_vec()))
        })
        .await
    }
}

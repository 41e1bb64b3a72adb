//! Fresh stores for the suites, and what another program could do to them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::servers;
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::adapters::redis::{RedisCheckpoints, RedisConnection};
use crate::adapters::s3::S3Store;
use crate::address::RedisUrl;
use crate::clock::Clock;
use crate::integrity::Integrity;
use crate::job::{Request, UserId};
use crate::machine::Checkpoint;
use crate::ports::{ArchiveStore, Checkpoints, Claim, Lease};
use crate::secret::Secret;

/// Long enough that no lease expires by itself.
pub(super) const LEASE: Duration = Duration::from_mins(1);

/// A store of checkpoints, and access to what is stored.
pub(super) struct CheckpointStore {
    pub(super) checkpoints: Arc<dyn Checkpoints>,
    raw: Raw,
}

enum Raw {
    Redis(Box<RedisUrl>),
    Embedded(Arc<EmbeddedCheckpoints>, Arc<TempDir>),
}

pub(super) fn redis() -> CheckpointStore {
    let url = servers::redis_url();
    CheckpointStore {
        checkpoints: Arc::new(redis_checkpoints(&url, LEASE, Integrity::default())),
        raw: Raw::Redis(Box::new(url)),
    }
}

pub(super) fn redis_checkpoints(
    url: &RedisUrl,
    lease: Duration,
    integrity: Integrity,
) -> RedisCheckpoints {
    let connection = Arc::new(RedisConnection::new(url));
    RedisCheckpoints::new(connection, lease, None, integrity)
}

pub(super) fn embedded() -> CheckpointStore {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let store = Arc::new(EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap());
    CheckpointStore {
        checkpoints: Arc::clone(&store) as Arc<dyn Checkpoints>,
        raw: Raw::Embedded(store, directory),
    }
}

impl CheckpointStore {
    /// The same store in a process that has this key.
    pub(super) fn with_key(self, key: &str) -> Self {
        self.reopened(Integrity::new(Some(&Secret::new(key))))
    }

    /// The same store in a process without a key.
    pub(super) fn without_key(self) -> Self {
        self.reopened(Integrity::default())
    }

    fn reopened(self, integrity: Integrity) -> Self {
        match self.raw {
            Raw::Redis(url) => Self {
                checkpoints: Arc::new(redis_checkpoints(&url, LEASE, integrity)),
                raw: Raw::Redis(url),
            },
            Raw::Embedded(store, directory) => {
                // A file is open in one process at a time.
                drop(self.checkpoints);
                drop(store);
                let store = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
                let store = Arc::new(store.with_integrity(integrity));
                Self {
                    checkpoints: Arc::clone(&store) as Arc<dyn Checkpoints>,
                    raw: Raw::Embedded(store, directory),
                }
            }
        }
    }

    /// Writes this text in the place of the user's checkpoint; version and code stay.
    pub(super) async fn replace_checkpoint(&self, user_id: UserId, text: &str) {
        match &self.raw {
            Raw::Redis(url) => {
                let mut command = redis::cmd("HSET");
                command.arg(checkpoint_key(user_id)).arg("body").arg(text);
                raw_redis::<i64>(url, &command).await;
            }
            Raw::Embedded(store, _) => store.replace_checkpoint(user_id, text).await.unwrap(),
        }
    }

    /// Stores the whole record of one user, with its code, as the record of another one.
    pub(super) async fn copy_record(&self, from: UserId, to: UserId) {
        match &self.raw {
            Raw::Redis(url) => {
                let mut command = redis::cmd("COPY");
                command.arg(checkpoint_key(from)).arg(checkpoint_key(to));
                assert_eq!(raw_redis::<i64>(url, &command).await, 1);
            }
            Raw::Embedded(store, _) => store.copy_record(from, to).await.unwrap(),
        }
    }

    /// Takes the lease of a user; the version, and the checkpoint if there is one.
    pub(super) async fn claimed(&self, user_id: UserId) -> Claimed {
        match self.checkpoints.claim(user_id).await.unwrap() {
            Claim::Granted {
                lease,
                version,
                checkpoint,
                authenticated,
                deaths,
                workers: _,
            } => Claimed {
                lease,
                version,
                checkpoint: checkpoint.map(|checkpoint| *checkpoint),
                authenticated,
                deaths,
            },
            Claim::Held { for_at_most, .. } => panic!("held for {for_at_most:?}"),
        }
    }
}

pub(super) struct Claimed {
    pub(super) lease: Lease,
    pub(super) version: u64,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) authenticated: bool,
    pub(super) deaths: u32,
}

pub(super) fn checkpoint_key(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:checkpoint")
}

/// Sends one command as another program would.
pub(super) async fn raw_redis<T: redis::FromRedisValue>(url: &RedisUrl, command: &redis::Cmd) -> T {
    let address = &url.servers[0];
    let url = format!("redis://{}:{}/{}", address.0, address.1, url.database);
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    command.query_async(&mut connection).await.unwrap()
}

pub(super) fn user() -> UserId {
    uuid::Uuid::new_v4().to_string().parse().unwrap()
}

/// A checkpoint of that user, saved at that second.
pub(super) fn checkpoint(user_id: UserId, second: i64) -> Checkpoint {
    let at = Timestamp::from_second(second).unwrap();
    Checkpoint::new(user_id, Request::default(), at)
}

/// A store of archives in an empty directory or under an empty prefix.
pub(super) struct Archives {
    pub(super) store: Arc<dyn ArchiveStore>,
    _directory: Option<TempDir>,
}

pub(super) fn directory() -> Archives {
    let directory = tempfile::tempdir().unwrap();
    Archives {
        store: Arc::new(DirectoryStore::open(directory.path()).unwrap()),
        _directory: Some(directory),
    }
}

pub(super) fn s3() -> Archives {
    Archives {
        store: Arc::new(s3_store()),
        _directory: None,
    }
}

/// A prefix of its own in the bucket of the private S3.
pub(super) fn s3_store() -> S3Store {
    let server = servers::s3();
    let client = s3_client(&server);
    let prefix = format!("{}/", uuid::Uuid::new_v4());
    S3Store::new(client, None, &server.bucket, &prefix, None, Clock::system())
}

pub(super) fn s3_client(server: &servers::S3Server) -> aws_sdk_s3::Client {
    use aws_sdk_s3::config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, retry::RetryConfig,
    };
    let keys = Credentials::new(&server.access_key, &server.secret_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(keys)
        .endpoint_url(&server.endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::standard())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

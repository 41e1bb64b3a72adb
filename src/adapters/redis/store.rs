use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{
    ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;

use super::error::RedisCheckpointsError;
use super::health::Health;
use super::keeping::NOBODY_KEPT;
use super::link::Link;
use super::scripts;
use crate::address::RedisUrl;
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::integrity::{Integrity, Purpose};
use crate::job::{BatchId, UserId};
use crate::limits::DeletionRateLimit;
use crate::machine::{Checkpoint, SCHEMA};
use crate::operations::batches::Summary;
use crate::ports::{
    Checkpoints, Claim, DeletionAdmission, Lease, QuotaClass, Quotas, ReplayNote, Reservation,
    Saved,
};

/// A Redis that is frozen takes connections and never answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const REPLAY_NOTE_SECONDS: u64 = 30 * 24 * 60 * 60;

pub(crate) struct RedisCheckpoints {
    url: RedisUrl,
    at: String,
    lease_ttl: Duration,
    /// How long a finished user's checkpoint is kept; `None` for ever.
    pub(super) retention: Option<Duration>,
    link: Mutex<Option<Link>>,
    claim: Script,
    save: Script,
    renew: Script,
    release: Script,
    pub(super) brake: Script,
    noted_holds: Script,
    reserve: Script,
    cool_down: Script,
    /// Tells workers apart that share a quota.
    worker: String,
    integrity: Integrity,
}

impl RedisCheckpoints {
    /// For the servers at `url`. Connects at the first use, and again whenever a connection fails.
    /// `lease_ttl` is how long a user stays claimed by a worker that died.
    pub(crate) fn new(url: &RedisUrl, lease_ttl: Duration) -> Self {
        Self {
            url: url.clone(),
            at: url.to_string(),
            lease_ttl,
            retention: None,
            link: Mutex::new(None),
            claim: Script::new(scripts::CLAIM),
            save: Script::new(scripts::SAVE),
            renew: Script::new(scripts::RENEW),
            release: Script::new(scripts::RELEASE),
            brake: Script::new(scripts::BRAKE),
            noted_holds: Script::new(scripts::NOTED_HOLDS),
            reserve: Script::new(scripts::RESERVE),
            cool_down: Script::new(scripts::COOL_DOWN),
            worker: uuid::Uuid::new_v4().to_string(),
            integrity: Integrity::default(),
        }
    }

    /// The same, with the codes of this key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    /// A checkpoint that nobody but our own workers can have written, where there is a key; `None` where there is none,
    /// or it does not count.
    fn open(
        &self,
        user_id: UserId,
        body: &[u8],
        code: &str,
    ) -> Result<Option<Box<Checkpoint>>, RedisCheckpointsError> {
        let (fence, code) = code.split_once(' ').unwrap_or_default();
        let name = checkpoint_name(user_id, fence);
        if !body.is_empty()
            && !self
                .integrity
                .admits(Purpose::Checkpoint, &name, body, Some(code))
        {
            tracing::warn!(%user_id, "the checkpoint has no valid integrity code and counts as absent");
            return Ok(None);
        }
        parse(user_id, body)
    }

    /// How it keeps what it is given.
    pub(crate) async fn health(&self) -> Result<Health, Failure> {
        let failed = |error: RedisError| RedisCheckpointsError::of(&error, &self.at);
        let mut link = self.link().await.map_err(failed)?;
        let info: Value = link.query(&redis::cmd("INFO")).await.map_err(failed)?;
        Ok(Health::of(&info))
    }

    fn ttl_ms(&self) -> u64 {
        millis(self.lease_ttl)
    }

    async fn link(&self) -> Result<Link, RedisError> {
        let mut link = self.link.lock().await;
        match &*link {
            Some(link) => Ok(link.clone()),
            None => Ok(link.insert(Link::connect(&self.url).await?).clone()),
        }
    }

    /// Runs a script, in [`ANSWER_WITHIN`], however many wait for a connection.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        self.in_time(Question::Script(script)).await
    }

    /// Sends a command that may be sent twice.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Failure> {
        self.in_time(Question::Command(command)).await
    }

    /// Sends commands that may be sent twice, in one round trip for each server.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &[redis::Cmd],
    ) -> Result<Vec<T>, Failure> {
        self.in_time(Question::Commands(commands)).await
    }

    async fn in_time<T: FromRedisValue>(&self, question: Question<'_>) -> Result<T, Failure> {
        tokio::time::timeout(ANSWER_WITHIN, self.patiently(question))
            .await
            .unwrap_or_else(|_elapsed| {
                let why = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
                Err(RedisCheckpointsError::Unreachable {
                    at: self.at.clone(),
                    why,
                }
                .into())
            })
    }

    /// All of them may be sent twice, so a lost answer is asked for again, once, over a new connection.
    async fn patiently<T: FromRedisValue>(&self, question: Question<'_>) -> Result<T, Failure> {
        let mut error = None;
        for _ in 0..2 {
            let result = match self.link().await {
                Ok(mut link) => match question {
                    Question::Script(script) => link.run(script).await,
                    Question::Command(command) => link.query(command).await,
                    Question::Commands(commands) => link.query_all(commands).await,
                },
                Err(error) => Err(error),
            };
            match result {
                Ok(value) => return Ok(value),
                Err(failed) if connection_is_bad(&failed) => {
                    *self.link.lock().await = None;
                    error = Some(failed);
                }
                Err(failed) => return Err(RedisCheckpointsError::of(&failed, &self.at).into()),
            }
        }
        let error = error.unwrap_or_else(|| RedisError::from((ErrorKind::Io, "no answer")));
        Err(RedisCheckpointsError::of(&error, &self.at).into())
    }
}

/// What can be sent to Redis, and twice.
#[derive(Clone, Copy)]
enum Question<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a redis::Cmd),
    Commands(&'a [redis::Cmd]),
}

/// A connection that timed out may still deliver the old answer to a new question; one to a server
/// that was demoted never gets better.
fn connection_is_bad(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// What the code of a checkpoint is made for: whose it is, and by which claim it was saved.
fn checkpoint_name(user_id: UserId, fence: &str) -> String {
    format!("{user_id}:{fence}")
}

pub(super) fn checkpoint_key(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:checkpoint")
}

fn replay_key(letter: &str) -> String {
    format!("offboarder:replay:{letter}")
}

fn holds_key(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:holds")
}

fn lease_key(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:lease")
}

/// A damaged checkpoint, or one of another user, counts as absent: what was done is read back from CXone
/// and the store. A newer one is refused, since it may mean what we cannot know.
pub(crate) fn parse(
    user_id: UserId,
    body: &[u8],
) -> Result<Option<Box<Checkpoint>>, RedisCheckpointsError> {
    if body.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice::<Checkpoint>(body) {
        Ok(checkpoint) if checkpoint.schema == SCHEMA && checkpoint.user_id == user_id => {
            Ok(Some(Box::new(checkpoint)))
        }
        _ => {
            let schema = serde_json::from_slice::<serde_json::Value>(body)
                .ok()
                .and_then(|value| value.get("schema").and_then(serde_json::Value::as_u64));
            match schema {
                Some(schema) if schema > u64::from(SCHEMA) => Err(RedisCheckpointsError::Newer {
                    user_id: user_id.to_string(),
                    schema,
                }),
                Some(_) | None => {
                    tracing::warn!(%user_id, "the checkpoint is damaged and counts as absent");
                    Ok(None)
                }
            }
        }
    }
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::internal("cannot write a checkpoint", error)
}

fn summary_of(checkpoint: &Checkpoint) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(&Summary::from(checkpoint)).map_err(|error| unwritable(&error))
}

fn quota_key(class: QuotaClass) -> String {
    format!("offboarder:{{quota}}:{}", class.as_str())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Quotas for RedisCheckpoints {
    async fn reserve(
        &self,
        class: QuotaClass,
        interval: Duration,
        count: u32,
    ) -> Result<Reservation, Failure> {
        let mut script = self.reserve.prepare_invoke();
        script
            .key(quota_key(class))
            .key("offboarder:{quota}:workers");
        script.arg(micros(interval)).arg(count).arg(&self.worker);
        let (starts_in, workers) = self.run::<(u64, u32)>(&script).await?;
        Ok(Reservation {
            starts_in: Duration::from_micros(starts_in),
            workers,
        })
    }

    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure> {
        let mut script = self.cool_down.prepare_invoke();
        script.key(quota_key(class)).arg(micros(pause));
        self.run::<u64>(&script).await.map(|_done| ())
    }
}

#[async_trait]
impl Checkpoints for RedisCheckpoints {
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure> {
        let owner = uuid::Uuid::new_v4().to_string();
        let mut script = self.claim.prepare_invoke();
        script
            .key(checkpoint_key(user_id))
            .key(lease_key(user_id))
            .arg(&owner)
            .arg(self.ttl_ms());
        script.arg(millis(NOBODY_KEPT));
        let answer: Vec<Value> = effect("the claim", self.run(&script)).await?;
        let number = |index: usize| match answer.get(index) {
            Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
            _ => 0,
        };
        if number(0) == 0 {
            return Ok(Claim::Held {
                for_at_most: Duration::from_millis(number(1).max(1)),
            });
        }
        let bytes = |index: usize| match answer.get(index) {
            Some(Value::BulkString(bytes)) => bytes.as_slice(),
            _ => &[],
        };
        let code = std::str::from_utf8(bytes(5)).unwrap_or_default();
        let lease = Lease {
            user_id,
            owner,
            fence: number(1),
        };
        let deaths = u32::try_from(number(4).saturating_sub(1)).unwrap_or(u32::MAX);
        match self.open(user_id, bytes(3), code) {
            Ok(checkpoint) => {
                let authenticated = self.integrity.has_key();
                Ok(Claim::Granted {
                    lease,
                    version: number(2),
                    checkpoint,
                    authenticated,
                    deaths,
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
        let kept = self.kept_for(checkpoint);
        let body = serde_json::to_vec(&checkpoint.stored()).map_err(|error| unwritable(&error))?;
        let summary = summary_of(checkpoint)?;
        let fence = lease.fence.to_string();
        let code = self.integrity.code(
            Purpose::Checkpoint,
            &checkpoint_name(lease.user_id, &fence),
            &body,
        );
        let code = code
            .map(|code| format!("{fence} {code}"))
            .unwrap_or_default();
        let mut script = self.save.prepare_invoke();
        script
            .key(checkpoint_key(lease.user_id))
            .key(lease_key(lease.user_id));
        script
            .arg(&lease.owner)
            .arg(self.ttl_ms())
            .arg(lease.fence)
            .arg(expected)
            .arg(body)
            .arg(&summary);
        script.arg(kept.map_or(0, millis)).arg(code);
        let saving = effect("the save", self.run::<u64>(&script));
        let version = match &checkpoint.request.batch_id {
            // Before the save, so that no checkpoint expires of which the batch knows nothing.
            Some(batch) if kept.is_some() => {
                self.note_end(batch, checkpoint, &summary).await?;
                saving.await?
            }
            // Who was not sent by `submit` gets into its batch by its first save, of the first off-boarding or
            // a later one. Sent before the save and with it, so that no user is saved and not in its batch.
            Some(batch) if expected == 0 || checkpoint.revision > 1 => {
                let users = [lease.user_id];
                let adding = self.add_to_batch(batch, &users, checkpoint.updated_at);
                let (added, saved) = futures_util::join!(adding, saving);
                added?;
                saved?
            }
            Some(_) | None => saving.await?,
        };
        match version {
            0 => Ok(Saved::Refused),
            version => Ok(Saved::Version(version)),
        }
    }

    async fn renew(&self, lease: &Lease) -> Result<bool, Failure> {
        let mut script = self.renew.prepare_invoke();
        script
            .key(checkpoint_key(lease.user_id))
            .key(lease_key(lease.user_id));
        script.arg(&lease.owner).arg(self.ttl_ms());
        Ok(self.run::<u64>(&script).await? == 1)
    }

    async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let mut script = self.release.prepare_invoke();
        script
            .key(checkpoint_key(lease.user_id))
            .key(lease_key(lease.user_id))
            .arg(&lease.owner);
        self.run::<u64>(&script).await.map(|_was_ours| ())
    }

    async fn brake(
        &self,
        user_id: UserId,
        brake: DeletionRateLimit,
    ) -> Result<DeletionAdmission, Failure> {
        self.count_deletion(user_id, brake).await
    }

    async fn brake_reaches(&self, window: Duration) -> Result<bool, Failure> {
        self.deletions_reach(window).await
    }

    async fn restore_brake(
        &self,
        window: Duration,
        deletions: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        self.restore_deletions(window, deletions).await
    }

    async fn end_in_batch(&self, batch: &BatchId, checkpoint: &Checkpoint) -> Result<(), Failure> {
        match self.kept_for(checkpoint) {
            Some(_) => {
                self.note_end(batch, checkpoint, &summary_of(checkpoint)?)
                    .await
            }
            None => Ok(()),
        }
    }

    async fn note_holds(&self, user_id: UserId, acts: u32) -> Result<(), Failure> {
        let mut command = redis::cmd("SET");
        command.arg(holds_key(user_id)).arg(acts);
        self.ask::<()>(&command).await
    }

    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure> {
        let mut script = self.noted_holds.prepare_invoke();
        script.key(holds_key(user_id));
        // What is no number was not written by us; one act more than can be stored holds.
        let noted: Vec<u8> = self.run(&script).await?;
        Ok(std::str::from_utf8(&noted)
            .ok()
            .and_then(|noted| noted.parse().ok())
            .unwrap_or(u32::MAX))
    }

    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure> {
        let mut command = redis::cmd("PTTL");
        command.arg(lease_key(user_id));
        // Negative where there is no such key.
        Ok(u64::try_from(self.ask::<i64>(&command).await?)
            .ok()
            .map(Duration::from_millis))
    }

    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure> {
        let mut command = redis::cmd("HMGET");
        command.arg(checkpoint_key(user_id)).arg(&["body", "code"]);
        let failed = |error: RedisError| RedisCheckpointsError::of(&error, &self.at);
        let mut link = self.link().await.map_err(failed)?;
        let (body, code): (Option<Vec<u8>>, Option<Vec<u8>>) =
            link.query(&command).await.map_err(failed)?;
        let code = String::from_utf8_lossy(code.as_deref().unwrap_or_default());
        Ok(self
            .open(user_id, &body.unwrap_or_default(), &code)?
            .map(|checkpoint| *checkpoint))
    }

    async fn note_replay(&self, letter: &str, note: &ReplayNote) -> Result<(), Failure> {
        let note = serde_json::to_string(note)
            .map_err(|error| Failure::internal("cannot write the note of a replay", error))?;
        let mut command = redis::cmd("SET");
        command
            .arg(replay_key(letter))
            .arg(note)
            .arg("EX")
            .arg(REPLAY_NOTE_SECONDS);
        effect("the note", self.ask::<()>(&command)).await
    }

    async fn replay_note(&self, letter: &str) -> Result<Option<ReplayNote>, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(replay_key(letter));
        let note: Option<Vec<u8>> = self.ask(&command).await?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    async fn probe(&self) -> Result<(), Failure> {
        // A write, since a server may answer reads alone; it expires by itself.
        let failed = |error: RedisError| RedisCheckpointsError::of(&error, &self.at);
        let mut link = self.link().await.map_err(failed)?;
        let mut command = redis::cmd("SET");
        command.arg("offboarder:probe").arg("1").arg("PX").arg(1000);
        let result: Result<(), RedisError> = link.query(&command).await;
        if result.is_err() {
            *self.link.lock().await = None;
        }
        result.map_err(failed).map_err(Failure::from)
    }

    fn lease_ttl(&self) -> Duration {
        self.lease_ttl
    }
}

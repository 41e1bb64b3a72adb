//! Checkpoints and leases of users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Script;

use super::batches::{Ended, RedisBatches};
use super::connection::{RedisConnection, millis};
use super::counts::Counts;
use super::finished_batches::BATCH_KEPT;
use super::leases::{Claimed, Leases};
use super::noted_holds::{NotedHolds, count_of};
use super::{keys, replay_notes, scripts};
use crate::adapters::stored_checkpoint;
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::integrity::{Integrity, Purpose};
use crate::job::{BatchId, UserId};
use crate::limits::RateLimit;
use crate::machine::Checkpoint;
use crate::ports::batches::{Batches as _, FinishedBatch, Summary};
use crate::ports::{Admission, Checkpoints, Claim, CountOf, GroupReplay, Lease, ReplayNote, Saved};

/// How long the checkpoint of a user is kept whom CXone does not know, and the claims of a user of
/// whom nothing was saved: as long as an operator may still work on the dead letter.
const UNKNOWN_USER_KEPT: Duration = Duration::from_hours(24);

pub(crate) struct RedisCheckpoints {
    connection: Arc<RedisConnection>,
    batches: RedisBatches,
    counts: Counts,
    leases: Leases,
    /// How long a finished user's checkpoint is kept; `None` without a limit.
    retention: Option<Duration>,
    integrity: Integrity,
    save: Script,
    probe: Script,
    noted_holds: NotedHolds,
}

impl RedisCheckpoints {
    /// `lease_ttl` is how long a user stays claimed by a worker that died; `retention` how long the
    /// checkpoints of finished users are kept (`None`: without a limit).
    pub(crate) fn new(
        connection: Arc<RedisConnection>,
        lease_ttl: Duration,
        retention: Option<Duration>,
        integrity: Integrity,
    ) -> Self {
        Self {
            batches: RedisBatches::new(Arc::clone(&connection)),
            leases: Leases::new(&connection, lease_ttl),
            connection,
            counts: Counts::new(),
            retention,
            integrity,
            save: Script::new(scripts::SAVE),
            probe: Script::new(scripts::PROBE),
            noted_holds: NotedHolds::new(),
        }
    }

    /// Claims are those of this worker, whom manifests name.
    pub(crate) fn of_worker(mut self, name: &str) -> Self {
        self.leases = self.leases.of_worker(name);
        self
    }

    /// How long this checkpoint is kept; `None` without a limit.
    fn kept_for(&self, checkpoint: &Checkpoint) -> Option<Duration> {
        if checkpoint.is_unknown_user() {
            Some(UNKNOWN_USER_KEPT)
        } else {
            self.retention.filter(|_| checkpoint.has_ended())
        }
    }

    /// Keeps in the batch what it needs to know once the checkpoint has expired. The batch is kept
    /// as long as a finished user, from when its last user ended.
    async fn note_end(
        &self,
        batch: &BatchId,
        checkpoint: &Checkpoint,
        summary: &[u8],
    ) -> Result<(), Failure> {
        let ended = Ended {
            user_id: checkpoint.user_id,
            at: checkpoint.updated_at,
            summary,
            kept: self.retention.unwrap_or(BATCH_KEPT),
        };
        self.batches.end_user(batch, &ended).await
    }

    fn open(
        &self,
        user_id: UserId,
        body: &[u8],
        code: &[u8],
    ) -> Result<Option<Box<Checkpoint>>, Failure> {
        let code = std::str::from_utf8(code).unwrap_or_default();
        let parts = code.split_once(' ').unwrap_or_default();
        let name = name_for_code(user_id, parts.0);
        Ok(stored_checkpoint::open(
            &self.integrity,
            &name,
            user_id,
            body,
            Some(parts.1),
        )?)
    }

    /// The code of a checkpoint, as it is stored beside it; empty without a key.
    fn code(&self, lease: &Lease, body: &[u8]) -> String {
        let name = name_for_code(lease.user_id, &lease.fence.to_string());
        match self.integrity.code(Purpose::Checkpoint, &name, body) {
            Some(code) => format!("{} {code}", lease.fence),
            None => String::new(),
        }
    }

    /// `releases`: the lease is given up.
    async fn save_as(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
        releases: bool,
    ) -> Result<(Saved, u32), Failure> {
        let summary = stored_checkpoint::to_bytes(&Summary::from(checkpoint))?;
        let expires = self.kept_for(checkpoint).is_some();
        let storing = self.store(lease, expected, checkpoint, &summary, releases);

        let (version, noted) = match &checkpoint.request.batch_id {
            // The batch first, so that no checkpoint expires of which the batch knows nothing.
            Some(batch) if expires => {
                self.note_end(batch, checkpoint, &summary).await?;
                storing.await?
            }
            // A user who was not sent by `submit` is added to its batch by the first save of each
            // off-boarding. Both are sent at once, so that no user is saved and not in its batch.
            Some(batch) if expected == 0 || checkpoint.revision > 1 => {
                let users = [lease.user_id];
                let adding = self.batches.add_users(batch, &users, checkpoint.updated_at);
                let done = futures_util::join!(adding, storing);
                done.0?;
                done.1?
            }
            Some(_) | None => storing.await?,
        };
        let saved = match version {
            0 => Saved::Refused,
            version => Saved::Version(version),
        };
        Ok((saved, count_of(&noted)))
    }

    /// Stores the checkpoint and nothing else; the new version, or 0, and what the noted count of holds is.
    async fn store(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
        summary: &[u8],
        releases: bool,
    ) -> Result<(u64, Vec<u8>), Failure> {
        let body = stored_checkpoint::to_bytes(&checkpoint.stored())?;
        let code = self.code(lease, &body);
        let kept = self.kept_for(checkpoint);

        let mut script = self.save.prepare_invoke();
        script
            .key(keys::checkpoint(lease.user_id))
            .key(keys::lease(lease.user_id))
            .key(self.connection.access_key(lease.user_id).await?)
            .key(keys::holds(lease.user_id))
            .arg(&lease.owner)
            .arg(millis(self.leases.ttl()))
            .arg(lease.fence)
            .arg(expected)
            .arg(body)
            .arg(summary)
            .arg(kept.map_or(0, millis))
            .arg(code)
            .arg(
                Summary::from(checkpoint)
                    .access_since()
                    .map_or_else(String::new, |since| since.as_millisecond().to_string()),
            )
            .arg(lease.user_id.to_string())
            .arg(u8::from(releases));
        effect("the save", self.connection.run(&script)).await
    }
}

#[async_trait]
impl Checkpoints for RedisCheckpoints {
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure> {
        let (lease, answer) = match self.leases.claim(user_id, UNKNOWN_USER_KEPT).await? {
            Claimed::Held {
                for_at_most,
                look_again,
            } => {
                return Ok(Claim::Held {
                    for_at_most,
                    look_again,
                });
            }
            Claimed::Granted(lease, answer) => (lease, answer),
        };
        match self.open(user_id, answer.bytes(3), answer.bytes(5)) {
            Ok(checkpoint) => Ok(Claim::Granted {
                lease,
                version: answer.number(2),
                checkpoint,
                authenticated: self.integrity.has_key(),
                deaths: answer.deaths(),
                workers: answer.workers(),
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
        Ok(self.save_intent(lease, expected, checkpoint).await?.0)
    }

    async fn save_intent(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(Saved, u32), Failure> {
        Box::pin(self.save_as(lease, expected, checkpoint, false)).await
    }

    async fn save_and_release(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure> {
        let saving = Box::pin(self.save_as(lease, expected, checkpoint, true));
        Ok(saving.await?.0)
    }

    async fn renew(&self, lease: &Lease) -> Result<bool, Failure> {
        self.leases.renew(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        self.leases.release(lease).await
    }

    fn release_later(&self, lease: &Lease) {
        self.leases.release_later(lease);
    }

    async fn unsure(&self, lease: &Lease) -> Option<Failure> {
        self.leases.unsure(lease).await
    }

    async fn close(&self) {
        self.leases.close().await;
    }

    async fn admit(
        &self,
        of: CountOf,
        user_id: UserId,
        limit: RateLimit,
    ) -> Result<Admission, Failure> {
        let connection = &self.connection;
        self.counts.admit(connection, of, user_id, limit).await
    }

    async fn count_reaches(&self, of: CountOf, window: Duration) -> Result<bool, Failure> {
        self.counts.reaches(&self.connection, of, window).await
    }

    async fn restore_count(
        &self,
        of: CountOf,
        window: Duration,
        seen: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        let connection = &self.connection;
        self.counts.restore(connection, of, window, seen).await
    }

    async fn end_in_batch(&self, batch: &BatchId, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if self.kept_for(checkpoint).is_none() {
            return Ok(());
        }
        let summary = stored_checkpoint::to_bytes(&Summary::from(checkpoint))?;
        self.note_end(batch, checkpoint, &summary).await
    }

    async fn settle_in_batch(
        &self,
        batch: &BatchId,
        user_id: UserId,
        at: Timestamp,
    ) -> Result<Option<FinishedBatch>, Failure> {
        match self.batches.settle(batch, user_id, at).await? {
            0 => Ok(None),
            change => self.batches.finished(batch, change).await,
        }
    }

    async fn note_batch_announced(&self, batch: &FinishedBatch) -> Result<(), Failure> {
        let kept = self.retention.unwrap_or(BATCH_KEPT);
        self.batches.note_announced(batch, kept).await
    }

    async fn note_holds(&self, user_id: UserId, count: u32) -> Result<(), Failure> {
        self.noted_holds
            .write(&self.connection, user_id, count)
            .await
    }

    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure> {
        self.noted_holds.read(&self.connection, user_id).await
    }

    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure> {
        let mut command = redis::cmd("PTTL");
        command.arg(keys::lease(user_id));

        // Redis answers a negative number where there is no such key.
        let left_ms = u64::try_from(self.connection.ask::<i64>(&command).await?);
        Ok(left_ms.ok().map(Duration::from_millis))
    }

    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(keys::checkpoint(user_id))
            .arg(&["body", "code"]);
        let stored: (Option<Vec<u8>>, Option<Vec<u8>>) = self.connection.ask(&command).await?;

        let body = stored.0.unwrap_or_default();
        let code = stored.1.unwrap_or_default();
        let checkpoint = self.open(user_id, &body, &code)?;
        Ok(checkpoint.map(|checkpoint| *checkpoint))
    }

    async fn note_replay(&self, dead_letter: &str, note: &ReplayNote) -> Result<(), Failure> {
        effect(
            "the note",
            replay_notes::write(&self.connection, &keys::replay(dead_letter), note),
        )
        .await
    }

    async fn replay_note(&self, dead_letter: &str) -> Result<Option<ReplayNote>, Failure> {
        replay_notes::read(&self.connection, &keys::replay(dead_letter)).await
    }

    async fn note_group_replay(
        &self,
        fingerprint: &str,
        replay: &GroupReplay,
    ) -> Result<(), Failure> {
        let key = keys::group_replay(fingerprint);
        let noting = replay_notes::write(&self.connection, &key, replay);
        effect("the note of the group", noting).await
    }

    async fn group_replay(&self, fingerprint: &str) -> Result<Option<GroupReplay>, Failure> {
        replay_notes::read(&self.connection, &keys::group_replay(fingerprint)).await
    }

    async fn probe(&self) -> Result<(), Failure> {
        // A script, since all writes are scripts, and a write, since a replica answers only reads. It expires by itself.
        let mut script = self.probe.prepare_invoke();
        script.key(keys::PROBE);
        self.connection.run(&script).await
    }

    fn lease_ttl(&self) -> Duration {
        self.leases.ttl()
    }
}

/// What the code of a checkpoint is made for: the user, and the claim that saved it. One that is copied has no valid code.
fn name_for_code(user_id: UserId, fence: &str) -> String {
    format!("{user_id}:{fence}")
}

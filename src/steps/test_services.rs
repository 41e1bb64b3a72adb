//! Services for tests of runs and operations without servers: checkpoints in memory, archives in a directory, and a
//! tenant that answers every call alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::{ApprovalGuard, Services};
use crate::adapters::directory::DirectoryStore;
use crate::archive::ArchiveMemory;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::guards::Guards;
use crate::job::{BatchId, UserId};
use crate::limits::{DeletePolicy, RateLimit};
use crate::machine::{Call, Checkpoint, Residual, RetryPolicy};
use crate::manifest::{Actor, Possession};
use crate::ports::batches::FinishedBatch;
use crate::ports::{
    Account, AccountRead, Admission, Answered, Checkpoints, Claim, ConversationFacts,
    ConversationSink, CountOf, Deactivation, GivenBack, GroupReplay, Lease, Observation,
    PageRequest, ReadFacts, ReadyDeletion, RefusedRead, ReplayNote, RoutingWrites, Saved,
    StepCalls, Tenant, TenantRead,
};
use crate::profile::TenantProfile;
use crate::progress::Progress;
use crate::registers::{ProtectedSource, SharedRead, StopRegister};

pub(crate) const LEASE: Duration = Duration::from_mins(1);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What every call to the tenant does.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Fail(Failure),
    /// The answer takes this long, and is a failure.
    FailAfter(Duration, Failure),
    Panic,
    /// Probes are answered so after this long. Nothing else is called.
    Probes(Duration, Result<(), Failure>),
}

pub(crate) struct TestTenant(pub(crate) Answer);

impl TestTenant {
    async fn answer(&self) -> Failure {
        match &self.0 {
            Answer::Fail(failure) => failure.clone(),
            Answer::FailAfter(duration, failure) => {
                tokio::time::sleep(*duration).await;
                failure.clone()
            }
            Answer::Panic | Answer::Probes(..) => panic!("on purpose"),
        }
    }
}

#[async_trait]
impl Tenant for TestTenant {
    fn profile(&self) -> TenantProfile {
        TenantProfile::Tutorial
    }

    fn access_waits(&self) -> bool {
        false
    }

    async fn user_exists(&self, _: UserId) -> Result<Answered<bool>, Failure> {
        Err(self.answer().await)
    }

    async fn find_user(&self, _: UserId) -> Result<Answered<bool>, Failure> {
        Err(self.answer().await)
    }

    async fn confirm_missing(&self, _: UserId) -> Result<Call, Failure> {
        Err(self.answer().await)
    }

    async fn peek_account(&self, _: UserId) -> Result<Option<Account>, Failure> {
        Err(self.answer().await)
    }

    async fn account(&self, _: UserId) -> Result<AccountRead, Failure> {
        Err(self.answer().await)
    }

    async fn deactivate(&self, _: UserId, _: &mut Vec<Call>) -> Result<Deactivation, Failure> {
        Err(self.answer().await)
    }

    async fn end_access(
        &self,
        _: UserId,
        _: Option<u64>,
        _: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        Err(self.answer().await)
    }

    async fn clear_routing(&self, _: UserId, _: &mut Vec<Call>) -> Result<RoutingWrites, Failure> {
        Err(self.answer().await)
    }

    async fn left_over(
        &self,
        _: UserId,
        _: &[String],
        _: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        Err(self.answer().await)
    }

    async fn possessions(&self, _: UserId) -> Result<Option<Vec<Possession>>, Failure> {
        Err(self.answer().await)
    }

    async fn give_back(
        &self,
        _: UserId,
        _: &Possession,
        _: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        Err(self.answer().await)
    }

    fn facts_of(&self, _: &[u8]) -> ConversationFacts {
        ConversationFacts::default()
    }

    async fn own_account(&self) -> Result<Option<UserId>, Failure> {
        Ok(None)
    }

    fn step_calls(&self, _: &[Residual]) -> StepCalls {
        StepCalls::default()
    }

    async fn stream_page(
        &self,
        _: UserId,
        _: PageRequest<'_>,
        _: &mut dyn ConversationSink,
    ) -> Result<Option<String>, Failure> {
        Err(self.answer().await)
    }

    async fn ready_deletion(&self, _: UserId) -> Result<Box<dyn ReadyDeletion>, Failure> {
        Err(self.answer().await)
    }

    async fn probe(&self, _: TenantRead) -> Result<(), Failure> {
        let Answer::Probes(duration, answer) = &self.0 else {
            return Ok(());
        };
        tokio::time::sleep(*duration).await;
        answer.clone()
    }

    async fn examine(&self, _: TenantRead) -> Result<ReadFacts, RefusedRead> {
        unimplemented!("only `doctor` examines")
    }

    async fn survey(&self, _: Option<UserId>) -> Vec<Observation> {
        Vec::new()
    }

    async fn repeat_writes(&self, _: UserId, _: &[Call]) -> Vec<Observation> {
        Vec::new()
    }

    async fn scopes(&self) -> Result<Option<String>, Failure> {
        Err(self.answer().await)
    }
}

/// One user's checkpoint. Whether the lease is granted and renewed is the test's to say.
#[derive(Default)]
pub(crate) struct TestCheckpoints {
    pub(crate) saved: Mutex<Option<(u64, Checkpoint)>>,
    pub(crate) released: Mutex<u32>,
    pub(crate) held_by_another: bool,
    pub(crate) loses_lease: bool,
    /// After this time it is unsure of its lease, for this cause.
    pub(crate) unsure: Option<(Duration, Option<Failure>)>,
    pub(crate) released_later: Mutex<u32>,
    pub(crate) deaths: u32,
    pub(crate) saving_panics: bool,
    /// Users who ended in a batch, in order.
    pub(crate) settled: Mutex<Vec<UserId>>,
    pub(crate) settling_fails: Option<Failure>,
    pub(crate) reading_fails: Option<Failure>,
    pub(crate) finished_batch: Mutex<Option<FinishedBatch>>,
    /// How often a count was restored that is lost at first; `None`: it is not lost.
    pub(crate) restored: Option<AtomicU32>,
}

#[async_trait]
impl Checkpoints for TestCheckpoints {
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure> {
        if self.held_by_another {
            return Ok(Claim::Held {
                for_at_most: LEASE,
                look_again: Some(LOOK_AGAIN),
            });
        }
        let saved = self.saved.lock().clone();
        Ok(Claim::Granted {
            lease: Lease {
                user_id,
                owner: "test".to_owned(),
                fence: 1,
            },
            version: saved.as_ref().map_or(0, |(version, _)| *version),
            checkpoint: saved.map(|(_, checkpoint)| Box::new(checkpoint)),
            authenticated: true,
            deaths: self.deaths,
            workers: Vec::new(),
        })
    }

    async fn save(&self, _: &Lease, expected: u64, new: &Checkpoint) -> Result<Saved, Failure> {
        assert!(!self.saving_panics, "on purpose");
        let version = expected + 1;
        *self.saved.lock() = Some((version, new.clone()));
        Ok(Saved::Version(version))
    }

    async fn renew(&self, _: &Lease) -> Result<bool, Failure> {
        Ok(!self.loses_lease)
    }

    async fn release(&self, _: &Lease) -> Result<(), Failure> {
        *self.released.lock() += 1;
        Ok(())
    }

    fn release_later(&self, _: &Lease) {
        *self.released_later.lock() += 1;
    }

    async fn unsure(&self, _: &Lease) -> Option<Failure> {
        match &self.unsure {
            None => std::future::pending().await,
            Some((after, cause)) => {
                tokio::time::sleep(*after).await;
                cause.clone()
            }
        }
    }

    async fn admit(&self, _: CountOf, _: UserId, _: RateLimit) -> Result<Admission, Failure> {
        // Others come in between, as at a server.
        tokio::task::yield_now().await;
        let restored = self.restored.as_ref();
        let is_lost = restored.is_some_and(|times| times.load(Ordering::Relaxed) == 0);
        Ok(if is_lost {
            Admission::Unknown
        } else {
            Admission::Counted
        })
    }

    async fn count_reaches(&self, _: CountOf, _: Duration) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn restore_count(
        &self,
        _: CountOf,
        _: Duration,
        _: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        if let Some(times) = &self.restored {
            times.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn end_in_batch(&self, _: &BatchId, _: &Checkpoint) -> Result<(), Failure> {
        Ok(())
    }

    /// Answers with the batch that the test put here, until it is announced.
    async fn settle_in_batch(
        &self,
        _: &BatchId,
        user_id: UserId,
        _: Timestamp,
    ) -> Result<Option<FinishedBatch>, Failure> {
        self.settled.lock().push(user_id);
        match &self.settling_fails {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.finished_batch.lock().clone()),
        }
    }

    async fn note_batch_announced(&self, batch: &FinishedBatch) -> Result<(), Failure> {
        let was = self.finished_batch.lock().take();
        assert_eq!(was.as_ref(), Some(batch));
        Ok(())
    }

    async fn note_holds(&self, _: UserId, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    async fn noted_holds(&self, _: UserId) -> Result<u32, Failure> {
        Ok(0)
    }

    async fn lease_left(&self, _: UserId) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }

    async fn read(&self, _: UserId) -> Result<Option<Checkpoint>, Failure> {
        if let Some(failure) = &self.reading_fails {
            return Err(failure.clone());
        }
        Ok(self.saved.lock().clone().map(|(_, checkpoint)| checkpoint))
    }

    async fn note_replay(&self, _: &str, _: &ReplayNote) -> Result<(), Failure> {
        Ok(())
    }

    async fn replay_note(&self, _: &str) -> Result<Option<ReplayNote>, Failure> {
        Ok(None)
    }

    async fn note_group_replay(&self, _: &str, _: &GroupReplay) -> Result<(), Failure> {
        Ok(())
    }

    async fn group_replay(&self, _: &str) -> Result<Option<GroupReplay>, Failure> {
        Ok(None)
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn lease_ttl(&self) -> Duration {
        LEASE
    }
}

/// Services over a directory; their clock follows tokio's.
pub(crate) fn services(
    directory: &std::path::Path,
    checkpoints: Arc<dyn Checkpoints>,
    answer: Answer,
) -> Services {
    Services {
        clock: Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap()),
        progress: Progress::default(),
        tenant: Arc::new(TestTenant(answer)),
        archive_store: Arc::new(DirectoryStore::open(directory).unwrap()),
        checkpoints,
        guards: Guards {
            delete_grace: Duration::ZERO,
            deletion_rate_limit: None,
        },
        requests: None,
        protected: ProtectedSource::nobody(),
        approval: Arc::new(ApprovalGuard::off()),
        orders: crate::registers::Orders::default(),
        stop_orders: Arc::new(StopRegister::default()),
        pause: SharedRead::default(),
        access_first: false,
        delete: DeletePolicy::Attempt,
        retry: RetryPolicy {
            max_attempts: 3,
            base: Duration::from_secs(1),
            cap: Duration::from_mins(1),
        },
        surges: None,
        memory: ArchiveMemory::new(1024 * 1024 * 1024),
        history: Duration::from_hours(24),
        settle: Duration::ZERO,
        window_days: None,
        actor: Actor::new("a test"),
    }
}

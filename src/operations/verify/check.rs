//! Checks many users, several at a time, and again where a fault or a finding may pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::checkpoint_evidence::CheckpointEvidence;
use super::finding::Verdict;
use super::holdings::{Holdings, holdings};
use super::schema::Schema;
use super::user::Verifier;
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::operations::tracker::Interruption;
use crate::ports::{ArchiveStore, Checkpoints};

/// The number of users that are checked concurrently.
const AT_ONCE: usize = 16;
/// From this number on, one listing of everything costs less than one listing per user.
const MANY: usize = 200;
/// The number of tries for a user before a fault of the store ends the check.
const TRIES: u32 = 3;

/// The digests of manifests from outside the archive store. Without them everything else is still checked.
pub(crate) enum KnownManifests {
    None,
    /// A checkpoint that cannot be read is not compared, which the verdict says.
    Live(Arc<dyn Checkpoints>),
    /// A checkpoint that cannot be read fails the check.
    Required(Arc<dyn Checkpoints>),
    /// Read at the beginning, so that an embedded store is not locked while the archives are read.
    Known(HashMap<UserId, CheckpointEvidence>),
}

impl KnownManifests {
    /// What the checkpoint of a user says, and whether it could be read.
    async fn of(&self, user_id: UserId) -> Result<(CheckpointEvidence, Option<bool>), Failure> {
        let read = async |checkpoints: &dyn Checkpoints| {
            let checkpoint = checkpoints.read(user_id).await?;
            Ok::<_, Failure>(checkpoint.as_ref().map(CheckpointEvidence::of))
        };
        match self {
            Self::None => Ok((CheckpointEvidence::default(), None)),
            Self::Known(known) => {
                let known = known.get(&user_id).cloned();
                Ok((known.unwrap_or_default(), Some(true)))
            }
            Self::Required(checkpoints) => {
                let evidence = read(&**checkpoints).await?;
                Ok((evidence.unwrap_or_default(), Some(true)))
            }
            Self::Live(checkpoints) => match read(&**checkpoints).await {
                Ok(evidence) => Ok((evidence.unwrap_or_default(), Some(true))),
                Err(failure) => {
                    tracing::warn!(
                        "{user_id}: the digest in the checkpoint is not compared: {failure}"
                    );
                    Ok((CheckpointEvidence::default(), Some(false)))
                }
            },
        }
    }
}

/// The store that is checked, and the evidence from outside it.
pub(crate) struct Checker {
    pub verifier: Verifier,
    pub known_manifests: KnownManifests,
    /// Names that are no regular files, by user: they must not be opened.
    pub no_files: BTreeMap<UserId, Vec<String>>,
}

/// The users to check, with what is already known to be stored of them.
pub(crate) type Wanted = BTreeMap<UserId, Option<Holdings>>;

/// What is asked before each user and reported after each.
#[async_trait::async_trait]
pub(crate) trait Pacing: Send + Sync {
    /// Waits until the next user is due; or says why there is none.
    async fn turn(&self) -> Option<Interruption>;

    async fn checked(&self, verdict: &Verdict) -> Result<(), Failure>;
}

/// What a check of many found.
#[derive(Default)]
pub(crate) struct Checked {
    pub verdicts: Vec<Verdict>,
    /// Why the remaining users were not checked.
    pub stopped_by: Option<Failure>,
    pub interruption: Option<Interruption>,
}

impl Checker {
    /// For the objects that a store holds now.
    pub(crate) fn of(store: Arc<dyn ArchiveStore>, known_manifests: KnownManifests) -> Self {
        let verifier = Verifier {
            store,
            schema: Schema::new(),
            downloaded: false,
        };
        Self {
            verifier,
            known_manifests,
            no_files: BTreeMap::new(),
        }
    }

    /// All users of whom the store holds an object, or the named ones.
    pub(crate) async fn wanted(&self, named: Option<Vec<UserId>>) -> Result<Wanted, Failure> {
        let store = &*self.verifier.store;
        let Some(named) = named else {
            let all = holdings(store, None).await?.into_iter();
            return Ok(all.map(|(user_id, held)| (user_id, Some(held))).collect());
        };

        if named.len() < MANY {
            return Ok(named.into_iter().map(|user_id| (user_id, None)).collect());
        }
        let mut all = holdings(store, None).await?;

        Ok(named
            .into_iter()
            .map(|user_id| (user_id, Some(all.remove(&user_id).unwrap_or_default())))
            .collect())
    }

    /// Checks them all.
    pub(crate) async fn check_all(
        self: &Arc<Self>,
        wanted: Wanted,
        pacing: &dyn Pacing,
    ) -> Checked {
        let mut report = Checked::default();
        let mut checks = FuturesUnordered::new();
        let mut wanted = wanted.into_iter();
        loop {
            while checks.len() < AT_ONCE && report.interruption.is_none() && wanted.len() > 0 {
                report.interruption = pacing.turn().await;
                if report.interruption.is_none()
                    && let Some((user_id, held)) = wanted.next()
                {
                    let checker = Arc::clone(self);
                    let check = async move { checker.check(user_id, held).await };
                    checks.push(AbortOnDropHandle::new(tokio::spawn(check)));
                }
            }
            let Some(checked) = checks.next().await else {
                break;
            };
            let checked = checked.unwrap_or_else(|error| {
                let text = error.to_string();
                Err(Failure::new(Class::Defect, Code::Panicked, text))
            });
            let noted = match checked {
                Ok(verdict) => {
                    let noted = pacing.checked(&verdict).await;
                    report.verdicts.push(verdict);
                    noted
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = noted {
                report.stopped_by = Some(failure);
                break;
            }
        }
        report.verdicts.sort_by_key(|verdict| verdict.user_id);
        report
    }

    /// Checks a user. A user with findings is checked again, because a worker may have changed the objects in between.
    pub(crate) async fn check(
        &self,
        user_id: UserId,
        held: Option<Holdings>,
    ) -> Result<Verdict, Failure> {
        if let Some(names) = self.no_files.get(&user_id) {
            return Ok(Verdict::unopened(user_id, names));
        }
        let verdict = self.try_check(user_id, held).await?;
        if verdict.ok || self.verifier.downloaded {
            Ok(verdict)
        } else {
            self.try_check(user_id, None).await
        }
    }

    async fn try_check(
        &self,
        user_id: UserId,
        mut held: Option<Holdings>,
    ) -> Result<Verdict, Failure> {
        let mut tries = 1;
        loop {
            match self.check_once(user_id, held.take()).await {
                Err(failure) if tries < TRIES && failure.class != Class::Defect => {
                    tracing::debug!(%user_id, %failure, "the check is tried again");
                    tokio::time::sleep(Duration::from_secs(1) * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn check_once(
        &self,
        user_id: UserId,
        held: Option<Holdings>,
    ) -> Result<Verdict, Failure> {
        let (evidence, compared) = self.known_manifests.of(user_id).await?;
        let held = match held {
            Some(held) => held,
            None => holdings(&*self.verifier.store, Some(user_id))
                .await?
                .remove(&user_id)
                .unwrap_or_default(),
        };
        let mut verdict = self.verifier.check(user_id, &held, &evidence).await?;
        self.verifier.excuse_erased(&mut verdict).await?;
        let older_versions = held.older_known().filter(|_| !self.verifier.downloaded);
        Ok(Verdict {
            compared,
            older_versions,
            ..verdict
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::steps::test_services::TestCheckpoints;

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_that_cannot_be_read_fails_the_check_or_is_said() {
        let user_id: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let check = async |known: KnownManifests| {
            let store = Arc::new(DirectoryStore::open(directory.path()).unwrap());
            Checker::of(store, known).check(user_id, None).await
        };
        let compared = async |known: KnownManifests| check(known).await.unwrap().compared;
        let away = || -> Arc<dyn Checkpoints> {
            let failure = Failure::new(Class::Systemic, Code::CheckpointsUnreachable, "away");
            Arc::new(TestCheckpoints {
                reading_fails: Some(failure),
                ..TestCheckpoints::default()
            })
        };
        let there = || -> Arc<dyn Checkpoints> { Arc::new(TestCheckpoints::default()) };
        assert_eq!(compared(KnownManifests::None).await, None);
        assert_eq!(compared(KnownManifests::Live(there())).await, Some(true));
        assert_eq!(compared(KnownManifests::Live(away())).await, Some(false));
        assert_eq!(
            compared(KnownManifests::Required(there())).await,
            Some(true)
        );
        let failure = check(KnownManifests::Required(away())).await.unwrap_err();
        assert_eq!(failure.code, Code::CheckpointsUnreachable);
    }
}

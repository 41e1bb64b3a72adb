//! Gives a user back what it had, while the lease keeps every worker away.

use std::time::Duration;

use bytes::Bytes;

use super::known::{decided, deleted};
use super::report::{Outcome, Refusal, UserReactivated};
use crate::failure::{Class, Code, Failure};
use crate::integrity::Purpose;
use crate::job::{Request, UserId};
use crate::machine::{Call, Cancelled, Checkpoint, Reactivation};
use crate::manifest::{
    BeforeImage, Fate, FateDocument, NotGivenBack, Possession, ReactivationRecord, reactivated_key,
};
use crate::ports::{GivenBack, Lease, PutOnce, Saved};
use crate::registers::audit_log::Operator;
use crate::steps::{Images, Services, decide, read_image};

/// How often something is tried where the API fails for a moment.
const TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Claimed<'a> {
    pub(super) services: &'a Services,
    pub(super) operator: &'a Operator,
    pub(super) user_id: UserId,
    pub(super) revision: u32,
    pub(super) lease: &'a Lease,
}

/// What became of the possessions of a before-image.
#[derive(Default)]
struct Back {
    given: Vec<Possession>,
    there_already: Vec<Possession>,
    not: Vec<NotGivenBack>,
    calls: Vec<Call>,
}

impl Claimed<'_> {
    /// First it is decided, then the checkpoint says so, and then the user gets everything back.
    pub(super) async fn give_back(
        &self,
        version: u64,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<UserReactivated, Failure> {
        let refused = |refusal, why| Ok(UserReactivated::refused(self.user_id, refusal, why));
        let services = self.services;
        let store = &*services.archive_store;
        if let Some(why) = checkpoint.as_deref().and_then(deleted) {
            return refused(Refusal::Deleted, why);
        }
        let image = read_image(store, self.user_id, self.revision).await?;
        if image.profile != services.tenant.profile() {
            let why = format!("the before-image is of the profile {}", image.profile);
            return refused(Refusal::NoBeforeImage, why);
        }
        if !services.tenant.find_user(self.user_id).await?.value {
            let why = "the user does not exist any more".to_owned();
            return refused(Refusal::Deleted, why);
        }

        let fate = decide(store, self.wanted()).await?;
        if fate.fate == Fate::Delete {
            return refused(Refusal::DeletionDecided, decided(fate.at));
        }
        let mut checkpoint = self.noted(checkpoint, &fate);
        let Some(version) = self.save(version, &checkpoint).await? else {
            return Ok(UserReactivated::busy(self.user_id));
        };

        let back = self.all_of(&image).await?;
        let record = self.record(&fate, back);
        let key = self.store(record.clone()).await?;
        if let Some(cancelled) = &mut checkpoint.cancelled {
            cancelled.reactivation = Some(Reactivation {
                at: record.at,
                given_back: count(&record.given_back) + count(&record.there_already),
                not_given_back: count(&record.not_given_back) + count(&record.lost),
                record: key.clone(),
            });
        }
        if self.save(version, &checkpoint).await?.is_none() {
            return Ok(UserReactivated::busy(self.user_id));
        }
        Ok(UserReactivated::done(record, key))
    }

    fn wanted(&self) -> FateDocument {
        FateDocument {
            schema_version: 1,
            user_id: self.user_id,
            revision: self.revision,
            fate: Fate::Reactivate,
            who: self.operator.who.clone(),
            why: self.operator.why.clone(),
            at: self.services.clock.now(),
        }
    }

    /// The checkpoint of a user of whom nothing of this off-boarding counts any more.
    fn noted(&self, checkpoint: Option<Box<Checkpoint>>, fate: &FateDocument) -> Checkpoint {
        let now = self.services.clock.now();
        let mut checkpoint = checkpoint.map_or_else(
            || {
                let request = Request {
                    received_at: Some(now),
                    ..Request::default()
                };
                let mut lost = Checkpoint::new(self.user_id, request, now);
                lost.profile = self.services.tenant.profile();
                lost.revision = self.revision;
                lost.evidence_revision = self.revision;
                lost
            },
            |checkpoint| *checkpoint,
        );
        let by = Cancelled {
            at: checkpoint.cancelled.as_ref().map_or(fate.at, |by| by.at),
            who: fate.who.clone(),
            why: fate.why.clone(),
            batch_id: None,
            message_due: None,
            reactivation: None,
        };
        if checkpoint.evidence_revision <= self.revision {
            checkpoint.reactivate(by, now);
        } else {
            checkpoint.cancelled.get_or_insert(by);
        }
        checkpoint
    }

    /// `None`: the lease is lost.
    async fn save(&self, version: u64, checkpoint: &Checkpoint) -> Result<Option<u64>, Failure> {
        let checkpoints = &self.services.checkpoints;
        Ok(
            match checkpoints.save(self.lease, version, checkpoint).await? {
                Saved::Version(version) => Some(version),
                Saved::Refused => None,
            },
        )
    }

    async fn all_of(&self, image: &BeforeImage) -> Result<Back, Failure> {
        let mut back = Back::default();
        for possession in back_of(image) {
            match self.one(possession, &mut back.calls).await? {
                GivenBack::Given => back.given.push(possession.clone()),
                GivenBack::ThereAlready => back.there_already.push(possession.clone()),
                GivenBack::Not(why) => back.not.push(NotGivenBack {
                    possession: possession.clone(),
                    why,
                }),
            }
        }
        Ok(back)
    }

    /// A refusal concerns this one thing, and so does an API that keeps failing for it. A failure is one that everything
    /// would meet.
    async fn one(
        &self,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let given = self
                .services
                .tenant
                .give_back(self.user_id, possession, calls)
                .await;
            let failure = match given {
                Ok(given) => return Ok(given),
                Err(failure) => failure,
            };
            match failure.class {
                Class::Systemic if failure.code != Code::CxoneMissingScope => return Err(failure),
                Class::Transient | Class::Throttled | Class::UnknownOutcome if tries < TRIES => {
                    tokio::time::sleep(TRY_AGAIN * tries).await;
                }
                Class::Systemic
                | Class::Transient
                | Class::Throttled
                | Class::UnknownOutcome
                | Class::Permanent(_)
                | Class::Defect => return Ok(GivenBack::Not(failure.text)),
            }
        }
    }

    fn record(&self, fate: &FateDocument, back: Back) -> ReactivationRecord {
        let tenant = &self.services.tenant;
        let lost = tenant
            .lost_for_good()
            .iter()
            .map(|(kind, why)| NotGivenBack {
                possession: Possession::new(kind, &self.user_id),
                why: (*why).to_owned(),
            });
        ReactivationRecord {
            schema_version: 1,
            user_id: self.user_id,
            profile: tenant.profile(),
            revision: self.revision,
            number: 1,
            who: self.operator.who.clone(),
            why: self.operator.why.clone(),
            decided_at: fate.at,
            at: self.services.clock.now(),
            given_back: back.given,
            there_already: back.there_already,
            not_given_back: back.not,
            lost: lost.collect(),
            calls: back.calls,
        }
    }

    /// Stores the record of this try beside the earlier ones; its key.
    async fn store(&self, mut record: ReactivationRecord) -> Result<String, Failure> {
        let store = &*self.services.archive_store;
        let keys = store.keys(&self.user_id.to_string()).await?;
        let images = Images::of(self.user_id, &keys);
        record.number = images.last_try(self.revision).map_or(1, |last| last + 1);

        let key = reactivated_key(self.user_id, self.revision, record.number);
        let body = serde_json::to_vec_pretty(&record)
            .map_err(|error| Failure::internal("cannot write a document", error))?;
        let body = store
            .integrity()
            .sign(Purpose::Reactivation, key.as_str(), body);
        match store.put_once(&key, Bytes::from(body), None).await? {
            // Also our own write, whose answer was lost.
            PutOnce::Stored(_) | PutOnce::AlreadyThere => Ok(store.full_key(&key)),
        }
    }
}

/// The account first, since an inactive one may not get anything; then in the reverse order of the off-boarding.
pub(super) fn back_of(image: &BeforeImage) -> impl Iterator<Item = &Possession> {
    let is_account = |possession: &&Possession| possession.kind == Possession::ACCOUNT;
    let all = || image.possessions.iter().rev();
    all()
        .filter(is_account)
        .chain(all().filter(move |possession| !is_account(possession)))
}

fn count<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

impl UserReactivated {
    fn done(record: ReactivationRecord, key: String) -> Self {
        let outcome = if record.not_given_back.is_empty() && record.lost.is_empty() {
            Outcome::Reactivated
        } else {
            Outcome::Incomplete
        };
        Self::of_record(outcome, record, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::TenantProfile;

    #[test]
    fn the_account_comes_first_and_the_rest_in_the_reverse_order() {
        let user_id: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let kinds = ["queue_owner", "queue_member", Possession::ACCOUNT, "key"];
        let image = BeforeImage {
            schema_version: 1,
            user_id,
            profile: TenantProfile::default(),
            revision: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            possessions: kinds.map(|kind| Possession::new(kind, &1)).into(),
        };
        let order: Vec<&str> = back_of(&image).map(|one| one.kind.as_str()).collect();
        assert_eq!(
            order,
            [Possession::ACCOUNT, "key", "queue_member", "queue_owner"]
        );
    }
}

//! Makes steps of announcements. Every worker with the key has a writer, and none of them leads: a writer that finds a step of the
//! last minute does nothing, and of two that write the same number one wins and the other one reads what it wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::announcement::{Announcement, LATE};
use super::cosignatures;
use super::cosigners::{Became, Cosigner, Wanted};
use super::head::{Head, oldest};
use super::inbox::Inbox;
use super::leaf::{Found, Heading, Record, Written};
use super::signers::Signers;
use super::step::{self, Added, MOST_AT_ONCE, MOST_RECORDS, Step};
use super::stored_digest::stored_digest;
use super::tree::{Frontier, Hash, consistency, leaf_hash};
use super::trust::{Judged, Trust};
use crate::clock::Clock;
use crate::failpoint::{failpoint, time_scaled};
use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// Between two steps.
pub(super) const PERIOD: Duration = Duration::from_mins(1);
/// How long an object may be missing of which there is an announcement: it is written right after it.
const MISSING: Duration = Duration::from_mins(5);
const READS_AT_ONCE: usize = 16;
/// After that number of steps without a signature of our keys, those before are not asked for.
const MOST_FOREIGN: u32 = 100;
/// How often a witness is asked about one step: it may want a proof, and another worker may make a step in the meantime.
const MOST_ASKED: usize = 4;

pub(crate) struct Writer {
    store: Arc<dyn ArchiveStore>,
    signers: Signers,
    trust: Trust,
    clock: Clock,
    /// The name of this process.
    by: String,
    head: Head,
    inbox: Inbox,
    witnesses: Vec<Cosigner>,
}

impl Writer {
    pub(crate) fn new(
        store: Arc<dyn ArchiveStore>,
        signers: Signers,
        clock: Clock,
        by: String,
    ) -> Self {
        Self {
            store,
            trust: Trust::new(signers.verifiers()),
            signers,
            clock,
            by,
            head: Head::default(),
            inbox: Inbox::default(),
            witnesses: Vec::new(),
        }
    }

    /// Each step is also shown to these witnesses.
    pub(crate) fn with_witnesses(mut self, witnesses: Vec<Cosigner>) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// Writes what is new, unless the last step is of the last minute. Answers with the number of records.
    pub(crate) async fn write(&mut self) -> Result<usize, Failure> {
        self.catch_up().await?;
        self.ask_witnesses().await?;
        let now = self.clock.now();
        let age = now.duration_since(self.head.at).abs();
        if !self.head.is_full && age < signed(time_scaled(PERIOD)) {
            return Ok(0);
        }

        let from = self.head.until.saturating_sub(LATE).unwrap_or(now);
        let to = now.saturating_add(LATE).unwrap_or(now);
        // Before the first step everything that there is.
        let is_logged = |id: &Uuid| self.head.logged.contains(id);
        let new_ones = self.inbox.new_ones(&*self.store, from, to, is_logged);
        let announcements = new_ones.await?;
        let until = announcements
            .iter()
            .nth(MOST_RECORDS)
            .map_or(now, Announcement::at);
        let records = self.records(announcements, now).await?;
        if records.is_empty() {
            // Nothing to write down: the next listing is as short as this one.
            self.head.until = self.head.until.max(until);
            return Ok(0);
        }
        self.append(records, now, until).await
    }

    async fn append(
        &mut self,
        records: Vec<Written>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<usize, Failure> {
        let count = records.len();
        let number = self.head.number + 1;
        let heading = Heading {
            number,
            at: now,
            until: until.max(self.head.until),
            by: self.by.clone(),
            keys: self.named_keys(),
        };
        let added = Added { heading, records };
        failpoint("before a step of the evidence log");
        let tree = self.head.tree.clone();
        let put = step::append(&*self.store, &self.signers, tree, &added).await?;
        failpoint("after a step of the evidence log");
        match put {
            PutOnce::Stored(_) => {
                tracing::debug!(number, records = count, "wrote a step of the evidence log");
                Ok(count)
            }
            // Another worker was faster, and has written most of this.
            PutOnce::AlreadyThere => Ok(0),
        }
    }

    /// What the log says of the announcements, the oldest first.
    async fn records(
        &self,
        announcements: BTreeSet<Announcement>,
        now: Timestamp,
    ) -> Result<Vec<Written>, Failure> {
        let reading = announcements
            .into_iter()
            .take(MOST_RECORDS)
            .map(|announcement| {
                let store = Arc::clone(&self.store);
                async move { record(&*store, announcement, now).await }
            });
        let read = stream::iter(reading).buffered(READS_AT_ONCE);
        read.try_filter_map(|record| async { Ok(record) })
            .try_collect()
            .await
    }

    /// Reads the steps that came since.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        let last = step::last(&*self.store, self.head.number).await?;
        if self.head.number == 0 && last > 0 {
            self.begin(last).await?;
        }
        for number in self.head.number + 1..=last {
            self.absorb(number).await?;
        }
        Ok(())
    }

    /// Finds the step from which on the announcements are needed.
    async fn begin(&mut self, last: u32) -> Result<(), Failure> {
        let mut newest: Option<Timestamp> = None;
        let mut oldest_known: Option<(u32, Step)> = None;
        let mut foreign = 0;
        for number in (1..=last).rev() {
            let Some(step) = self.read(number).await? else {
                foreign += 1;
                if foreign == MOST_FOREIGN {
                    break;
                }
                continue;
            };
            foreign = 0;
            let Some(heading) = step.heading() else {
                return Err(step::broken(&*self.store, number, "it says no time"));
            };
            let until = *newest.get_or_insert(heading.until);
            let is_old = heading.at < oldest(until);
            oldest_known = Some((number, step));
            if is_old {
                break;
            }
        }
        // If it is not the first one of the log, the ones before have keys that were replaced. What they have may come in again.
        if let Some((number, step)) = oldest_known
            && step.after(&Frontier::default()).is_none()
        {
            self.head.begin_at(number, step);
        }
        Ok(())
    }

    async fn absorb(&mut self, number: u32) -> Result<(), Failure> {
        let stored = step::read(&*self.store, number).await?;
        let judged = stored.map(|stored| self.trust.judge(stored, &self.head.tree));
        match judged {
            // Somebody else put an object there. The number is lost, and nothing else.
            None | Some(Judged::Foreign) => {
                self.not_ours(number);
                self.head.number = number;
            }
            Some(Judged::Broken(_)) => {
                let why = "it does not follow from the step before";
                return Err(step::broken(&*self.store, number, why));
            }
            Some(Judged::Follows(step, added)) => self.head.absorb(number, step, &added),
        }
        Ok(())
    }

    /// A step, whether it is its turn or not.
    async fn read(&self, number: u32) -> Result<Option<Step>, Failure> {
        let step = self.trust.read(&*self.store, number).await?;
        if step.is_none() {
            self.not_ours(number);
        }
        Ok(step)
    }

    fn not_ours(&self, number: u32) {
        let key = self.store.full_key(&step::key(number));
        tracing::error!(
            key,
            "a step of the evidence log has no signature of the key; it does not count"
        );
    }

    /// What a step says of its keys, while one is replaced.
    fn named_keys(&self) -> Vec<String> {
        let keys: Vec<String> = self.signers.verifiers().map(ToString::to_string).collect();
        if keys.len() > 1 { keys } else { Vec::new() }
    }

    /// How many witnesses have not cosigned the last step.
    pub(super) fn witnesses_behind(&self) -> usize {
        let mut behind = self.witnesses.iter();
        behind
            .by_ref()
            .filter(|witness| witness.number != self.head.step)
            .count()
    }

    /// Has witnesses cosign the last checkpoint. Nothing waits for a witness that does not answer; one that has seen another
    /// log stops it.
    async fn ask_witnesses(&mut self) -> Result<(), Failure> {
        let mut witnesses = std::mem::take(&mut self.witnesses);
        let mut asked = Ok(());
        for witness in &mut witnesses {
            if witness.number == self.head.step {
                continue;
            }
            asked = asked.and(self.ask(witness).await);
        }
        self.witnesses = witnesses;
        asked
    }

    async fn ask(&mut self, witness: &mut Cosigner) -> Result<(), Failure> {
        let mut has_caught_up = false;
        let mut proof = Vec::new();
        for _try in 0..MOST_ASKED {
            let number = self.head.step;
            let key = cosignatures::key(number, &witness.key);
            // Another worker may have asked. The first time each asks, since a log that was cut off has its cosignatures, too.
            if witness.seen.is_some() && self.store.find(&key, None).await?.is_some() {
                witness.number = number;
                witness.seen = Some(self.head.tree.size());
                return Ok(());
            }
            if proof.is_empty()
                && let Some(seen) = witness.seen
            {
                proof = self.proof_since(seen).await?;
            }
            let wanted = Wanted {
                number,
                size: self.head.tree.size(),
                checkpoint: &self.head.checkpoint,
            };
            match witness.ask(&*self.store, &key, &wanted, &proof).await? {
                Became::Cosigned | Became::Away => return Ok(()),
                Became::NeedsProof(_) => proof.clear(),
                // Another worker may have made a step since.
                Became::Contradicts(_) if !has_caught_up => {
                    has_caught_up = true;
                    witness.seen = None;
                    proof.clear();
                    self.catch_up().await?;
                }
                Became::Contradicts(why) => {
                    return Err(step::broken(&*self.store, number, &why));
                }
            }
        }
        Ok(())
    }

    /// The proof that the log begins with the tree of this size. Without such a step it is empty, and no witness takes it.
    async fn proof_since(&self, size: u64) -> Result<Vec<Hash>, Failure> {
        let mut added: Vec<Vec<Hash>> = Vec::new();
        let mut steps = stream::iter((1..=self.head.number).rev())
            .map(|number| self.trust.read(&*self.store, number))
            .buffered(MOST_AT_ONCE);
        while let Some(step) = steps.try_next().await? {
            let Some(step) = step else {
                continue;
            };
            if step.tree.size() <= size {
                let leaves: Vec<Hash> = added.into_iter().rev().flatten().collect();
                return Ok(consistency(&step.tree, &leaves));
            }
            let leaves = step.leaves().map(|leaf| leaf_hash(leaf.as_bytes()));
            added.push(leaves.collect());
        }
        Ok(Vec::new())
    }
}

/// What the log says of one announcement; `None` if its object may still come.
async fn record(
    store: &dyn ArchiveStore,
    announcement: Announcement,
    now: Timestamp,
) -> Result<Option<Written>, Failure> {
    let key = ObjectKey(announcement.key.clone());
    // Without an integrity key anybody may announce anything.
    let Some(record) = Record::of(&key) else {
        return Ok(None);
    };
    let has_stored = store.has_stored(announcement.id);
    let stored = if has_stored {
        Some(announcement.sha256)
    } else {
        stored_digest(store, &key).await?
    };
    let found = match stored {
        Some(sha256) if sha256 == announcement.sha256 => Found::Same,
        Some(_) => Found::Other,
        None if now.duration_since(announcement.at()) < signed(time_scaled(MISSING)) => {
            return Ok(None);
        }
        None => Found::Nothing,
    };
    Ok(Some(Written {
        id: announcement.id,
        record,
        key,
        sha256: hex::encode(announcement.sha256),
        found,
    }))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

//! The log against what is stored, both ways, and against what others know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use super::cosignatures;
use super::leaf::{Found, Record, Written};
use super::policy::Policy;
use super::step::{self, Added, MOST_AT_ONCE};
use super::stored_digest::stored_digest;
use super::tree::{Frontier, Hash};
use super::trust::{Judged, Trust};
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::signed_note::WitnessKey;

/// A record that is younger may not be in the log yet.
const FOLLOWS_WITHIN: Duration = Duration::from_mins(20);

/// What the check found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogReport {
    /// How many leaves the log has.
    pub leaves: u64,
    /// How many objects the log names.
    pub records: usize,
    /// Records from before the log began, which it does not have.
    pub before: usize,
    /// Objects that were removed, and of which a record of an erasure that came into the log later says so.
    pub erased: usize,
    /// What the witnesses of the policy cosigned.
    pub witnesses: Vec<Witnessed>,
    pub findings: Vec<LogFinding>,
}

/// How far a witness has seen the log.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Witnessed {
    pub witness: String,
    /// How many leaves; `None` if no cosignature is stored.
    pub leaves: Option<u64>,
    /// When.
    pub at: Option<Timestamp>,
}

/// One contradiction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct LogFinding {
    /// The full key of the object.
    pub object: String,
    pub text: String,
}

/// What the log says of each object, and when it began.
#[derive(Default)]
struct Said {
    records: BTreeMap<String, Written>,
    /// The place of each object's last record among all of them.
    places: BTreeMap<String, usize>,
    read: usize,
    began: Option<Timestamp>,
    /// The root after each step, by the number of leaves.
    roots: BTreeMap<u64, Hash>,
    /// The last number that is a step.
    last: u32,
    trust: Option<Trust>,
}

/// The objects that each record of an erasure names, by the key of the record.
pub(crate) type Erased = BTreeMap<ObjectKey, Vec<ObjectKey>>;

/// Checks the log whose keys the policy names. `kept` are checkpoints that somebody kept elsewhere: the log has to begin with
/// the trees that they say.
pub(crate) async fn check_log(
    store: &dyn ArchiveStore,
    policy: &Policy,
    kept: &[String],
    erased: &Erased,
    now: Timestamp,
) -> Result<LogReport, Failure> {
    let mut report = LogReport::default();
    let said = read_steps(store, policy, &mut report).await?;
    report.records = said.records.len();
    report.compare(store, &said, kept);
    report.ask_for_witnesses(store, policy, &said).await?;

    let mut checking = stream::iter(said.records.values())
        .map(|record| async move {
            let stored = stored_digest(store, &record.key).await?;
            Ok::<_, Failure>((record, fault_of(record, stored.map(hex::encode))))
        })
        .buffered(MOST_AT_ONCE);
    let erased = said.erased(erased);
    while let Some((record, fault)) = checking.try_next().await? {
        match fault {
            Some(REMOVED) if erased.contains(record.key.as_str()) => report.erased += 1,
            Some(text) => report.find(store, &record.key, text),
            None => {}
        }
    }
    drop(checking);

    let young = now
        .saturating_sub(time_scaled(FOLLOWS_WITHIN))
        .unwrap_or(now);
    for listed in store.list("").await? {
        let is_known = said.records.contains_key(listed.key.as_str());
        if is_known || Record::of(&listed.key).is_none() {
            continue;
        }
        if said.began.is_some_and(|began| listed.modified < began) {
            report.before += 1;
        } else if listed.modified < young {
            let text = "it is not in the log: it was invented, or written by a process without OFFBOARDER_EVIDENCE_ORIGIN";
            report.find(store, &listed.key, text);
        }
    }
    report.findings.sort();
    Ok(report)
}

impl LogReport {
    fn find(&mut self, store: &dyn ArchiveStore, key: &ObjectKey, text: impl Into<String>) {
        self.findings.push(LogFinding {
            object: store.full_key(key),
            text: text.into(),
        });
    }

    /// The log against checkpoints from elsewhere.
    fn compare(&mut self, store: &dyn ArchiveStore, said: &Said, kept: &[String]) {
        let last = step::key(said.last);
        for note in kept {
            let trust = said.trust.as_ref();
            let Some(checkpoint) = trust.and_then(|trust| trust.known(note)) else {
                let text = "the checkpoint to compare with is not signed by a key of the log";
                self.find(store, &last, text);
                continue;
            };
            let size = checkpoint.size;
            if size > self.leaves {
                let leaves = self.leaves;
                let text = format!(
                    "the log has {leaves} leaves, and a checkpoint from elsewhere {size}: it was cut off at its end, or rolled back"
                );
                self.find(store, &last, text);
            } else if said.roots.get(&size) != Some(&checkpoint.root) {
                let text = format!(
                    "the first {size} leaves are not those of a checkpoint from elsewhere: this is another history of the log"
                );
                self.find(store, &last, text);
            }
        }
    }

    async fn ask_for_witnesses(
        &mut self,
        store: &dyn ArchiveStore,
        policy: &Policy,
        said: &Said,
    ) -> Result<(), Failure> {
        let stored = cosignatures::list(store).await?;
        for number in stored.keys().filter(|number| **number > said.last) {
            let text =
                "this step is missing, and a witness has seen it: the log was cut off at its end";
            self.find(store, &step::key(*number), text);
        }
        for witness in policy.witnesses() {
            let witnessed = witnessed(store, witness, &stored, said.last).await?;
            self.witnesses.push(witnessed);
        }
        if !policy.asks_for_witnesses() {
            return Ok(());
        }
        for (number, keys) in stored.iter().rev() {
            if let Some(step) = step_or_none(store, *number, said.last).await? {
                let note = cosignatures::added(store, step.checkpoint, keys).await?;
                if policy.has_quorum(&note) {
                    return Ok(());
                }
            }
        }
        let text = "no checkpoint has the quorum of witnesses that the policy asks for";
        self.find(store, &step::key(said.last), text);
        Ok(())
    }
}

async fn step_or_none(
    store: &dyn ArchiveStore,
    number: u32,
    last: u32,
) -> Result<Option<step::Stored>, Failure> {
    if number > last {
        return Ok(None);
    }
    step::read(store, number).await
}

/// The last step that a witness cosigned.
async fn witnessed(
    store: &dyn ArchiveStore,
    witness: &WitnessKey,
    stored: &BTreeMap<u32, Vec<ObjectKey>>,
    last: u32,
) -> Result<Witnessed, Failure> {
    let mut found = Witnessed {
        witness: witness.name().to_string(),
        leaves: None,
        at: None,
    };
    for (number, keys) in stored.iter().rev() {
        let key = cosignatures::key(*number, witness);
        if !keys.contains(&key) {
            continue;
        }
        let Some(step) = step_or_none(store, *number, last).await? else {
            continue;
        };
        let note = cosignatures::added(store, step.checkpoint, &[key]).await?;
        if let Some(at) = witness.cosigned_at(&note) {
            found.leaves = step::size_of(&note);
            let at = i64::try_from(at).ok();
            found.at = at.and_then(|at| Timestamp::from_second(at).ok());
            break;
        }
    }
    Ok(found)
}

async fn read_steps(
    store: &dyn ArchiveStore,
    policy: &Policy,
    report: &mut LogReport,
) -> Result<Said, Failure> {
    let mut said = Said::default();
    let mut tree = Frontier::default();
    let mut trust = Trust::new(&policy.logs);
    let numbers = step::numbers(store).await?;
    let mut expected = 1;
    let mut steps = stream::iter(numbers)
        .map(|number| async move { Ok::<_, Failure>((number, step::read(store, number).await?)) })
        .buffered(MOST_AT_ONCE);
    while let Some((number, stored)) = steps.try_next().await? {
        let key = step::key(number);
        if number != expected {
            report.find(store, &step::key(expected), "this step is missing");
        }
        expected = number.saturating_add(1);
        said.last = number;
        match stored.map(|stored| trust.judge(stored, &tree)) {
            None | Some(Judged::Foreign) => {
                report.find(store, &key, "this step is not signed by the key of the log");
            }
            Some(Judged::Broken(step)) => {
                let text = "this step does not follow from the one before: one of them was changed";
                report.find(store, &key, text);
                tree = step.tree;
            }
            Some(Judged::Follows(step, added)) => {
                said.note(added);
                tree = step.tree;
                said.roots.insert(tree.size(), tree.root());
            }
        }
    }
    report.leaves = tree.size();
    if report.leaves == 0 {
        report.find(store, &step::key(1), "there is no log that this key signed");
    }
    said.trust = Some(trust);
    Ok(said)
}

impl Said {
    /// The objects that an erasure explains which came into the log after them. One that is not in the log explains nothing.
    fn erased<'e>(&self, erased: &'e Erased) -> BTreeSet<&'e str> {
        let mut explained = BTreeSet::new();
        for (record, objects) in erased {
            let place = |key: &ObjectKey| self.places.get(key.as_str());
            let later = objects.iter().filter(|key| place(key) < place(record));
            explained.extend(later.map(ObjectKey::as_str));
        }
        explained
    }

    fn note(&mut self, added: Added) {
        self.began.get_or_insert(added.heading.at);
        for record in added.records {
            let key = record.key.as_str().to_owned();
            self.read += 1;
            self.places.insert(key.clone(), self.read);
            // Of two processes that write at once one comes second. What was stored is what counts.
            match self.records.get(&key) {
                Some(known) if known.found == Found::Same && record.found != Found::Same => {}
                Some(_) | None => {
                    self.records.insert(key, record);
                }
            }
        }
    }
}

const REMOVED: &str = "it was removed: the log has it";

/// What is wrong with an object, if anything.
fn fault_of(said: &Written, stored: Option<String>) -> Option<&'static str> {
    match (said.found, stored) {
        // Also where it came later than the log waited for it.
        (Found::Same | Found::Nothing, Some(stored)) if stored == said.sha256 => None,
        (Found::Same, Some(_)) => Some("it was changed: the log has another digest"),
        (Found::Same, None) => Some(REMOVED),
        (Found::Other, _) => Some(
            "it was changed before it came into the log, which has the digest that was written",
        ),
        (Found::Nothing, _) => Some(
            "it was announced and not there minutes later: a process died before it wrote it, or it was removed",
        ),
    }
}

//! A step of the log: one object, `_log_step_{number}.json`, with the leaves that it adds, and the signed checkpoint after
//! them. The number comes from the step before, and the object is written once, so that there is one history.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::leaf::{Heading, Leaf, Written};
use super::signers::Signers;
use super::tree::{Frontier, Hash};
use crate::failure::{Class, Code, Failure};
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};
use crate::signed_note::VerifierKey;

const PREFIX: &str = "_log_step_";
/// How many steps are read at once.
pub(super) const MOST_AT_ONCE: usize = 16;
/// Most records of one step; a step has at most 5 MB.
pub(super) const MOST_RECORDS: usize = 10_000;
const MAX_STEP_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn key(number: u32) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{number}.json"))
}

/// As it is stored. Whether it counts, [`super::trust::Trust`] says.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    /// c2sp.org/tlog-checkpoint.
    pub checkpoint: String,
    /// The roots of the complete subtrees of that tree, in base64, the largest first.
    frontier: Vec<String>,
    /// The first one is the [`Heading`].
    leaves: Vec<Box<RawValue>>,
}

/// A step that the key signed.
pub(super) struct Step {
    /// After it.
    pub tree: Frontier,
    /// As it is signed.
    pub checkpoint: String,
    leaves: Vec<Box<RawValue>>,
}

fn heading_of(leaves: &[Box<RawValue>]) -> Option<Heading> {
    match serde_json::from_str(leaves.first()?.get()) {
        Ok(Leaf::Step(heading)) => Some(heading),
        Ok(Leaf::Record(_)) | Err(_) => None,
    }
}

impl Stored {
    /// What its first leaf says, which nobody may have signed.
    pub(super) fn heading(&self) -> Option<Heading> {
        heading_of(&self.leaves)
    }
}

/// What one step adds.
pub(super) struct Added {
    pub heading: Heading,
    pub records: Vec<Written>,
}

/// Appends a step to this tree and stores it.
pub(super) async fn append(
    store: &dyn ArchiveStore,
    signers: &Signers,
    mut tree: Frontier,
    added: &Added,
) -> Result<PutOnce, Failure> {
    let records = added.records.iter().cloned().map(Leaf::Record);
    let mut leaves = Vec::new();
    for leaf in std::iter::once(Leaf::Step(added.heading.clone())).chain(records) {
        let leaf = leaf.to_json()?;
        tree.append(leaf.get().as_bytes());
        leaves.push(leaf);
    }

    let root = STANDARD.encode(tree.root());
    let name = signers.name();
    let text = format!("{name}\n{}\n{root}\n", tree.size());
    let checkpoint = signers.sign(&text).await?;
    let stored = Stored {
        checkpoint,
        frontier: tree
            .roots()
            .iter()
            .map(|root| STANDARD.encode(root))
            .collect(),
        leaves,
    };
    let body = serde_json::to_vec(&stored)
        .map_err(|error| Failure::internal("cannot write a step of the evidence log", error))?;
    store
        .put_once(&key(added.heading.number), Bytes::from(body), None)
        .await
}

/// Reads a step; `None` if the object is none.
pub(super) async fn read(store: &dyn ArchiveStore, number: u32) -> Result<Option<Stored>, Failure> {
    let body = match store.read(&key(number), MAX_STEP_BYTES).await {
        Ok(Some(body)) => body,
        Ok(None) => return Err(broken(store, number, "it was there a moment ago")),
        Err(failure) if failure.class == Class::Defect => return Ok(None),
        Err(failure) => return Err(failure),
    };
    Ok(serde_json::from_slice(&body).ok())
}

impl Stored {
    /// `None` if this key did not sign it: then it is not ours, and does not count.
    pub(super) fn open(self, verifier: &VerifierKey) -> Option<Step> {
        let signed = Checkpoint::open(&self.checkpoint, verifier)?;
        let roots: Option<Vec<Hash>> = self.frontier.iter().map(|root| hash(root)).collect();
        let tree = Frontier::of(signed.size, roots?)?;
        (tree.root() == signed.root).then_some(Step {
            tree,
            checkpoint: self.checkpoint,
            leaves: self.leaves,
        })
    }
}

/// What a checkpoint says.
pub(super) struct Checkpoint {
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// `None` if the key did not sign it for its own log.
    pub(super) fn open(note: &str, verifier: &VerifierKey) -> Option<Self> {
        let mut lines = verifier.open(note)?.lines();
        let origin = lines.next()?;
        let size = lines.next()?.parse().ok()?;
        let root = hash(lines.next()?)?;
        (origin == verifier.name().as_str()).then_some(Self { size, root })
    }
}

/// The number of leaves that a checkpoint says. Who signed it is not checked.
pub(super) fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl Step {
    /// The bytes that were hashed.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &str> {
        self.leaves.iter().map(|leaf| leaf.get())
    }

    /// What its first leaf says. Only [`Self::after`] proves that it was signed.
    pub(super) fn heading(&self) -> Option<Heading> {
        heading_of(&self.leaves)
    }

    /// What it adds to the tree of the step before; `None` if it does not follow from that tree.
    pub(super) fn after(&self, before: &Frontier) -> Option<Added> {
        let mut tree = before.clone();
        let mut records = Vec::new();
        for leaf in &self.leaves {
            tree.append(leaf.get().as_bytes());
            // A later release may add leaves of other kinds.
            if let Ok(Leaf::Record(record)) = serde_json::from_str(leaf.get()) {
                records.push(record);
            }
        }
        let heading = self.heading().filter(|_| tree == self.tree)?;
        Some(Added { heading, records })
    }
}

pub(super) fn broken(store: &dyn ArchiveStore, number: u32, why: &str) -> Failure {
    let text = format!(
        "{}: {why}; the evidence log is not continued before a person has looked into it",
        store.full_key(&key(number))
    );
    Failure::new(Class::Defect, Code::ArchiveConflict, text)
}

/// The numbers that are in use, in order.
pub(super) async fn numbers(store: &dyn ArchiveStore) -> Result<Vec<u32>, Failure> {
    let keys = store.keys(PREFIX).await?;
    let number = |listed: &ObjectKey| {
        let number = listed.as_str().strip_prefix(PREFIX)?;
        let number = number.strip_suffix(".json")?.parse().ok()?;
        (key(number) == *listed).then_some(number)
    };
    let mut numbers: Vec<u32> = keys.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The last number in use; `known` is in use, or 0.
pub(super) async fn last(store: &dyn ArchiveStore, known: u32) -> Result<u32, Failure> {
    let in_use = async |number: u32| -> Result<bool, Failure> {
        Ok(store.find(&key(number), None).await?.is_some())
    };
    let mut last = known;
    let mut jump = 1_u32;
    while in_use(last.saturating_add(jump)).await? {
        last = last.saturating_add(jump);
        jump = jump.saturating_mul(2);
    }
    // The number after the jump is free; one before it may be in use.
    while jump > 1 {
        jump /= 2;
        if in_use(last.saturating_add(jump)).await? {
            last = last.saturating_add(jump);
        }
    }
    Ok(last)
}

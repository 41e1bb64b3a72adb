//! The evidence of a user as one file, which is checked without a network, a store or a setting.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::cosignatures;
use super::leaf::{Found, Leaf, Record, Written};
use super::policy::Policy;
use super::proof::Proof;
use super::step::{self, MOST_AT_ONCE};
use super::tree::{Frontier, Hash, leaf_hash};
use super::trust::{Judged, Trust};
use crate::failure::Failure;
use crate::job::UserId;
use crate::manifest::{Kind, Manifest, audit_key, parse_key};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::signed_note::VerifierKey;

const FORMAT: &str = "offboarder-evidence-v1";

/// The manifests of a user, and the proofs that they are in the evidence log
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bundle {
    format: String,
    pub user_id: UserId,
    /// The manifests, the first one first.
    pub records: Vec<Proved>,
}

/// A manifest, and the proof that it is in the log
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Proved {
    #[schema(value_type = String)]
    key: ObjectKey,
    /// As it is stored.
    record: String,
    leaf: String,
    /// c2sp.org/tlog-proof@v1.
    proof: String,
}

/// Why there is no bundle.
#[derive(Debug)]
pub(crate) enum NotExported {
    /// The user has no manifest.
    Nothing,
    /// This manifest is not in the log, or not as it is stored.
    NotInLog(String),
    /// A step is not what the key signed, or does not follow from the one before.
    Broken(String),
    Failed(Failure),
}

impl From<Failure> for NotExported {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What the log says, from its first step on.
struct History {
    leaves: Vec<Hash>,
    /// Where the leaf of a manifest is, with its text, by the key and the digest of the manifest.
    manifests: BTreeMap<(String, String), (usize, String)>,
    /// The last step.
    last: u32,
    checkpoint: String,
    trust: Trust,
}

/// Makes the bundle of a user.
pub(crate) async fn export(
    store: &dyn ArchiveStore,
    verifiers: &[VerifierKey],
    user_id: UserId,
) -> Result<Bundle, NotExported> {
    let keys = store.keys(&user_id.to_string()).await?;
    let revisions = keys.iter().filter_map(|key| match parse_key(user_id, key) {
        Some((Kind::Audit, revision)) => Some(revision),
        Some(_) | None => None,
    });
    let mut revisions: Vec<u32> = revisions.collect();
    revisions.sort_unstable();
    if revisions.is_empty() {
        return Err(NotExported::Nothing);
    }

    let history = read_all(store, verifiers, user_id).await?;
    let witnessed = history.most_witnessed(store).await?;
    let mut records = Vec::new();
    for revision in revisions {
        let key = audit_key(user_id, revision);
        let missing = || NotExported::NotInLog(store.full_key(&key));
        let stored = store
            .read(&key, MAX_RECORD_BYTES)
            .await?
            .ok_or_else(missing)?;
        let name = (key.as_str().to_owned(), digest(&stored));
        let found = history.manifests.get(&name).ok_or_else(missing)?;
        let proof = history.proof(found.0, witnessed.as_ref());
        records.push(Proved {
            record: String::from_utf8(stored.into()).map_err(|_utf8| missing())?,
            leaf: found.1.clone(),
            proof: proof.ok_or_else(missing)?.to_string(),
            key,
        });
    }
    Ok(Bundle {
        format: FORMAT.to_owned(),
        user_id,
        records,
    })
}

/// The last checkpoint, with what witnesses added; `None` if there is no log of these keys.
pub(crate) async fn last_checkpoint(
    store: &dyn ArchiveStore,
    verifiers: &[VerifierKey],
) -> Result<Option<String>, Failure> {
    let trust = Trust::new(verifiers);
    let last = step::last(store, 0).await?;
    for number in (1..=last).rev() {
        if let Some(step) = trust.read(store, number).await? {
            let mut stored = cosignatures::list(store).await?;
            let keys = stored.remove(&number).unwrap_or_default();
            let checkpoint = cosignatures::added(store, step.checkpoint, &keys).await?;
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

/// No manifest is larger.
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

async fn read_all(
    store: &dyn ArchiveStore,
    verifiers: &[VerifierKey],
    user_id: UserId,
) -> Result<History, NotExported> {
    let last = step::last(store, 0).await?;
    let mut steps = stream::iter(1..=last)
        .map(|number| step::read(store, number))
        .buffered(MOST_AT_ONCE);
    let mut history = History {
        leaves: Vec::new(),
        manifests: BTreeMap::new(),
        last: 0,
        checkpoint: String::new(),
        trust: Trust::new(verifiers),
    };
    let mut tree = Frontier::default();
    let mut number = 0;
    while let Some(stored) = steps.try_next().await? {
        number += 1;
        let Some(stored) = stored else {
            continue;
        };
        match history.trust.judge(stored, &tree) {
            Judged::Foreign => {}
            Judged::Broken(_) => {
                return Err(NotExported::Broken(store.full_key(&step::key(number))));
            }
            Judged::Follows(step, _) => {
                for leaf in step.leaves() {
                    history.note(leaf, user_id);
                }
                tree = step.tree;
                history.checkpoint = step.checkpoint;
                history.last = number;
            }
        }
    }
    Ok(history)
}

impl History {
    /// The checkpoint that most witnesses cosigned, the newest of these, with its size.
    async fn most_witnessed(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Option<(u64, String)>, Failure> {
        let stored = cosignatures::list(store).await?;
        let known = stored.range(..=self.last);
        let Some((number, keys)) = known.max_by_key(|(number, keys)| (keys.len(), **number)) else {
            return Ok(None);
        };
        Ok(match self.trust.read(store, *number).await? {
            Some(step) => {
                let size = step.tree.size();
                let note = cosignatures::added(store, step.checkpoint, keys).await?;
                Some((size, note))
            }
            None => None,
        })
    }

    /// The proof of a leaf in the tree that witnesses cosigned, or in the last one if the leaf came later.
    fn proof(&self, place: usize, witnessed: Option<&(u64, String)>) -> Option<Proof> {
        let in_witnessed = witnessed.and_then(|(size, checkpoint)| {
            let leaves = self.leaves.get(..usize::try_from(*size).ok()?)?;
            Proof::of(leaves, place, checkpoint)
        });
        in_witnessed.or_else(|| Proof::of(&self.leaves, place, &self.checkpoint))
    }

    fn note(&mut self, leaf: &str, user_id: UserId) {
        let place = self.leaves.len();
        self.leaves.push(leaf_hash(leaf.as_bytes()));
        let Ok(Leaf::Record(record)) = serde_json::from_str(leaf) else {
            return;
        };
        let of_user = record.key.as_str().starts_with(&user_id.to_string());
        if of_user && record.record == Record::Manifest && record.found == Found::Same {
            let name = (record.key.as_str().to_owned(), record.sha256);
            self.manifests.insert(name, (place, leaf.to_owned()));
        }
    }
}

/// A manifest that a bundle proves.
#[derive(Debug)]
pub(crate) struct Checked {
    pub manifest: Manifest,
    pub key: ObjectKey,
    pub origin: String,
    /// The place of its leaf in the log, from 0.
    pub index: u64,
    /// How many leaves the log had.
    pub size: u64,
}

impl Bundle {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("is no file of `evidence export`: {error}"))?;
        if bundle.format != FORMAT {
            return Err(format!(
                "has the format {:?}, and not {FORMAT}",
                bundle.format
            ));
        }
        if bundle.records.is_empty() {
            return Err("has no record".to_owned());
        }
        Ok(bundle)
    }

    pub(crate) fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Failure::internal("cannot write the evidence", error))
    }

    /// What each record proves, or why it does not.
    pub(crate) fn check(&self, policy: &Policy) -> Vec<Result<Checked, String>> {
        let records = self.records.iter();
        records
            .map(|proved| proved.check(self.user_id, policy))
            .collect()
    }
}

impl Proved {
    fn check(&self, user_id: UserId, policy: &Policy) -> Result<Checked, String> {
        let key = self.key.as_str();
        let fault = |why: &str| format!("{key}: {why}");
        let Ok(Leaf::Record(leaf)) = serde_json::from_str::<Leaf>(&self.leaf) else {
            return Err(fault("its leaf is no record"));
        };
        self.check_leaf(&leaf, user_id).map_err(fault)?;
        let proof: Proof = self.proof.parse().map_err(fault)?;

        let mut signers = policy.logs.iter();
        let signed =
            signers.find_map(|log| Some((log, step::Checkpoint::open(&proof.checkpoint, log)?)));
        let (log, checkpoint) =
            signed.ok_or_else(|| fault("its checkpoint is not signed by a log of the policy"))?;
        if !policy.has_quorum(&proof.checkpoint) {
            return Err(fault(
                "its checkpoint is not cosigned by the quorum of witnesses that the policy asks for",
            ));
        }
        let root = proof.root(leaf_hash(self.leaf.as_bytes()), checkpoint.size);
        if root != Some(checkpoint.root) {
            return Err(fault(
                "it is not in the log: the proof leads to another root than the checkpoint has",
            ));
        }
        let manifest: Manifest = serde_json::from_str(&self.record)
            .map_err(|_json| fault("the record is no manifest that this release can read"))?;
        if manifest.user_id != user_id {
            return Err(fault("the manifest is of another user"));
        }
        Ok(Checked {
            manifest,
            key: self.key.clone(),
            origin: log.name().to_string(),
            index: proof.index,
            size: checkpoint.size,
        })
    }

    fn check_leaf(&self, leaf: &Written, user_id: UserId) -> Result<(), &'static str> {
        let owned = matches!(parse_key(user_id, &self.key), Some((Kind::Audit, _)));
        if !owned || leaf.key != self.key || leaf.record != Record::Manifest {
            return Err("the log has it under another name");
        }
        if leaf.sha256 != digest(self.record.as_bytes()) {
            return Err("it was changed: the log has another digest");
        }
        if leaf.found != Found::Same {
            return Err("the log says that something else was stored");
        }
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

//! Asks witnesses to cosign the last checkpoint. A witness remembers how far it saw the log, so that it also notices one that was
//! cut off at its end or written again.

use std::sync::Arc;

use bytes::Bytes;

use super::tree::Hash;
use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey, Witness, WitnessAnswer};
use crate::signed_note::WitnessKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A witness, and what this process knows of it.
pub(crate) struct Cosigner {
    pub(super) key: WitnessKey,
    witness: Arc<dyn Witness>,
    /// How many leaves it has seen; `None` before it was asked.
    pub(super) seen: Option<u64>,
    /// The step that it cosigned last.
    pub(super) number: u32,
    /// It did not answer the last time, which was said.
    fails: bool,
}

/// The checkpoint that is to be cosigned.
pub(super) struct Wanted<'a> {
    pub number: u32,
    pub size: u64,
    pub checkpoint: &'a str,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Became {
    Cosigned,
    /// It needs the proof from this number of leaves on.
    NeedsProof(u64),
    /// It has seen more leaves than the log has, or others.
    Contradicts(String),
    /// It has not answered as it should. It is asked again with the next step.
    Away,
}

impl Cosigner {
    pub(crate) fn new(key: WitnessKey, witness: Arc<dyn Witness>) -> Self {
        Self {
            key,
            witness,
            seen: None,
            number: 0,
            fails: false,
        }
    }

    /// Asks for a cosignature, and stores it under this key. `proof` is from the leaves on that it has seen.
    pub(super) async fn ask(
        &mut self,
        store: &dyn ArchiveStore,
        key: &ObjectKey,
        wanted: &Wanted<'_>,
        proof: &[Hash],
    ) -> Result<Became, Failure> {
        let old = self.seen.unwrap_or(wanted.size);
        let mut body = format!("old {old}\n");
        for hash in proof {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(wanted.checkpoint);

        let name = self.key.name();
        Ok(match self.witness.add_checkpoint(body).await {
            Ok(WitnessAnswer::Cosigned(lines)) => match self.ours(wanted.checkpoint, &lines) {
                Some(line) => {
                    store.put_once(key, Bytes::from(line), None).await?;
                    self.seen = Some(wanted.size);
                    self.number = wanted.number;
                    self.fails = false;
                    Became::Cosigned
                }
                None => self.away("its answer has no signature of its key"),
            },
            Ok(WitnessAnswer::Has(size)) if size > wanted.size => Became::Contradicts(format!(
                "the witness {name} has seen {size} leaves of the evidence log, which has {}: it was cut off at its end",
                wanted.size
            )),
            Ok(WitnessAnswer::Has(size)) if self.seen != Some(size) => {
                self.seen = Some(size);
                Became::NeedsProof(size)
            }
            Ok(WitnessAnswer::Has(_)) => self.away("it asks again for what it was sent"),
            Ok(WitnessAnswer::Contradicts) => Became::Contradicts(format!(
                "the witness {name} has seen another evidence log than the one that is stored: its {old} leaves are not those of \
                 the log"
            )),
            Err(why) => self.away(&why),
        })
    }

    /// The line of the answer that this witness signed.
    fn ours(&self, checkpoint: &str, lines: &str) -> Option<String> {
        let mut lines = lines.split_inclusive('\n');
        let is_ours = |line: &&str| {
            let note = [checkpoint, line].concat();
            self.key.cosigned_at(&note).is_some()
        };
        lines.find(is_ours).map(str::to_owned)
    }

    fn away(&mut self, why: &str) -> Became {
        let witness = self.key.name();
        if self.fails {
            tracing::debug!(%witness, why, "the witness has not cosigned the evidence log");
        } else {
            tracing::warn!(%witness, why, "the witness has not cosigned the evidence log; nothing waits for it");
        }
        self.fails = true;
        Became::Away
    }
}

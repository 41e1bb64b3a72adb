use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::sweep::Sweep;
use super::{Letter, LetterId, Pick};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::ports::queue::Broker;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::queue::Envelope;
use crate::registers::audit_log::{AuditLog, Change, Operator};

/// Takes letters off the queue for good, each after a copy of it is stored.
pub(crate) struct Discard<'a> {
    /// Where the letters are.
    pub broker: &'a dyn Broker,
    /// Where the copies go.
    pub store: &'a Arc<dyn ArchiveStore>,
    pub clock: &'a Clock,
    /// Who does it, and why.
    pub by: Operator,
}

/// What a discard did, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiscardTold {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Taken off.
    pub discarded: Vec<Discarded>,
    /// Those that somebody else took meanwhile.
    pub gone: Vec<Letter>,
}

/// A letter that was taken off for good.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Discarded {
    /// Which.
    pub letter: Letter,
    /// Where its copy is kept.
    pub copy: String,
}

impl DiscardTold {
    /// Of these letters, whose copies are in this store.
    pub(crate) fn new(
        dry_run: bool,
        store: &dyn ArchiveStore,
        discarded: Vec<Letter>,
        gone: Vec<Letter>,
    ) -> Self {
        let copy = |id: &LetterId| store.full_key(&copy_key(id));
        let discarded = discarded.into_iter();
        let discarded = discarded
            .map(|letter| Discarded {
                copy: copy(&letter.id),
                letter,
            })
            .collect();
        Self {
            dry_run,
            discarded,
            gone,
        }
    }
}

/// Where the copy of a letter is kept.
pub(crate) fn copy_key(id: &LetterId) -> ObjectKey {
    ObjectKey(format!("_dead_letter_{id}.json"))
}

impl Discard<'_> {
    /// The same as [`Self::run`], in the log of acts.
    pub(crate) async fn on_record(
        &self,
        pick: &Pick,
        letters: &[Letter],
        discarded: &mut Vec<Letter>,
    ) -> Result<Vec<Letter>, Failure> {
        let change = Change {
            what: "dead-letters discard",
            count: letters.len(),
            details: json!({ "of": pick.told() }),
        };
        let audit_log = AuditLog::new(Arc::clone(self.store), self.clock.clone());
        audit_log.record(&self.by, change).await?;
        self.run(letters, discarded).await
    }

    /// Discards these letters and no others; `discarded` tells how far it got, also on an error. Gives those
    /// that were not in the queue any more.
    pub(crate) async fn run(
        &self,
        letters: &[Letter],
        discarded: &mut Vec<Letter>,
    ) -> Result<Vec<Letter>, Failure> {
        let mut sweep = Sweep::new(self.broker, letters);
        while let Some((letter, delivery)) = sweep.next().await? {
            if let Some(user_id) = letter.user_id {
                crate::failpoint::arm(&user_id.to_string());
            }
            let copy =
                serde_json::to_vec(&self.copy(&letter, &delivery.envelope)).map_err(|error| {
                    Failure::internal("cannot write the copy of a dead letter", error)
                })?;
            // One that is there already is of a discard that was cut short: a letter's name tells its content.
            self.store
                .put_once(&copy_key(&letter.id), Bytes::from(copy), None)
                .await?;
            delivery.acknowledge().await?;
            discarded.push(letter);
        }
        let missed = sweep.close().await?;
        Ok(letters
            .iter()
            .filter(|letter| missed.contains(&letter.id))
            .cloned()
            .collect())
    }

    fn copy(&self, letter: &Letter, envelope: &Envelope) -> Value {
        let mut copy = json!(Whole::new(letter.clone(), envelope));
        if let Value::Object(copy) = &mut copy {
            let discarded =
                json!({ "at": self.clock.now(), "who": self.by.who, "why": self.by.why });
            copy.insert("discarded".to_owned(), discarded);
        }
        copy
    }
}

/// All of a letter: what it says of itself, headers, properties, body.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole {
    /// What it says of itself.
    pub letter: Letter,
    /// The exchange that it came over.
    pub exchange: String,
    /// The key that it came with.
    pub routing_key: String,
    /// All its headers.
    #[schema(value_type = Object)]
    pub headers: Value,
    /// The standard properties of AMQP.
    #[schema(value_type = Object)]
    pub properties: Value,
    /// The message, if it is text.
    pub body: Option<String>,
    /// The message's bytes.
    pub body_base64: String,
}

impl Whole {
    pub(crate) fn new(letter: Letter, envelope: &Envelope) -> Self {
        Self {
            letter,
            exchange: envelope.exchange.clone(),
            routing_key: envelope.routing_key.clone(),
            headers: envelope.properties.headers_json(),
            properties: envelope.properties.standard_json(),
            body: std::str::from_utf8(envelope.body()).ok().map(str::to_owned),
            body_base64: BASE64_STANDARD.encode(envelope.body()),
        }
    }
}

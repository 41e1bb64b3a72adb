//! Discards dead letters: takes them off the queue after a copy of each is in the archive store.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::DeadLetterError;
use super::items::Items;
use super::pick::with_whole_groups;
use super::scan::{SetScan, find};
use super::{DeadLetter, DeadLetterFilter, DeadLetterId, count_by_group};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::operations::tracker::{Interruption, Tracker};
use crate::ports::operations::Became;
use crate::ports::queue::{Broker, Delivery};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::queue::Envelope;
use crate::registers::audit_log::Recorded;

/// Where dead letters are discarded.
pub(crate) struct Discard<'a> {
    pub broker: &'a dyn Broker,
    /// For the copies, and for the audit log.
    pub store: &'a Arc<dyn ArchiveStore>,
    pub clock: &'a Clock,
}

/// The dead letters that a discard is going to take off.
pub(crate) struct DiscardPlan {
    filter: DeadLetterFilter,
    found: Vec<DeadLetter>,
}

impl DiscardPlan {
    /// Which ones were asked for, and the set.
    pub(crate) fn into_parts(self) -> (DeadLetterFilter, Vec<DeadLetter>) {
        (self.filter, self.found)
    }

    /// The number of dead letters to discard.
    pub(crate) fn to_discard(&self) -> usize {
        self.found.len()
    }

    /// For the question before the discard: the groups, and how many dead letters of each are going to be discarded.
    pub(crate) fn by_group(&self) -> BTreeMap<String, usize> {
        count_by_group(&self.found)
    }
}

/// The result of a discard, or of its dry run
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiscardResult {
    /// Whether this was a dry run, which changes nothing.
    pub dry_run: bool,
    /// Taken off the queue.
    pub discarded: Vec<Discarded>,
    /// Already taken off by someone else.
    pub gone: Vec<DeadLetter>,
    /// Why the discard ended early, if it did.
    #[serde(default)]
    pub stopped: Option<String>,
}

impl DiscardResult {
    /// The number of discarded dead letters of each group.
    pub(crate) fn by_group(&self) -> BTreeMap<String, usize> {
        count_by_group(self.discarded.iter().map(|one| &one.dead_letter))
    }
}

/// A dead letter that was taken off the queue
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Discarded {
    #[serde(rename = "letter")]
    pub dead_letter: DeadLetter,
    /// The full key of the copy in the archive store.
    pub copy: String,
}

fn copy_key(id: &DeadLetterId) -> ObjectKey {
    ObjectKey(format!("_dead_letter_{id}.json"))
}

impl Discard<'_> {
    /// Finds the dead letters that match. It changes nothing.
    pub(crate) async fn plan(
        &self,
        filter: DeadLetterFilter,
    ) -> Result<DiscardPlan, DeadLetterError> {
        let filter = with_whole_groups(self.broker, filter).await?;
        let found = find(self.broker, &filter).await?.dead_letters;
        Ok(DiscardPlan { filter, found })
    }

    /// What the discard would do.
    pub(crate) fn dry_run(&self, plan: DiscardPlan) -> DiscardResult {
        let found = plan.found.into_iter();
        DiscardResult {
            dry_run: true,
            discarded: found
                .map(|dead_letter| self.discarded(dead_letter))
                .collect(),
            gone: Vec::new(),
            stopped: None,
        }
    }

    /// Discards the dead letters of a set, and no others; those that were discarded before are in the result, too.
    pub(crate) async fn run(
        &self,
        set: &[DeadLetter],
        recorded: &Recorded,
        tracker: &Tracker,
    ) -> (DiscardResult, Result<Option<Interruption>, Failure>) {
        let ended = self.scan(set, recorded, tracker).await;
        let mut result = DiscardResult::default();
        if let Ok(Some(Interruption::Stopped(order))) = &ended {
            result.stopped = Some(format!("{} stopped the operation", order.who));
        }
        for (number, dead_letter) in (0..).zip(set) {
            match tracker.result(number).map(|result| result.became) {
                Some(Became::Discarded) => {
                    result.discarded.push(self.discarded(dead_letter.clone()));
                }
                Some(Became::Gone) => result.gone.push(dead_letter.clone()),
                Some(_) | None => {}
            }
        }
        (result, ended)
    }

    async fn scan(
        &self,
        set: &[DeadLetter],
        recorded: &Recorded,
        tracker: &Tracker,
    ) -> Result<Option<Interruption>, Failure> {
        let open = Items::open(set, tracker);
        let mut scan = SetScan::new(self.broker, &open.dead_letters());
        let mut interruption = tracker.interruption();
        while interruption.is_none() {
            let Some((dead_letter, delivery)) = scan.next().await? else {
                break;
            };
            interruption = tracker.turn().await;
            if interruption.is_some() {
                break;
            }
            self.one(&dead_letter, &delivery, recorded).await?;
            let item = open.item(&dead_letter);
            tracker
                .note(item, Became::Discarded, None, Value::Null)
                .await?;
        }

        let missed = scan.close().await?;
        if interruption.is_some() {
            return Ok(interruption);
        }
        for dead_letter in set.iter().filter(|one| missed.contains(&one.id)) {
            // The process that took it off may have died before it could note that.
            let copied = self.store.find(&copy_key(&dead_letter.id), None).await?;
            let became = if copied.is_some() {
                Became::Discarded
            } else {
                Became::Gone
            };
            let item = open.item(dead_letter);
            tracker.note(item, became, None, Value::Null).await?;
        }
        Ok(None)
    }

    async fn one(
        &self,
        dead_letter: &DeadLetter,
        delivery: &Delivery,
        recorded: &Recorded,
    ) -> Result<(), Failure> {
        if let Some(user_id) = dead_letter.user_id {
            crate::failpoint::arm(&user_id.to_string());
        }
        let copy = self.copy(dead_letter, &delivery.envelope, recorded);
        let copy = serde_json::to_vec(&copy)
            .map_err(|error| Failure::internal("cannot write the copy of a dead letter", error))?;

        // A copy that already exists is of a discard that was cut short: the ID is a hash of the content.
        self.store
            .put_once(&copy_key(&dead_letter.id), Bytes::from(copy), None)
            .await?;
        delivery.acknowledge().await?;
        Ok(())
    }

    fn discarded(&self, dead_letter: DeadLetter) -> Discarded {
        Discarded {
            copy: self.store.full_key(&copy_key(&dead_letter.id)),
            dead_letter,
        }
    }

    fn copy(&self, dead_letter: &DeadLetter, envelope: &Envelope, recorded: &Recorded) -> Value {
        let mut copy = json!(FullDeadLetter::new(dead_letter.clone(), envelope));
        if let Value::Object(copy) = &mut copy {
            let operator = recorded.operator();
            let discarded =
                json!({ "at": self.clock.now(), "who": operator.who, "why": operator.why });
            copy.insert("discarded".to_owned(), discarded);
        }
        copy
    }
}

/// A dead letter with its headers, properties and body
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FullDeadLetter {
    #[serde(rename = "letter")]
    pub dead_letter: DeadLetter,
    /// The exchange of the message.
    pub exchange: String,
    /// The routing key of the message.
    pub routing_key: String,
    /// All headers.
    #[schema(value_type = Object)]
    pub headers: Value,
    /// The standard properties of AMQP.
    #[schema(value_type = Object)]
    pub properties: Value,
    /// The body, if it is UTF-8.
    pub body: Option<String>,
    /// The bytes of the body, in Base64.
    pub body_base64: String,
}

impl FullDeadLetter {
    pub(crate) fn new(dead_letter: DeadLetter, envelope: &Envelope) -> Self {
        Self {
            dead_letter,
            exchange: envelope.exchange.clone(),
            routing_key: envelope.routing_key.clone(),
            headers: envelope.properties.headers_json(),
            properties: envelope.properties.standard_json(),
            body: std::str::from_utf8(envelope.body()).ok().map(str::to_owned),
            body_base64: BASE64_STANDARD.encode(envelope.body()),
        }
    }
}

//! Discards dead letters: takes them off the queue after a copy of each is in the archive store.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::DeadLetterError;
use super::pick::with_whole_groups;
use super::scan::{SetScan, find};
use super::{DeadLetter, DeadLetterFilter, DeadLetterId, count_by_group};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::operations::Partial;
use crate::ports::queue::{Broker, Delivery};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::queue::Envelope;
use crate::registers::audit_log::{AuditLog, Change, Operator, Recorded};

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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiscardResult {
    /// Whether this was a dry run, which changes nothing.
    pub dry_run: bool,
    /// Taken off the queue.
    pub discarded: Vec<Discarded>,
    /// Already taken off by someone else.
    pub gone: Vec<DeadLetter>,
}

impl DiscardResult {
    /// The number of discarded dead letters of each group.
    pub(crate) fn by_group(&self) -> BTreeMap<String, usize> {
        count_by_group(self.discarded.iter().map(|one| &one.dead_letter))
    }
}

/// A dead letter that was taken off the queue
#[derive(Debug, Serialize, ToSchema)]
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
        }
    }

    /// Records the discard in the audit log, then discards the dead letters of the plan, and no others.
    pub(crate) async fn execute(
        &self,
        plan: DiscardPlan,
        operator: &Operator,
    ) -> Partial<DiscardResult> {
        let result = DiscardResult {
            dry_run: false,
            discarded: Vec::new(),
            gone: Vec::new(),
        };
        if plan.found.is_empty() {
            return Partial::whole(result);
        }
        let change = Change {
            what: "dead-letters discard",
            count: plan.found.len(),
            details: json!({ "of": plan.filter.to_json() }),
        };
        let audit_log = AuditLog::new(Arc::clone(self.store), self.clock.clone());
        let recorded = match audit_log.record(operator, change).await {
            Ok(recorded) => recorded,
            Err(failure) => return Partial::cut_short(result, failure),
        };

        self.run(&plan.found, result, &recorded).await
    }

    async fn run(
        &self,
        found: &[DeadLetter],
        mut result: DiscardResult,
        recorded: &Recorded,
    ) -> Partial<DiscardResult> {
        let mut scan = SetScan::new(self.broker, found);
        loop {
            let next = scan.next().await.map_err(Failure::from);
            let discarded = match next {
                Ok(None) => break,
                Ok(Some((dead_letter, delivery))) => self
                    .one(&dead_letter, &delivery, recorded)
                    .await
                    .map(|()| dead_letter),
                Err(failure) => Err(failure),
            };
            match discarded {
                Ok(dead_letter) => result.discarded.push(self.discarded(dead_letter)),
                Err(failure) => return Partial::cut_short(result, failure),
            }
        }

        match scan.close().await {
            Ok(missed) => {
                let gone = found
                    .iter()
                    .filter(|dead_letter| missed.contains(&dead_letter.id));
                result.gone = gone.cloned().collect();
                Partial::whole(result)
            }
            Err(error) => Partial::cut_short(result, error.into()),
        }
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

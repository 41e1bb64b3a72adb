//! The events that announce how a job ended: CloudEvents 1.0, structured mode, JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>). Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::job::Request;
use crate::machine::{Deletion, StateName};
use crate::ports::batches::FinishedBatch;
use crate::queue::Envelope;
use crate::worker::run::{AccessGone, CancelledEnd, Ended, GivenUp};

/// An event, ready to be published. It may be published more than once, always with the same `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultEvent {
    pub(crate) routing_key: &'static str,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    /// It is about a batch, and not about the user of the message.
    pub(crate) is_of_batch: bool,
}

/// A user's access is removed, and the checkpoint says so. The same access is removed once, however
/// often a message asks for it.
pub(crate) fn of_access_removed(gone: &AccessGone, correlation_id: Option<&str>) -> ResultEvent {
    let user_id = gone.user_id;
    let revision = gone.evidence_revision;
    let request = &gone.request;
    let asked_at = request.requested_at.or(request.received_at);

    let mut data = requested(request, correlation_id);
    data.insert("userId".to_owned(), json!(user_id));
    data.insert("revision".to_owned(), json!(revision));
    if let Some(asked_at) = asked_at {
        // The requester's clock may be ahead of ours.
        let millis = gone.at.duration_since(asked_at).as_millis().max(0);
        let seconds = serde_json::Number::from_f64(as_seconds(millis));
        data.insert("secondsSinceRequest".to_owned(), json!(seconds));
        data.insert("requestedAt".to_owned(), json!(asked_at));
    }

    let event = Head {
        kind: "offboarding.user.access-removed",
        routing_key: "user.access-removed",
        id: format!("{user_id}/{revision}/access-removed"),
        subject: Some(user_id.to_string()),
        time: gone.at,
    };
    result_event(event, data)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a time span are far below 2^53"
)]
fn as_seconds(millis: i128) -> f64 {
    millis as f64 / 1000.0
}

/// No user of a batch has anything left to do. When that changes and comes true again, with other
/// counts, it is another event.
pub(crate) fn of_batch(batch: &FinishedBatch) -> ResultEvent {
    let FinishedBatch {
        batch_id,
        deleted,
        deactivated_only,
        dead_lettered,
        cancelled,
        ..
    } = batch;
    let data = [
        ("batchId", json!(batch_id.to_string())),
        ("users", json!(batch.users())),
        ("deleted", json!(deleted)),
        ("deactivatedOnly", json!(deactivated_only)),
        ("deadLettered", json!(dead_lettered)),
        ("cancelled", json!(cancelled)),
    ];
    let data = data.map(|(name, value)| (name.to_owned(), value));

    // Without cancelled users the ID is the one that earlier releases gave.
    let cancelled = match cancelled {
        0 => String::new(),
        some => format!("-{some}"),
    };
    let event = Head {
        kind: "offboarding.batch.finished",
        routing_key: "batch.finished",
        id: format!("{batch_id}/finished/{deleted}-{deactivated_only}-{dead_lettered}{cancelled}"),
        subject: Some(batch_id.to_string()),
        time: batch.at,
    };
    ResultEvent {
        is_of_batch: true,
        ..result_event(event, data.into_iter().collect())
    }
}

/// The request of a user is cancelled. One cancellation of a user is one event, however often the message comes.
pub(crate) fn of_cancelled(end: &CancelledEnd, correlation_id: Option<&str>) -> ResultEvent {
    let user_id = end.user_id;
    let mut data = requested(&end.request, correlation_id);
    data.insert("userId".to_owned(), json!(user_id));
    data.insert("revision".to_owned(), json!(end.revision));
    data.insert("state".to_owned(), json!(end.state));
    data.insert("cancelledBy".to_owned(), json!(end.cancelled.who));
    if let Some(why) = &end.cancelled.why {
        data.insert("why".to_owned(), json!(why));
    }

    let at = end.cancelled.at;
    let event = Head {
        kind: "offboarding.user.cancelled",
        routing_key: "user.cancelled",
        id: format!("{user_id}/cancelled/{at}"),
        subject: Some(user_id.to_string()),
        time: at,
    };
    result_event(event, data)
}

pub(crate) fn of_end(ended: &Ended, correlation_id: Option<&str>) -> ResultEvent {
    let user_id = ended.user_id;
    let (kind, routing_key) = match ended.state {
        StateName::Deleted => ("offboarding.user.deleted", "user.deleted"),
        StateName::Received
        | StateName::QueuesCleared
        | StateName::Deactivated
        | StateName::Archived
        | StateName::DeactivatedOnly => {
            ("offboarding.user.deactivated-only", "user.deactivated-only")
        }
    };
    let mut data = requested(&ended.request, correlation_id);

    data.insert("userId".to_owned(), json!(user_id));
    data.insert("revision".to_owned(), json!(ended.revision));
    data.insert("status".to_owned(), json!(ended.state));
    data.insert("manifest".to_owned(), json!(ended.manifest));
    if let Some(deletion) = &ended.deletion {
        data.insert("deletion".to_owned(), Value::Object(deletion_of(deletion)));
    }
    let event = Head {
        kind,
        routing_key,
        id: format!("{user_id}/{}", ended.revision),
        subject: Some(user_id.to_string()),
        time: ended.at,
    };
    result_event(event, data)
}

/// How the deletion ended, and what CXone answered if it was called.
fn deletion_of(deletion: &Deletion) -> Map<String, Value> {
    let members = [
        ("outcome", Some(json!(deletion.outcome))),
        ("status", deletion.status.map(|status| json!(status))),
        ("code", deletion.code.as_ref().map(|code| json!(code))),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The broker has the dead letter.
pub(crate) fn of_dead_letter(
    envelope: &Envelope,
    given_up: &GivenUp,
    at: Timestamp,
) -> ResultEvent {
    let correlation_id = envelope.properties.correlation_id.as_deref();
    let message = envelope.message().ok();
    let user_id = message.map(|message| message.user_id);
    let mut data = message
        .map(|message| requested(&message.request, correlation_id))
        .unwrap_or_default();

    if let Some(user_id) = user_id {
        data.insert("userId".to_owned(), json!(user_id));
    }
    data.insert("reason".to_owned(), json!(given_up.reason));
    data.insert(
        "code".to_owned(),
        json!(
            given_up
                .code
                .map_or(given_up.reason.as_str(), |code| code.as_str())
        ),
    );
    data.insert("error".to_owned(), json!(given_up.error));
    data.insert(
        "state".to_owned(),
        json!(given_up.state.map_or("", StateName::as_str)),
    );
    data.insert("attempts".to_owned(), json!(given_up.attempts));
    // A malformed message has no user: the digest of its bytes names it.
    let whose = user_id.map_or_else(
        || hex::encode(Sha256::digest(envelope.body())),
        |user_id| user_id.to_string(),
    );
    let event = Head {
        kind: "offboarding.user.dead-lettered",
        routing_key: "user.dead-lettered",
        id: format!("{whose}/dead-lettered/{at}"),
        subject: user_id.map(|user_id| user_id.to_string()),
        time: at,
    };
    result_event(event, data)
}

fn requested(request: &Request, correlation_id: Option<&str>) -> Map<String, Value> {
    let members = [
        (
            "batchId",
            request.batch_id.as_ref().map(ToString::to_string),
        ),
        ("requestedBy", request.requested_by.clone()),
        ("correlationId", correlation_id.map(str::to_owned)),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
        .collect()
}

/// What an event says besides its data.
struct Head {
    kind: &'static str,
    routing_key: &'static str,
    id: String,
    subject: Option<String>,
    time: Timestamp,
}

fn result_event(head: Head, data: Map<String, Value>) -> ResultEvent {
    let mut event = json!({
        "specversion": "1.0",
        "id": head.id,
        "source": "urn:offboarder",
        "type": head.kind,
        "time": head.time,
        "datacontenttype": "application/json",
    });
    if let Some(event) = event.as_object_mut() {
        let subject = head.subject.map(Value::String);
        event.extend(subject.map(|subject| ("subject".to_owned(), subject)));
        event.insert("data".to_owned(), Value::Object(data));
    }
    ResultEvent {
        routing_key: head.routing_key,
        id: head.id,
        body: event.to_string().into_bytes(),
        is_of_batch: false,
    }
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;

//! The events that announce how a job ended: CloudEvents 1.0, structured mode, JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>). Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::job::{Request, UserId};
use crate::machine::StateName;
use crate::queue::Envelope;
use crate::worker::run::{Ended, GivenUp};

/// An event, ready to be published. It may be published more than once, always with the same `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultEvent {
    pub(crate) routing_key: &'static str,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
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
    let id = format!("{user_id}/{}", ended.revision);

    result_event(kind, routing_key, id, Some(user_id), ended.at, data)
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
    let id = format!("{whose}/dead-lettered/{at}");
    let kind = "offboarding.user.dead-lettered";

    result_event(kind, "user.dead-lettered", id, user_id, at, data)
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

fn result_event(
    kind: &str,
    routing_key: &'static str,
    id: String,
    subject: Option<UserId>,
    time: Timestamp,
    data: Map<String, Value>,
) -> ResultEvent {
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "urn:offboarder",
        "type": kind,
        "time": time,
        "datacontenttype": "application/json",
    });
    if let Some(event) = event.as_object_mut() {
        event.extend(subject.map(|subject| ("subject".to_owned(), json!(subject))));
        event.insert("data".to_owned(), Value::Object(data));
    }
    ResultEvent {
        routing_key,
        id,
        body: event.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::machine::ManifestRef;
    use crate::queue::Properties;

    fn value(event: &ResultEvent) -> Value {
        let value: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(value["id"], event.id);
        value
    }

    #[test]
    fn an_end_is_announced_alike_however_often() {
        let ended = Ended {
            user_id: "3F1F0D4E-9A51-4B4B-8F6C-1F9A4F9B7C11".parse().unwrap(),
            state: StateName::DeactivatedOnly,
            revision: 2,
            at: Timestamp::UNIX_EPOCH,
            request: Request {
                batch_id: Some("b-1".parse().unwrap()),
                ..Request::default()
            },
            manifest: Some(ManifestRef {
                key: "p/k.json".to_owned(),
                sha256: "ab".to_owned(),
            }),
        };
        let event = of_end(&ended, None);
        assert_eq!(event, of_end(&ended, None));
        assert_eq!(event.routing_key, "user.deactivated-only");
        let event = value(&event);
        assert_eq!(event["id"], "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11/2");
        assert_eq!(event["subject"], "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11");
        assert_eq!(event["data"]["status"], "DeactivatedOnly");
        assert_eq!(event["data"]["manifest"]["key"], "p/k.json");
        assert_eq!(
            (&event["data"]["batchId"], event["data"].get("requestedBy")),
            (&json!("b-1"), None)
        );
    }

    #[test]
    fn a_dead_letter_without_a_user_has_no_subject() {
        let given_up = GivenUp {
            reason: Reason::MalformedMessage,
            error: "no message".to_owned(),
            code: None,
            state: None,
            attempts: 0,
        };
        let properties = Properties {
            correlation_id: Some("c".to_owned()),
            ..Properties::default()
        };
        let event = |body: &[u8]| {
            let envelope = Envelope::of_test("offboarding", "users", properties.clone(), body);
            value(&of_dead_letter(&envelope, &given_up, Timestamp::UNIX_EPOCH))
        };
        assert_ne!(event(b"\xff")["id"], event(b"\xfe")["id"]);

        let event = event(b"\xff");
        assert_eq!(event.get("subject"), None);
        assert_eq!(
            (&event["data"]["code"], &event["data"]["state"]),
            (&json!("malformed_message"), &json!(""))
        );
        assert_eq!(event["type"], "offboarding.user.dead-lettered");
    }
}

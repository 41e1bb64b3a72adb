//! That an operator cancelled a request, and which requests that covers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::{BatchId, Request};

/// Who cancelled the request of a user, when and why
///
/// It stays until the user is submitted again. The state is the last completed step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancelled {
    /// When it was cancelled. Requests until then are covered.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The operator.
    pub who: String,
    /// Why, in the words of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The batch that was cancelled; null if the user was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// When the message comes up that was delayed then; it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub message_due: Option<Timestamp>,
    /// What the user got back, if the user was reactivated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactivation: Option<Reactivation>,
}

/// What a reactivation gave back
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reactivation {
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many things were given back, or were there already.
    pub given_back: u64,
    /// How many could not be given back; the record names them.
    pub not_given_back: u64,
    /// The key of the record in the archive store.
    pub record: String,
}

impl Cancelled {
    /// Whether it covers this request of the user. A request without a time is covered, and so is one from the future: a
    /// publisher must not get past a cancellation by a time that it makes up.
    pub(crate) fn covers(&self, request: &Request, now: Timestamp) -> bool {
        let of_batch = self.batch_id.is_none() || self.batch_id == request.batch_id;
        // Nobody asked later than a worker had the message, whatever the publisher's clock said.
        let asked_before = request.requested_at.is_none_or(|asked| {
            let asked_by = request.received_at.unwrap_or(asked).min(asked);
            asked_by <= self.at || asked > now
        });
        of_batch && asked_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn asked(second: Option<i64>, batch: Option<&str>) -> Request {
        Request {
            requested_at: second.map(at),
            batch_id: batch.map(|batch| batch.parse().unwrap()),
            ..Request::default()
        }
    }

    fn cancelled(batch: Option<&str>) -> Cancelled {
        Cancelled {
            at: at(100),
            who: "ada".to_owned(),
            why: None,
            batch_id: batch.map(|batch| batch.parse().unwrap()),
            message_due: None,
            reactivation: None,
        }
    }

    #[test]
    fn a_cancellation_covers_what_was_asked_before_it_and_what_has_no_time() {
        let covers = |second| cancelled(None).covers(&asked(second, Some("b")), at(200));
        assert!(covers(Some(99)) && covers(Some(100)) && covers(None));
        assert!(!covers(Some(101)) && !covers(Some(200)));
        assert!(covers(Some(201)), "a time in the future is made up");
    }

    #[test]
    fn a_message_that_a_worker_had_before_the_order_stays_covered_when_its_time_is_over() {
        let mut request = asked(Some(130), None);
        assert!(!cancelled(None).covers(&request, at(140)));
        request.received_at = Some(at(99));
        assert!(cancelled(None).covers(&request, at(120)));
        assert!(cancelled(None).covers(&request, at(140)));
        request.received_at = Some(at(135));
        assert!(!cancelled(None).covers(&request, at(140)));
    }

    #[test]
    fn a_cancelled_batch_covers_its_own_requests_only() {
        let covers = |batch| cancelled(Some("b")).covers(&asked(None, batch), at(200));
        assert!(covers(Some("b")));
        assert!(!covers(Some("c")) && !covers(None));
    }

    #[test]
    fn it_reads_back_and_an_old_checkpoint_has_none() {
        let text = serde_json::to_string(&cancelled(None)).unwrap();
        assert_eq!(text, r#"{"at":"1970-01-01T00:01:40Z","who":"ada"}"#);
        assert_eq!(
            serde_json::from_str::<Cancelled>(&text).unwrap(),
            cancelled(None)
        );
    }
}

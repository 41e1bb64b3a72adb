//! What is asked of a user, as a message says it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::report::NotMovedReason;
use crate::failure::Failure;
use crate::job::{Action, Request, UserId, parse_message};

/// The body of a message that asks for the same.
pub(super) fn body_of(user_id: UserId, request: &Request) -> Result<Vec<u8>, Failure> {
    let action = match request.action {
        // A message that names the deletion repeats one that was refused.
        Action::Delete => None,
        Action::Deactivate => Some(json!("deactivate")),
    };
    let members = [
        ("userId", Some(json!(user_id))),
        (
            "batchId",
            request.batch_id.as_ref().map(|batch| json!(batch)),
        ),
        ("action", action),
        ("deleteAfter", request.delete_after.map(|at| json!(at))),
        (
            "requestedBy",
            request.requested_by.as_ref().map(|by| json!(by)),
        ),
        ("reason", request.reason.as_ref().map(|why| json!(why))),
        ("requestedAt", request.requested_at.map(|at| json!(at))),
    ];
    let members: Map<String, Value> = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let body = serde_json::to_vec(&members)
        .map_err(|error| Failure::internal("cannot write a message", error))?;

    // A message that asks for less time or for more than the stored request must never be sent.
    let asks_the_same = parse_message(&body, Timestamp::UNIX_EPOCH).is_ok_and(|(user, read)| {
        let said = |request: &Request| {
            let batch = request.batch_id.clone();
            let texts = [request.requested_by.clone(), request.reason.clone()];
            let times = [request.delete_after, request.requested_at];
            (request.action, batch, times, texts)
        };
        user == user_id && said(&read) == said(request)
    });
    if asks_the_same {
        Ok(body)
    } else {
        let why = "it would be read otherwise";
        Err(Failure::internal("the request cannot be repeated", why))
    }
}

/// The last of the requests that wait for a user, if it may be done first: none of the others deletes later, or not at all.
pub(super) fn agreed(
    requests: Vec<Option<Request>>,
    is_cancelled: impl Fn(&Request) -> bool,
    now: Timestamp,
) -> Result<Request, NotMovedReason> {
    if requests.is_empty() || requests.iter().any(Option::is_none) {
        return Err(NotMovedReason::RequestNotStored);
    }
    let mut live: Vec<Request> = requests.into_iter().flatten().collect();
    live.retain(|request| !is_cancelled(request));
    let Some(last) = live.pop() else {
        return Err(NotMovedReason::Cancelled);
    };
    let is_lesser = |other: &Request| {
        let deletes_later =
            other.delete_after.is_some_and(|at| at > now) && other.delete_after > last.delete_after;
        let only_deactivates = other.action == Action::Deactivate && last.action == Action::Delete;
        deletes_later || only_deactivates
    };
    if live.iter().any(is_lesser) {
        return Err(NotMovedReason::RequestsDiffer);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn request(action: Action, delete_after: Option<i64>) -> Request {
        Request {
            action,
            delete_after: delete_after.map(at),
            requested_at: Some("2026-11-30T01:02:03.123456789Z".parse().unwrap()),
            batch_id: Some("b-1".parse().unwrap()),
            requested_by: Some("\u{202e}<hr>\n".to_owned()),
            reason: Some("\"\\".to_owned()),
            ..Request::default()
        }
    }

    #[test]
    fn a_message_asks_for_what_the_stored_request_asks_for() {
        let user_id: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        for action in [Action::Delete, Action::Deactivate] {
            for request in [
                request(action, Some(9)),
                request(action, None),
                Request::default(),
            ] {
                let body = body_of(user_id, &request).unwrap();
                let read = parse_message(&body, at(0)).unwrap().1;
                assert_eq!(read.delete_after, request.delete_after);
                assert_eq!(read.requested_at, request.requested_at);
                assert_eq!(
                    (read.action, &read.reason),
                    (request.action, &request.reason)
                );
                assert!(!read.action_named || read.action == Action::Deactivate);
            }
        }
    }

    #[test]
    fn of_several_requests_the_last_one_counts_unless_another_deletes_later_or_not_at_all() {
        use NotMovedReason::{Cancelled, RequestNotStored, RequestsDiffer};
        let delete = |after| Some(request(Action::Delete, after));
        let deactivate = || Some(request(Action::Deactivate, None));
        let judged = |requests: Vec<Option<Request>>| {
            agreed(
                requests,
                |request| request.delete_after == Some(at(66)),
                at(50),
            )
        };
        assert_eq!(judged(vec![]).unwrap_err(), RequestNotStored);
        assert_eq!(
            judged(vec![None, delete(None)]).unwrap_err(),
            RequestNotStored
        );
        assert_eq!(
            judged(vec![delete(Some(99)), delete(None)]).unwrap_err(),
            RequestsDiffer
        );
        assert_eq!(
            judged(vec![deactivate(), delete(None)]).unwrap_err(),
            RequestsDiffer
        );
        assert_eq!(judged(vec![delete(Some(66))]).unwrap_err(), Cancelled);
        let last = judged(vec![delete(Some(40)), delete(Some(66)), delete(Some(99))]).unwrap();
        assert_eq!(last.delete_after, Some(at(99)));
        let last = judged(vec![delete(Some(40)), delete(None)]).unwrap();
        assert_eq!(last.delete_after, None);
    }
}

//! What an order asks of each of its users: what their messages say besides the ID. Who waits in a queue is known by nothing
//! else, since no broker shows a message without taking it.

use serde::{Deserialize, Serialize};

use crate::job::Request;

/// A part has at most this many different requests; those of a file with a time of its own in each row are not kept.
const MOST: usize = 50;

/// The requests of a part. Most orders ask the same of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PartRequests {
    /// Each once.
    distinct: Vec<Request>,
    /// Which of them is asked of each user, in the order of the users. Empty: the first one of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<usize>,
}

impl PartRequests {
    /// Of these users, in their order; nothing if they are too different, or if one has a reason of its own and not that of the
    /// order: it may say something about the person, and an order is never erased.
    pub(crate) fn new(requests: impl IntoIterator<Item = Request>, why: Option<&str>) -> Self {
        let mut all = Self::default();
        for request in requests {
            if request.reason.is_some() && request.reason.as_deref() != why {
                return Self::default();
            }
            let request = Request {
                received_at: None,
                message_sha256: None,
                order: None,
                ..request
            };
            let known = all.distinct.iter().position(|known| *known == request);
            let place = known.unwrap_or(all.distinct.len());
            if known.is_none() {
                all.distinct.push(request);
            }
            if all.distinct.len() > MOST {
                return Self::default();
            }
            all.places.push(place);
        }
        if all.distinct.len() == 1 {
            all.places.clear();
        }
        all
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.distinct.is_empty()
    }

    /// What is asked of the user at this place.
    pub(super) fn of(&self, place: usize) -> Option<&Request> {
        let place = match self.places.as_slice() {
            [] => 0,
            places => *places.get(place)?,
        };
        self.distinct.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(by: &str, sha256: &str) -> Request {
        Request {
            requested_by: Some(by.to_owned()),
            message_sha256: Some(sha256.to_owned()),
            ..Request::default()
        }
    }

    fn by(requests: &PartRequests, place: usize) -> Option<&str> {
        requests.of(place)?.requested_by.as_deref()
    }

    #[test]
    fn each_user_has_the_own_request_and_those_that_are_the_same_are_kept_once() {
        let same = PartRequests::new([request("hr", "a"), request("hr", "b")], None);
        assert_eq!((same.distinct.len(), same.places.len()), (1, 0));
        assert_eq!([0, 1].map(|place| by(&same, place)), [Some("hr"); 2]);
        assert_eq!(same.of(0).unwrap().message_sha256, None);

        let mixed = PartRequests::new(["hr", "it", "hr"].map(|who| request(who, "a")), None);
        let mixed = serde_json::to_string(&mixed).unwrap();
        let mixed: PartRequests = serde_json::from_str(&mixed).unwrap();
        let expected = [Some("hr"), Some("it"), Some("hr"), None];
        assert_eq!([0, 1, 2, 3].map(|place| by(&mixed, place)), expected);
    }

    #[test]
    fn a_reason_is_kept_if_it_is_that_of_the_order_alone() {
        let reason = |text: &str| Request {
            reason: Some(text.to_owned()),
            ..Request::default()
        };
        let kept = PartRequests::new([reason("they left"), Request::default()], Some("they left"));
        assert_eq!(kept.of(0).unwrap().reason.as_deref(), Some("they left"));
        assert_eq!(kept.of(1).unwrap().reason, None);
        let own = PartRequests::new([reason("they left"), reason("theft")], Some("they left"));
        assert!(own.is_empty());
        assert!(PartRequests::new([reason("theft")], None).is_empty());
    }

    #[test]
    fn requests_that_are_all_different_are_not_kept() {
        let many = (0..=MOST).map(|number| request(&number.to_string(), "a"));
        let many = PartRequests::new(many, None);
        assert!(many.is_empty() && many.of(0).is_none());
    }
}

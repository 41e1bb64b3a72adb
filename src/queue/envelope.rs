use bytes::Bytes;
use jiff::Timestamp;

use super::headers::{
    ADMITTED, DEATH, DEATHS, DELIVERY_COUNT, NOT_BEFORE, ORDER, PLACEHOLDER_SINCE, REFUSED,
    REVISION, dead_letter,
};
use super::names::JOBS_EXCHANGE;
use super::{AddedHeaders, Properties, delay};
use crate::job::{Malformed, OrderName, Request, Source, UserId, parse_message};

/// A message as the broker delivers it, before the allow-list: anybody may have written anything into it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    /// The broker delivered it before.
    pub(crate) redelivered: bool,
    pub(crate) properties: Properties,
    pub(crate) body: Vec<u8>,
}

/// A message behind the allow-list, with its body parsed. Cheap to clone except for the properties.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: Properties,
    body: Bytes,
    message: Result<Message, Malformed>,
}

/// Whom a message asks to off-board, and how.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) user_id: UserId,
    /// Without `received_at`: a run says when it received the request.
    pub(crate) request: Request,
}

impl Envelope {
    /// Parses the body. Messages of a broker come through [`super::admit`] and [`super::admit_dead_letter`].
    pub(super) fn new(
        exchange: String,
        routing_key: String,
        properties: Properties,
        body: impl Into<Bytes>,
    ) -> Self {
        let body = body.into();
        let message = parse(&body).and_then(|message| with_order(message, &properties));
        Self {
            exchange,
            routing_key,
            properties,
            body,
            message,
        }
    }

    #[cfg(test)]
    pub(crate) fn of_test(
        exchange: &str,
        routing_key: &str,
        properties: Properties,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let body: Vec<u8> = body.into();
        Self::new(
            exchange.to_owned(),
            routing_key.to_owned(),
            properties,
            body,
        )
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the body asks for, or why it is no message of ours.
    pub(crate) const fn message(&self) -> Result<&Message, &Malformed> {
        self.message.as_ref()
    }

    /// The same message with other properties.
    pub(crate) fn with_properties(&self, properties: Properties) -> Self {
        Self {
            properties,
            ..self.clone()
        }
    }

    /// The same message with no more than the first bytes of its body.
    #[must_use]
    pub(crate) fn cut_to(self, bytes: usize) -> Self {
        let body = self.body.slice(..bytes.min(self.body.len()));
        Self::new(self.exchange, self.routing_key, self.properties, body)
    }

    /// Why the allow-list found the message too large or too deep, if it did.
    pub(crate) fn refused(&self) -> Option<String> {
        self.properties.text(REFUSED)
    }

    /// Whether RabbitMQ routed a publisher's message to `source` in addition, by a key in `CC` or `BCC`: the queue
    /// of the key that it was published with has it, too.
    pub(crate) fn is_copy(&self, source: Source) -> bool {
        let elsewhere = |other: Source| other != source && other.routing_key() == self.routing_key;
        self.exchange == JOBS_EXCHANGE && Source::ALL.into_iter().any(elsewhere)
    }

    /// Until when the job waits, if it was delayed.
    pub(crate) fn delayed_until(&self, now: Timestamp) -> Option<Timestamp> {
        delay::delayed_until(&self.properties, now)
    }

    /// Since when the job could have been worked on: since it was due, if it was delayed, or since it was requested.
    pub(crate) fn waits_since(&self, now: Timestamp) -> Timestamp {
        let requested_at = || self.message().ok()?.request.requested_at;
        self.properties
            .time(NOT_BEFORE)
            .or_else(requested_at)
            .map_or(now, |since| since.min(now))
    }

    /// Which off-boarding of a user who came back it is about.
    pub(crate) fn revision(&self) -> Option<u32> {
        u32::try_from(self.properties.number(REVISION)?).ok()
    }

    /// Whether the user is not held back for want of an order.
    pub(crate) fn is_admitted(&self) -> bool {
        self.properties.headers.contains_key(ADMITTED)
    }

    /// Since when the message is a placeholder for work that was under way then.
    pub(crate) fn placeholder_since(&self) -> Option<Timestamp> {
        self.properties.time(PLACEHOLDER_SINCE)
    }

    /// When a dead letter was given up: by a worker, or by RabbitMQ.
    pub(crate) fn dead_lettered_at(&self) -> Option<Timestamp> {
        let by_worker = || self.properties.text(dead_letter::AT)?.parse().ok();
        let by_broker = || {
            let death = self.properties.headers.get(DEATH)?.to_json();
            Timestamp::from_second(death.pointer("/0/time")?.as_i64()?).ok()
        };
        by_worker().or_else(by_broker)
    }

    /// Whether it was in flight to a worker before, which died or lost its connection.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.properties
            .number(DELIVERY_COUNT)
            .is_some_and(|count| count > 0)
    }

    /// How often a worker or its connection died with this message in flight: as the quorum queue counts it, plus
    /// what was counted before it was last requeued.
    pub(crate) fn deaths(&self) -> i64 {
        let number = |header| self.properties.number(header).unwrap_or(0).max(0);
        number(DELIVERY_COUNT).saturating_add(number(DEATHS))
    }

    /// The header that keeps the count of deaths when the message is requeued.
    pub(crate) fn deaths_header(&self) -> AddedHeaders {
        match self.deaths() {
            0 => Vec::new(),
            deaths => vec![(DEATHS, deaths.into())],
        }
    }
}

fn parse(body: &[u8]) -> Result<Message, Malformed> {
    let (user_id, mut request) = parse_message(body, Timestamp::UNIX_EPOCH)?;
    request.received_at = None;
    Ok(Message { user_id, request })
}

/// The message with the order that it claims. A claim that cannot be read is a fault: without it, the message would ask
/// for something else.
fn with_order(mut message: Message, properties: &Properties) -> Result<Message, Malformed> {
    if properties.headers.contains_key(ORDER) {
        let named = properties.text(ORDER).unwrap_or_default();
        let name = named.parse::<OrderName>().map_err(|why| Malformed {
            faults: vec![format!("header {ORDER}: {why}")],
        })?;
        message.request.order = Some(name);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::super::HeaderValue;
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn a_copy_by_cc_is_distinguished_from_the_message_and_from_what_others_route() {
        let is_copy = |exchange, key, source| {
            Envelope::of_test(exchange, key, Properties::default(), ID).is_copy(source)
        };
        assert!(is_copy(JOBS_EXCHANGE, "users", Source::Archive));
        assert!(is_copy(JOBS_EXCHANGE, "users", Source::UsersUrgent));
        assert!(
            !is_copy(JOBS_EXCHANGE, "users", Source::Users),
            "the message itself"
        );
        assert!(
            !is_copy(JOBS_EXCHANGE, "hr.leavers", Source::Users),
            "a binding of an operator"
        );
        assert!(!is_copy("", "offboarding.users", Source::Users), "a shovel");
        assert!(!is_copy("other", "users", Source::Archive));
    }

    #[test]
    fn the_body_is_parsed_once_and_again_only_when_it_is_cut() {
        let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", Properties::default(), ID);
        let message = envelope.message().unwrap();
        assert_eq!(message.user_id.to_string(), ID);
        assert_eq!(message.request.received_at, None);
        assert!(message.request.message_sha256.is_some());

        let cut = envelope.cut_to(10);
        assert_eq!(cut.body(), &ID.as_bytes()[..10]);
        assert!(cut.message().is_err());
        assert_eq!(cut.cut_to(100).body().len(), 10);
    }

    #[test]
    fn a_message_names_the_order_of_its_header_and_one_that_cannot_be_read_is_malformed() {
        let message = |value: HeaderValue| {
            let properties = Properties::of_headers([(ORDER, value)]);
            let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, ID);
            let message = envelope
                .message()
                .map(|message| message.request.order.clone());
            message.map_err(ToString::to_string)
        };
        let name = "0a".repeat(32);
        let named = message(name.as_str().into()).unwrap().unwrap();
        assert_eq!(named.to_string(), name);
        for odd in [
            HeaderValue::from("x"),
            name.to_uppercase().as_str().into(),
            7_i64.into(),
            HeaderValue::Void,
        ] {
            let fault = message(odd.clone()).unwrap_err();
            assert!(fault.contains("offboarding-order"), "{odd:?}: {fault}");
        }
    }

    #[test]
    fn deaths_before_and_after_a_requeue_add_up() {
        let deaths = |headers: Vec<(&str, HeaderValue)>| {
            let properties = Properties::of_headers(headers);
            let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, ID);
            (envelope.deaths(), envelope.deaths_header())
        };
        assert_eq!(deaths(vec![]), (0, vec![]));
        assert_eq!(
            deaths(vec![
                (DELIVERY_COUNT, HeaderValue::I32(2)),
                (DEATHS, 3_i64.into())
            ]),
            (5, vec![(DEATHS, 5_i64.into())])
        );
        assert_eq!(deaths(vec![(DEATHS, (-7_i64).into())]).0, 0);
    }
}

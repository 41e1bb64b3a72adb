use jiff::Timestamp;

use super::*;
use crate::failure::Reason;
use crate::ports::memory_queue::MemoryBroker;
use crate::ports::queue::Broker as _;
use crate::queue::Properties;
use crate::queue::headers::{REVISION, dead_letter};
use crate::queue::names::DEAD_LETTER_QUEUE;

#[test]
fn a_message_that_the_broker_refuses_loses_headers_first_then_its_work_then_its_body() {
    let mut properties =
        Properties::of_headers([("tenant", "emea".into()), (REVISION, 2_u32.into())]);
    properties.correlation_id = Some("c-1".to_owned());
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, vec![b'x'; 2000]);

    let tried = Form::ALL.map(|form| {
        let content = form.envelope(&envelope);
        let outcome = form.outcome(&Outcome::MoveToArchiveLane, "too long");
        let given_up = match outcome.into_owned() {
            Outcome::DeadLetter(given_up) => Some((given_up.reason, given_up.error)),
            other => {
                assert_eq!(other, Outcome::MoveToArchiveLane);
                None
            }
        };
        (
            content.properties.headers.len(),
            content.properties.correlation_id.is_some(),
            content.body().len(),
            given_up,
        )
    });

    let why = "RabbitMQ does not take the message on: too long".to_owned();
    let given_up = Some((Reason::MalformedMessage, why));
    assert_eq!(
        tried,
        [
            (2, true, 2000, None),
            (1, false, 2000, None),
            (1, false, 2000, given_up.clone()),
            (1, false, 1024, given_up),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_broker_refuses_in_one_form_is_published_in_the_next() {
    let refused = QueueError::MessageRefused {
        exchange: JOBS_EXCHANGE.to_owned(),
        key: "archive".to_owned(),
        why: "too long".to_owned(),
    };
    let broker = MemoryBroker::default();
    broker.put(Source::Users, "a body");
    let mut intake = broker.open_intake(1).await.unwrap();
    let (source, delivery) = intake.next().await.unwrap();
    for _whole_and_bare in 0..2 {
        broker.fail_publish(refused.clone());
    }

    let settler = Settler {
        publisher: &broker,
        clock: &Clock::system(),
        delayed: &Delayed::default(),
        worker: "w-1",
    };
    let settlement = Settlement {
        outcome: &Outcome::MoveToArchiveLane,
        source,
        ended_at: Timestamp::UNIX_EPOCH,
    };
    settler.settle(&delivery, settlement).await.unwrap();

    let given_up = broker.messages(DEAD_LETTER_QUEUE);
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].body, b"a body");
    let error = given_up[0].properties.text(dead_letter::ERROR).unwrap();
    assert!(error.contains("too long"), "{error}");
    assert_eq!(broker.messages(Source::Archive.queue()).len(), 0);
    assert_eq!(broker.in_flight(), 0);
}

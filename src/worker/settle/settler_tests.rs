use jiff::Timestamp;

use super::*;

use crate::failure::Reason;
use crate::job::Request;
use crate::machine::StateName;
use crate::ports::memory_queue::{MemoryBroker, broken};
use crate::ports::queue::Broker as _;
use crate::queue::Properties;
use crate::queue::headers::{REVISION, dead_letter};
use crate::queue::names::DEAD_LETTER_QUEUE;
use crate::worker::run::{AccessGone, Ended};

#[test]
fn a_message_that_the_broker_refuses_loses_headers_first_then_its_work_then_its_body() {
    let mut properties =
        Properties::of_headers([("tenant", "emea".into()), (REVISION, 2_u32.into())]);
    properties.correlation_id = Some("c-1".to_owned());
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, vec![b'x'; 2000]);

    let tried = Form::ALL.map(|form| {
        let content = form.envelope(&envelope);
        let outcome = form.outcome(&Outcome::MoveToArchiveLane(None), "too long");
        let given_up = match outcome.into_owned() {
            Outcome::DeadLetter(given_up) => Some((given_up.reason, given_up.error)),
            other => {
                assert_eq!(other, Outcome::MoveToArchiveLane(None));
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
        outcome: &Outcome::MoveToArchiveLane(None),
        source,
        ended_at: Timestamp::UNIX_EPOCH,
        finished_batch: None,
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

fn access_gone() -> AccessGone {
    AccessGone {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        evidence_revision: 1,
        at: Timestamp::UNIX_EPOCH,
        request: Request::default(),
    }
}

/// Settles a message of the access lane; the keys of the jobs and the types of the events that
/// follow.
async fn published(broker: &MemoryBroker, outcome: &Outcome) -> Result<Vec<String>, QueueError> {
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", Properties::default(), "x");
    let publisher = broker.publisher(2);
    let settler = Settler {
        publisher: &*publisher,
        clock: &Clock::system(),
        delayed: &Delayed::default(),
        worker: "w-1",
    };
    let settlement = Settlement {
        outcome,
        source: Source::Users,
        ended_at: Timestamp::UNIX_EPOCH,
        finished_batch: None,
    };
    settler.publish_successor(&envelope, settlement).await?;

    let jobs = broker.messages(Source::Archive.queue()).into_iter();
    let jobs = jobs.map(|job| job.routing_key);
    let events = broker.events().into_iter();
    let types = events.map(|event| event["type"].as_str().unwrap().to_owned());
    Ok(jobs.chain(types).collect())
}

#[tokio::test]
async fn that_access_is_gone_is_announced_with_the_move_to_the_archive_lane() {
    let broker = MemoryBroker::default();
    let moved = Outcome::MoveToArchiveLane(Some(Box::new(access_gone())));
    let published_now = published(&broker, &moved).await.unwrap();
    assert_eq!(
        published_now,
        ["archive", "offboarding.user.access-removed"]
    );
}

#[tokio::test]
async fn a_delivery_is_not_settled_before_each_of_its_events_is_published() {
    let finished = Outcome::Finished(Box::new(Ended {
        user_id: access_gone().user_id,
        state: StateName::Deleted,
        revision: 1,
        at: Timestamp::UNIX_EPOCH,
        request: Request::default(),
        manifest: None,
        deletion: None,
        access_gone: Some(access_gone()),
    }));
    let moved = Outcome::MoveToArchiveLane(Some(Box::new(access_gone())));

    for (outcome, expected) in [(&finished, 2), (&moved, 2)] {
        for failing in 1..=2 {
            let broker = MemoryBroker::default();
            for _ in 0..failing {
                broker.fail_publish(broken("publish"));
            }
            assert!(published(&broker, outcome).await.is_err());
            let again = published(&broker, outcome).await.unwrap();
            assert!(again.len() >= expected, "{again:?}");
        }
    }
}

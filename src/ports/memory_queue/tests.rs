use super::*;
use crate::ports::queue::{Broker as _, Publisher as _};
use crate::queue::names::{DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, EVENTS_EXCHANGE};

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_and_is_counted() {
    let broker = MemoryBroker::default();
    broker.put(Source::Users, "x");
    for deaths in 0..3 {
        let mut intake = broker.open_intake(1).await.unwrap();
        let (source, delivery) = intake.next().await.unwrap();
        assert_eq!(source, Source::Users);
        assert_eq!(delivery.envelope.deaths(), deaths);
        assert_eq!(broker.in_flight(), 1);
        drop(intake);
        assert!(!delivery.is_usable() && delivery.acknowledge().await.is_err());
    }

    let mut intake = broker.open_intake(1).await.unwrap();
    let (_, delivery) = intake.next().await.unwrap();
    delivery.acknowledge().await.unwrap();
    drop(intake);
    assert!(broker.messages(Source::Users.queue()).is_empty());
}

#[tokio::test]
async fn a_delayed_message_comes_back_to_its_queue_when_its_delay_ends() {
    let broker = MemoryBroker::default();
    let [first, ..] = DELAYS;
    let properties = Properties::default();
    broker
        .publish(&delay_exchange(first), "archive", b"x", &properties)
        .await
        .unwrap();
    assert_eq!(broker.delayed(), 1);
    broker.end_delays();
    assert_eq!(broker.delayed(), 0);
    assert_eq!(broker.messages(Source::Archive.queue()).len(), 1);
}

#[tokio::test]
async fn it_refuses_blocks_and_is_away_on_demand() {
    let broker = MemoryBroker::default();
    let properties = Properties::default();
    let publish = || broker.publish(DEAD_LETTER_EXCHANGE, "users", b"x", &properties);
    broker.fail_publish(broken("publish"));
    assert!(publish().await.is_err());
    assert!(publish().await.is_ok());

    broker.raise_alarm(Some("low on memory"));
    let alarm = broker.blocked_because();
    assert_eq!(alarm.as_deref(), Some("low on memory"));

    broker.fail_connect(Some(broken("connect")));
    assert!(broker.scan_dead_letters().await.is_err());
    broker.fail_connect(None);
    let mut scan = broker.scan_dead_letters().await.unwrap();
    assert!(scan.next().await.unwrap().is_some());
    assert!(scan.next().await.unwrap().is_none());
    scan.close().await.unwrap();
    assert_eq!(broker.messages(DEAD_LETTER_QUEUE).len(), 1);
}

#[tokio::test]
async fn events_are_kept_apart() {
    let broker = MemoryBroker::default();
    let properties = Properties::default();
    broker
        .announce(EVENTS_EXCHANGE, "user.deleted", b"{}", &properties)
        .await
        .unwrap();
    assert_eq!(broker.events(), [serde_json::json!({})]);
}

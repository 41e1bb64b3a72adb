use super::super::dead_letter::tests::envelope;
use super::*;
use crate::queue::without_dead_letter;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

#[test]
fn a_replayed_message_keeps_what_the_publisher_sent_and_nothing_of_the_dead_letter() {
    let envelope = envelope(
        ID,
        vec![
            (dead_letter::REASON, "poison".into()),
            (dead_letter::ERROR, "x".into()),
            (dead_letter::STATE, "".into()),
            (dead_letter::ATTEMPTS, 3_i64.into()),
            (dead_letter::AT, "2026-11-01T00:00:00.0015Z".into()),
            (dead_letter::WORKER, "w".into()),
            (dead_letter::CODE, "panicked".into()),
            (dead_letter::STEP, "".into()),
            (dead_letter::REPLAYS, 1_i64.into()),
            (PLACEHOLDER_SINCE, 5_i64.into()),
            ("traceparent", "00-1-2-01".into()),
            ("x-offboarder-revision", 2_i64.into()),
        ],
    );
    let dead_letter = DeadLetter::read(&envelope);
    let begun_at = Timestamp::from_second(1_793_500_000).unwrap();
    let properties =
        without_dead_letter(&envelope.properties, headers(&dead_letter, None, begun_at));
    let shown: Vec<_> = properties
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_json().to_string()))
        .collect();
    let since = "1793491200002".to_owned();
    assert_eq!(
        shown,
        [
            ("traceparent", "\"00-1-2-01\"".to_owned()),
            ("x-offboarder-admitted", "1".to_owned()),
            (
                "x-offboarder-replayed-at",
                "\"2026-11-01T02:26:40Z\"".to_owned(),
            ),
            (
                "x-offboarder-replayed-fault",
                format!("\"{}\"", dead_letter.fingerprint),
            ),
            ("x-offboarder-replays", "2".to_owned()),
            ("x-offboarder-revision", "2".to_owned()),
            ("x-offboarder-stand-in", since),
        ]
    );
    let at = dead_letter.dead_lettered_at.unwrap();
    assert!(Timestamp::from_millisecond(1_793_491_200_002).unwrap() > at);
}

//! The summary of a user: short, and read back as it was written.

use super::*;
use crate::failure::{Class, Code, Failure};
use crate::job::Request;

fn checkpoint() -> Checkpoint {
    let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let batch_id = Some("2026-11".parse().unwrap());
    let received_at = Some(Timestamp::from_second(7).unwrap());
    let request = Request {
        batch_id,
        received_at,
        ..Request::default()
    };
    Checkpoint::new(user_id, request, Timestamp::from_second(8).unwrap())
}

/// The summary as it is read back; what is stored has to be short.
fn read_back(checkpoint: &Checkpoint) -> Summary {
    let text = serde_json::to_string(&Summary::from(checkpoint)).unwrap();
    assert!(text.len() < 200, "{text}");
    let read = serde_json::from_str(&text).unwrap();
    assert_eq!(Summary::from(checkpoint), read);
    read
}

#[test]
fn a_wait_says_why_and_ends_when_it_is_over() {
    let now = Timestamp::from_second(9).unwrap();
    let until = Timestamp::from_second(99).unwrap();
    let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "x");
    let mut checkpoint = checkpoint();
    assert_eq!(read_back(&checkpoint).standing(now), Standing::UnderWay);
    assert_eq!(
        read_back(&checkpoint).requested_at,
        checkpoint.request.received_at
    );
    let why = |checkpoint: &Checkpoint| read_back(checkpoint).wait.map(|wait| wait.why);
    checkpoint.postpone(until, Pause::DeletionRateLimit, now);
    assert_eq!(why(&checkpoint).as_deref(), Some("brake"));
    checkpoint.fail(failure.clone(), true, until, now);
    assert_eq!(why(&checkpoint).as_deref(), Some("cxone_timeout"));
    checkpoint.postpone(until, Pause::NotDue, now);
    assert_eq!(why(&checkpoint).as_deref(), Some("not_due"));
    assert_eq!(read_back(&checkpoint).standing(now), Standing::Waiting);
    assert_eq!(
        read_back(&checkpoint).standing(until),
        Standing::UnderWay,
        "the wait is over"
    );
    checkpoint.give_up(Reason::RetriesExhausted, failure, now);
    assert_eq!(
        (why(&checkpoint), read_back(&checkpoint).standing(now)),
        (None, Standing::DeadLetter)
    );
}

#[test]
fn every_checkpoint_of_the_corpus_has_a_short_summary() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/checkpoint");
    let mut finished = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(&bytes) {
            let summary = read_back(&checkpoint);
            assert_eq!(
                summary.finished_at.is_some(),
                checkpoint.state.is_finished()
            );
            finished += u32::from(summary.finished_at.is_some());
        }
    }
    assert!(finished > 0, "the corpus has some that are finished");
}

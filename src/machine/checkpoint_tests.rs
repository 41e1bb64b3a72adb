use super::*;
use crate::failure::{Class, Code};

fn corpus() -> Vec<Checkpoint> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/checkpoint");
    let entries = std::fs::read_dir(corpus).unwrap();
    let read = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    read.filter_map(|bytes| serde_json::from_slice(&bytes).ok())
        .collect()
}

#[test]
fn only_a_deleted_user_is_stored_without_calls_and_all_else_stays() {
    let mut short = 0;
    for mut checkpoint in corpus() {
        // Both ends have the same members.
        if let State::DeactivatedOnly {
            access,
            archive,
            deletion,
            recording,
        } = checkpoint.state.clone()
        {
            let kept = checkpoint.stored().into_owned();
            assert_eq!(kept, checkpoint, "a later manifest repeats its calls");
            checkpoint.state = State::Deleted {
                access,
                archive,
                deletion,
                recording,
            };
        }
        let stored = checkpoint.stored().into_owned();
        let mut without_calls = checkpoint.clone();
        without_calls
            .steps
            .iter_mut()
            .for_each(|step| step.calls.clear());
        if checkpoint.state.name() == StateName::Deleted && checkpoint.state.is_finished() {
            assert_eq!(stored, without_calls);
            short += usize::from(stored != checkpoint);
        } else {
            assert_eq!(stored, checkpoint);
        }
    }
    assert!(short > 0, "the corpus has a user who was deleted");
}

#[test]
fn an_unknown_user_is_one_whom_cxone_does_not_know_and_to_whom_nothing_was_done() {
    let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let fresh = Checkpoint::new(user_id, Request::default(), now);
    assert!(!fresh.is_unknown_user(), "it is in progress");
    let given_up = |reason| {
        let mut checkpoint = fresh.clone();
        let failure = Failure::new(Class::Permanent(reason), Code::UserNotFound, "x");
        checkpoint.give_up(reason, failure, now);
        checkpoint
    };
    assert!(!given_up(Reason::ProtectedUser).is_unknown_user());
    let unknown = given_up(Reason::UserNotFound);
    assert!(unknown.is_unknown_user());
    let manifest = ManifestRef {
        key: String::new(),
        sha256: String::new(),
    };
    assert!(
        !Checkpoint {
            previous: Some(manifest),
            ..unknown.clone()
        }
        .is_unknown_user()
    );
    let call = Call {
        method: "PATCH".to_owned(),
        path: "/".to_owned(),
        status: 204,
        at: now,
        correlation_id: None,
        note: None,
    };
    let with = |method: &str| {
        let calls = vec![
            Call {
                method: method.to_owned(),
                ..call.clone()
            };
            5
        ];
        Checkpoint {
            step: StepInProgress {
                calls,
                ..StepInProgress::new(now)
            },
            ..unknown.clone()
        }
    };
    assert!(!with("PATCH").is_unknown_user(), "something was done");
    assert!(with("GET").is_unknown_user());
    assert_eq!(
        with("GET").stored().step.calls.len(),
        2,
        "a further message adds nothing to it"
    );
}

#[test]
fn an_order_after_a_cancelled_archive_begins_a_revision_of_its_own() {
    let at = Timestamp::from_second(5).unwrap();
    let revisions = |state: State, evidence_revision| {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let mut checkpoint = Checkpoint::new(user_id, Request::default(), at);
        checkpoint.revision = 2;
        checkpoint.evidence_revision = evidence_revision;
        checkpoint.state = state;
        checkpoint.order_again(Request::default(), at);
        (checkpoint.revision, checkpoint.evidence_revision)
    };
    let archived = crate::machine::samples::archived(at, crate::machine::Sealing::Unsealed);
    assert_eq!(revisions(archived.clone(), 2), (3, 3));
    assert_eq!(revisions(State::Received, 2), (2, 2));
    // A deletion that was only tried again has its manifest, and the user who came back is read.
    assert_eq!(revisions(archived, 1), (2, 1));
}

#[test]
fn the_processes_that_took_a_user_are_named_once_in_their_order() {
    let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let mut checkpoint = Checkpoint::new(user_id, Request::default(), Timestamp::UNIX_EPOCH);
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    checkpoint.taken_by(names(&["a", "b", "a", "c", "b"]));
    assert_eq!(checkpoint.workers, ["a", "c", "b"]);

    let mut lost = Checkpoint::new(user_id, Request::default(), Timestamp::UNIX_EPOCH);
    lost.taken_by(names(&["d"]));
    let evidence = PriorEvidence {
        profile: TenantProfile::default(),
        revision: 1,
        evidence_revision: 1,
        before_image: false,
        previous: None,
        request: Request::default(),
        steps: Vec::new(),
        workers: checkpoint.workers.clone(),
        state: State::Received,
    };
    lost.adopt(&evidence);
    assert_eq!(lost.workers, ["a", "c", "b", "d"]);
    lost.revise(true, Request::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(lost.workers, ["d"], "the others did the one before");

    let many: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    checkpoint.taken_by(many.clone());
    assert_eq!(checkpoint.workers, many[10..]);
}

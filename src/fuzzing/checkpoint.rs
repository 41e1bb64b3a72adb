//! Checkpoints as Redis holds them.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::time::Duration;

use jiff::Timestamp;

use super::USER_ID;
use super::page::{assert_on_origin, base_uri};
use crate::adapters::stored_checkpoint::parse as parse_checkpoint;
use crate::adapters::tutorial::NextPage;
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Action, Request, UserId};
use crate::limits::DeletePolicy;
use crate::machine::{
    Checkpoint, Context, Cursor, Effect, Event, Pause, RetryPolicy, SCHEMA, Sealing, State, Step,
    transition,
};
use crate::manifest::{Actor, Manifest, has_same_evidence};

/// A checkpoint as Redis holds it. If it is accepted, it belongs to the user who was asked for and
/// has our schema, it can be stored and read back unchanged, and every event that may follow works.
pub fn checkpoint(body: &[u8]) -> bool {
    let user_id: UserId = USER_ID.parse().expect("a user ID");
    let Ok(Some(checkpoint)) = parse_checkpoint(user_id, body) else {
        return false;
    };
    assert_eq!((checkpoint.user_id, checkpoint.schema), (user_id, SCHEMA));
    assert_reads_back(&checkpoint);

    let newer = Checkpoint {
        schema: SCHEMA + 1,
        ..(*checkpoint).clone()
    };
    let newer = serde_json::to_vec(&newer).expect("a checkpoint can be stored");
    assert!(
        parse_checkpoint(user_id, &newer).is_err(),
        "a newer one is refused"
    );

    assert_resumes(&checkpoint);
    assert_continues(&checkpoint);
    if let Some(upload) = checkpoint
        .step
        .archive
        .as_ref()
        .and_then(|archive| archive.upload.as_ref())
    {
        assert!(upload.parts.iter().all(|part| part.bytes <= upload.bytes()));
        if let Cursor::Page { link, .. } = &upload.cursor
            && let Ok(link) = link.parse::<NextPage>()
        {
            assert_on_origin(&link, &base_uri(0));
        }
    }

    if let Some(manifest) = Manifest::of(&checkpoint, &Actor::new("fuzz")) {
        let bytes = manifest.to_bytes().expect("a manifest can be stored");
        let stored: Manifest = serde_json::from_slice(&bytes).expect("it reads back");
        assert!(stored == manifest && has_same_evidence(&stored, &manifest));
    }
    true
}

fn assert_reads_back(checkpoint: &Checkpoint) {
    let stored = serde_json::to_vec(checkpoint).expect("a checkpoint can be stored");
    let read = parse_checkpoint(checkpoint.user_id, &stored).expect("it is not newer");
    assert_eq!(read.as_deref(), Some(checkpoint));
}

/// To resume changes no state, is always legal, and asks for no deletion without a seal.
fn assert_resumes(checkpoint: &Checkpoint) {
    let retry = RetryPolicy {
        max_attempts: 8,
        base: Duration::from_secs(2),
        cap: Duration::from_mins(15),
    };
    let failures = [
        Class::Transient,
        Class::Throttled,
        Class::Permanent(Reason::ApiRejected),
        Class::Defect,
    ];
    for number in 0..8_u8 {
        let context = Context {
            action: if number & 1 == 0 {
                Action::Delete
            } else {
                Action::Deactivate
            },
            delete: if number & 2 == 0 {
                DeletePolicy::Attempt
            } else {
                DeletePolicy::Never
            },
            retry: &retry,
            resubmitted: number & 4 == 0,
            attempts: checkpoint.attempts,
            jitter: 0.999,
        };
        let state = || checkpoint.state.clone();
        let resumed = transition(state(), Event::Resumed, &context).expect("a resume is legal");
        assert_eq!(resumed.state, checkpoint.state);
        let sealed = matches!(checkpoint.state, State::Archived { ref sealing, .. } if *sealing != Sealing::Unsealed);
        let deletes = matches!(
            resumed.effect,
            Effect::Step(Step::Delete { .. } | Step::ConfirmDeletion)
        );
        assert_eq!(
            deletes,
            sealed,
            "{:?} in {}",
            resumed.effect,
            checkpoint.state.name()
        );
        for class in failures {
            let failed = Event::StepFailed(Failure::new(class, Code::CxoneServerError, ""));
            assert_eq!(
                transition(state(), failed, &context).map(|next| next.state),
                Ok(state())
            );
        }
    }
}

/// Whatever a run of the job may write into it can be stored and read again.
fn assert_continues(checkpoint: &Checkpoint) {
    let now = Timestamp::UNIX_EPOCH;
    let failure = Failure::new(Class::Defect, Code::Panicked, "x");
    let after = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = checkpoint.clone();
        change(&mut checkpoint);
        assert_reads_back(&checkpoint);
    };
    after(&|checkpoint| checkpoint.fail(failure.clone(), true, now, now));
    after(&|checkpoint| checkpoint.give_up(Reason::Poison, failure.clone(), now));
    after(&|checkpoint| checkpoint.postpone(Timestamp::MAX, Pause::NotDue, now));
    after(&|checkpoint| checkpoint.revise(true, Request::default(), now));
    after(&|checkpoint| checkpoint.enter(State::Received, now));
    after(&|checkpoint| checkpoint.advance(State::Received, checkpoint.step.calls.clone(), now));
    assert!(
        checkpoint
            .ended_at()
            .is_none_or(|end| end <= Timestamp::MAX)
    );
}

use std::time::Duration;

use super::*;
use crate::job::Request;
use crate::machine::samples::{
    access_removed, archived, empty_archive, empty_seal, finished, queues_cleared,
};
use crate::machine::{Cancelled, Pause, PriorEvidence, Sealing, StepRecord};
use crate::profile::TenantProfile;

const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 8,
    base: Duration::ZERO,
    cap: Duration::ZERO,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(lane: Lane) -> Job {
    Job {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        request: Request::default(),
        lane,
        revision: None,
        stands_in_since: None,
        continuation: false,
        admitted: false,
    }
}

/// A job that replays a dead letter of this second.
fn replay_of(second: i64) -> Job {
    Job {
        stands_in_since: Some(at(second) + SignedDuration::from_millis(1)),
        ..job(Lane::Access)
    }
}

fn in_state(state: State) -> Checkpoint {
    let mut checkpoint = Checkpoint::new(job(Lane::Access).user_id, Request::default(), at(1));
    checkpoint.state = state;
    checkpoint
}

fn plan(checkpoint: &mut Checkpoint, event: Event, job: &Job) -> Commands {
    let circumstances = Circumstances {
        job,
        delete: DeletePolicy::Attempt,
        retry: &RETRY,
        jitter: 0.0,
        now: at(300),
    };
    plan_commands(checkpoint, event, Vec::new(), &circumstances)
}

#[test]
fn a_completed_step_is_saved_before_the_next_one() {
    let mut checkpoint = in_state(State::Received);
    let event = Event::QueuesCleared(queues_cleared(true));

    let commands = plan(&mut checkpoint, event, &job(Lane::Access));
    assert_eq!(
        commands,
        Commands::save_then(Command::Perform(Step::Deactivate))
    );
    assert_eq!(checkpoint.state.name(), StateName::QueuesCleared);
}

#[test]
fn a_resume_saves_nothing_and_repeats_the_step_in_progress() {
    let mut checkpoint = in_state(State::Deactivated {
        access: access_removed(at(1)),
    });

    let commands = plan(&mut checkpoint, Event::Resumed, &job(Lane::Archive));
    assert_eq!(
        commands,
        Commands::without_save(Command::Perform(Step::Archive))
    );
}

#[test]
fn a_resume_before_the_delete_saves_that_a_user_waits_no_longer() {
    let mut checkpoint = in_state(archived(
        at(1),
        Sealing::Sealed {
            seal: empty_seal(at(1)),
        },
    ));
    let delete = Command::Perform(Step::Delete { maybe_sent: true });
    let commands = plan(&mut checkpoint, Event::Resumed, &job(Lane::Archive));
    assert_eq!(commands, Commands::without_save(delete.clone()));

    checkpoint.postpone(at(200), Pause::DeletionRateLimit, at(100));
    let commands = plan(&mut checkpoint, Event::Resumed, &job(Lane::Archive));
    assert_eq!(commands, Commands::save_then(delete));
    assert_eq!((checkpoint.pause, checkpoint.waiting_until), (None, None));
}

#[test]
fn the_access_lane_ends_before_the_archive_and_no_other_lane_does() {
    let event = || Event::UserDeactivated(access_removed(at(1)));
    let cleared = || State::QueuesCleared {
        queues: queues_cleared(true),
    };

    let mut checkpoint = in_state(cleared());
    let commands = plan(&mut checkpoint, event(), &job(Lane::Access));
    let access_gone = AccessGone::of(&checkpoint);
    assert!(access_gone.is_some());
    let moves = Outcome::MoveToArchiveLane(access_gone.map(Box::new));
    assert_eq!(commands, Commands::save_then(Command::End(moves)));

    for lane in [Lane::Archive, Lane::Whole] {
        let commands = plan(&mut in_state(cleared()), event(), &job(lane));
        assert_eq!(
            commands,
            Commands::save_then(Command::Perform(Step::Archive))
        );
    }
}

#[test]
fn a_fault_of_ours_is_saved_as_poison_and_never_as_a_rejection_by_the_api() {
    let mut checkpoint = in_state(State::Received);
    let failure = Failure::new(Class::Defect, Code::Panicked, "a fault");

    let commands = plan(
        &mut checkpoint,
        Event::StepFailed(failure),
        &job(Lane::Access),
    );
    assert_eq!(commands.save, Save::First);
    let Command::End(Outcome::DeadLetter(given_up)) = commands.then else {
        panic!("{commands:?}")
    };
    assert_eq!(given_up.reason, Reason::Poison);
    assert_eq!(checkpoint.dead_letter.unwrap().reason, Reason::Poison);
}

#[test]
fn an_event_that_cannot_happen_is_a_dead_letter_and_changes_no_state() {
    let mut checkpoint = in_state(State::Received);
    let event = Event::ArchiveStored(empty_archive(at(1)));

    let commands = plan(&mut checkpoint, event, &job(Lane::Access));
    let Command::End(Outcome::DeadLetter(given_up)) = commands.then else {
        panic!("{commands:?}")
    };
    assert_eq!(given_up.reason, Reason::Poison);
    assert_eq!(given_up.code, Some(Code::IllegalTransition));
    assert_eq!(checkpoint.state, State::Received);
}

#[test]
fn a_failure_and_a_postponed_step_are_saved_with_the_time_of_the_next_attempt() {
    let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow");
    let postponed = Event::StepPostponed {
        until: at(900),
        why: Pause::NotConverged,
    };

    for (event, code, attempts) in [
        (Event::StepFailed(failure), Some(Code::CxoneTimeout), 1),
        (postponed, None, 0),
    ] {
        let mut checkpoint = in_state(State::Received);
        let commands = plan(&mut checkpoint, event, &job(Lane::Access));
        assert_eq!(commands.save, Save::First);

        let Command::End(Outcome::Delay {
            until, code: why, ..
        }) = commands.then
        else {
            panic!("{commands:?}")
        };
        assert_eq!(why, code);
        assert_eq!(checkpoint.waiting_until, Some(until));
        assert_eq!(checkpoint.attempts, attempts);
    }
}

#[test]
fn access_that_comes_back_again_and_again_is_a_dead_letter_at_the_last_attempt() {
    let mut checkpoint = in_state(archived(at(1), Sealing::Unsealed));
    checkpoint.attempts = RETRY.max_attempts - 2;

    let commands = plan(&mut checkpoint, Event::AccessReturned, &job(Lane::Archive));
    assert_eq!(
        commands,
        Commands::save_then(Command::Perform(Step::ClearQueues))
    );

    checkpoint.state = archived(at(1), Sealing::Unsealed);
    let commands = plan(&mut checkpoint, Event::AccessReturned, &job(Lane::Archive));
    let Command::End(Outcome::DeadLetter(given_up)) = commands.then else {
        panic!("{commands:?}")
    };
    assert_eq!(given_up.reason, Reason::RetriesExhausted);
    assert_eq!(given_up.state, Some(StateName::Archived));
}

#[test]
fn a_job_that_continues_finished_work_ends_without_reading_the_account() {
    let mut checkpoint = in_state(finished(at(200)));
    let mut continuation = job(Lane::Access);
    continuation.continuation = true;

    let commands = plan(&mut checkpoint, Event::Resumed, &continuation);
    assert!(
        matches!(
            commands,
            Commands {
                save: Save::No,
                then: Command::End(Outcome::Finished(_))
            }
        ),
        "{commands:?}"
    );

    let commands = plan(&mut checkpoint, Event::Resumed, &job(Lane::Access));
    assert_eq!(
        commands,
        Commands::without_save(Command::Perform(Step::LookAgain))
    );
}

#[test]
fn a_user_who_came_back_is_reissued_first_and_then_begun_as_the_next_revision() {
    let mut checkpoint = in_state(finished(at(200)));

    let commands = plan(&mut checkpoint, Event::UserReturned, &job(Lane::Access));
    let reissue = Outcome::Reissue { revision: 2 };
    assert_eq!(commands, Commands::without_save(Command::End(reissue)));
    assert_eq!(checkpoint.revision, 1);

    let mut reissued = job(Lane::Access);
    reissued.revision = Some(2);
    let commands = plan(&mut checkpoint, Event::Resumed, &reissued);
    assert_eq!(
        commands,
        Commands::save_then(Command::Perform(Step::ClearQueues))
    );
    assert_eq!(checkpoint.revision, 2);
}

#[test]
fn of_two_copies_of_a_replay_the_second_is_dropped_once_the_first_is_a_dead_letter() {
    let job = replay_of(100);
    let mut checkpoint = in_state(State::Received);
    let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow");

    checkpoint.give_up(Reason::RetriesExhausted, failure.clone(), at(100));
    let commands = plan(&mut checkpoint.clone(), Event::Resumed, &job);
    assert_eq!(
        commands,
        Commands::without_save(Command::Perform(Step::LookBack)),
        "this is the dead letter that it replays"
    );

    checkpoint.give_up(Reason::RetriesExhausted, failure, at(101));
    let commands = plan(&mut checkpoint, Event::Resumed, &job);
    assert_eq!(
        commands,
        Commands::without_save(Command::End(Outcome::Obsolete))
    );
}

#[test]
fn a_replay_does_not_off_board_a_person_who_returned_after_the_dead_letter_was_answered() {
    let ended = |second| {
        let mut checkpoint = in_state(State::Received);
        checkpoint.steps.push(deleted_at(second));
        checkpoint
    };

    assert_eq!(
        known_without_reading(&ended(200), &replay_of(100)),
        Some(Event::UserStayedAway)
    );
    assert_eq!(
        known_without_reading(&ended(50), &replay_of(100)),
        None,
        "it asked for a person who had returned"
    );
}

fn deleted_at(second: i64) -> StepRecord {
    StepRecord {
        state: StateName::Deleted,
        started_at: at(1),
        completed_at: at(second),
        attempts: 1,
        calls: Vec::new(),
    }
}

#[test]
fn an_active_user_whom_only_a_manifest_calls_gone_is_not_finished() {
    let job = replay_of(100);
    let found = PriorEvidence {
        before_image: false,
        profile: TenantProfile::default(),
        revision: 1,
        evidence_revision: 1,
        previous: None,
        request: Request::default(),
        steps: vec![deleted_at(200)],
        workers: Vec::new(),
        state: finished(at(200)),
    };
    let mut checkpoint = in_state(State::Received);

    let event = Event::PriorEvidenceFound(Box::new(found));
    let commands = plan(&mut checkpoint, event, &job);
    assert_eq!(
        commands,
        Commands::save_then(Command::Perform(Step::LookAgain)),
        "the times in the manifest are not believed"
    );

    let commands = plan(&mut checkpoint, Event::UserReturned, &job);
    let Commands {
        save: Save::No,
        then: Command::End(Outcome::DeadLetter(given_up)),
    } = commands
    else {
        panic!("{commands:?}")
    };
    assert_eq!(given_up.reason, Reason::ArchiveConflict);
}

#[test]
fn a_noted_cancellation_ends_its_request_although_its_time_came_later() {
    let noted = Cancelled {
        at: at(100),
        who: "ada".to_owned(),
        why: None,
        batch_id: None,
        message_due: None,
        reactivation: None,
    };
    let mut checkpoint = in_state(State::Received);
    checkpoint.request.requested_at = Some(at(130));
    let event = Event::Cancelled(noted.clone());
    let commands = plan(&mut checkpoint.clone(), event.clone(), &job(Lane::Whole));
    assert_eq!(commands.then, Command::End(Outcome::Obsolete));

    checkpoint.cancel(noted, at(120));
    let commands = plan(&mut checkpoint, event, &job(Lane::Whole));
    assert!(matches!(commands.then, Command::End(Outcome::Cancelled(_))));
}

#[path = "decide_save_tests.rs"]
mod saves;

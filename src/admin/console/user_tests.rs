use super::*;
use crate::admin::caller::SignIn;
use crate::guards::Hold;
use crate::operations::status::Submitted;

fn status() -> UserStatus {
    UserStatus {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        state: None,
        progress: None,
        submitted: Some(Submitted {
            batch_id: None,
            at: Timestamp::UNIX_EPOCH,
        }),
        hold: Some(Hold {
            held: true,
            who: "ada".to_owned(),
            why: Some("<case> 4711".to_owned()),
            at: Timestamp::UNIX_EPOCH,
            passes_over: Vec::new(),
        }),
    }
}

fn progress() -> Progress {
    Progress {
        finished: false,
        revision: 1,
        request: serde_json::from_str(r#"{"requestedAt":"1970-01-01T00:00:00Z"}"#).unwrap(),
        steps: Vec::new(),
        attempts: 0,
        last_error: None,
        next_attempt: Timestamp::from_second(864_000).ok(),
        waits_for: Some(crate::machine::Pause::NotDue),
        current_calls: Vec::new(),
        dead_letter: None,
        cancelled: None,
        archive: None,
        deletion: None,
        manifest: None,
        access_removed_at: Timestamp::from_second(41).ok(),
        deletion_accepted: false,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn local() -> Caller {
    Caller::token(SignIn::Loopback, false)
}

fn shown(status: &UserStatus) -> String {
    let now = Timestamp::from_second(3_600).unwrap();
    body(
        &local(),
        status,
        &Err(Problem::bad_request("S3 is away")),
        now,
    )
    .into_string()
}

#[test]
fn a_user_whom_no_worker_has_taken_still_has_access_and_a_hold_is_seen() {
    let text = shown(&status());
    for expected in [
        "no worker has taken the user. The user still has access.",
        "On hold by <bdi>ada</bdi>",
        "&lt;case&gt; 4711",
        "Not known: S3 is away",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn the_sentence_says_when_access_was_removed_and_what_comes_next() {
    let of = |progress| UserStatus {
        state: Some(StateName::Archived),
        progress: Some(progress),
        submitted: None,
        ..status()
    };
    let text = shown(&of(progress()));
    assert!(text.contains("41 s after it was asked for"), "{text}");
    assert!(text.contains("until the deletion is due"), "{text}");
    assert!(
        text.contains("until 1970-01-11T00:00:00Z; nothing is wrong."),
        "{text}"
    );

    let begun = Progress {
        access_removed_at: None,
        waits_for: None,
        next_attempt: None,
        ..progress()
    };
    let begun = UserStatus {
        state: Some(StateName::QueuesCleared),
        ..of(begun)
    };
    let text = shown(&begun);
    assert!(text.contains("The user still has access."), "{text}");
    assert!(!text.contains("Access removed"), "{text}");
}

#[test]
fn an_unknown_user_has_a_page_that_says_so() {
    let page = unknown(status().user_id);
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let text = page.body.into_string();
    assert!(
        text.contains("was ever submitted here") && text.contains("/find?q=3f1f0d4e"),
        "{text}"
    );
}

//! Whether a user exists, and its account.

use super::*;
use crate::failure::{Class, Code, Reason};
use crate::ports::Tenant as _;

fn deleted_line() -> String {
    format!("GET /users/{ID}?state=deleted")
}

#[tokio::test]
async fn an_inactive_user_exists_and_one_read_shows_it() {
    let server = serve(|_| user("inactive", 3)).await;
    let found = server.client.find_user(user_id()).await.unwrap();
    assert!(found.value && found.call.note.is_none(), "{found:?}");
    assert_eq!(server.seen(), [format!("GET /users/{ID}")]);
}

#[tokio::test]
async fn the_proof_of_a_missing_user_is_a_read_that_shows_it_as_deleted() {
    let server = serve(|asked| {
        if asked.line == deleted_line() {
            user("deleted", 9)
        } else {
            not_found()
        }
    })
    .await;
    for exists in [
        server.client.user_exists(user_id()).await.unwrap(),
        server.client.find_user(user_id()).await.unwrap(),
    ] {
        assert!(!exists.value);
        assert_eq!(
            shown(&[exists.call]),
            ["GET /users/U 200 state=deleted: the API shows the user as deleted"]
        );
    }
    assert_eq!(server.seen().len(), 4, "no pause, no second read");

    let call = server.client.confirm_missing(user_id()).await.unwrap();
    assert_eq!(call.status, 200);
    let read = server.client.account(user_id()).await.unwrap();
    assert!(read.account.is_none());
    assert_eq!(
        shown(&read.calls),
        [
            "GET /users/U 404",
            "GET /users/U 200 state=deleted: the API shows the user as deleted"
        ]
    );
}

#[tokio::test]
async fn only_a_read_that_shows_the_user_as_deleted_proves_our_deletion() {
    let read = async |of_deleted: fn() -> Answer| {
        let server = serve(move |asked| {
            if asked.line == deleted_line() {
                of_deleted()
            } else {
                not_found()
            }
        })
        .await;
        server.client.shows_deletion(user_id()).await.unwrap()
    };

    let shown = read(|| user("deleted", 9)).await;
    assert!(shown.value);
    assert_eq!(
        shown.call.note.as_deref(),
        Some("state=deleted: the API shows the user as deleted")
    );
    assert!(!read(not_found).await.value, "neither read knows the user");
}

#[tokio::test]
async fn a_user_whom_no_read_knows_is_read_a_second_time() {
    let server = serve(|_| not_found()).await;
    let missing = server.client.find_user(user_id()).await.unwrap();
    assert!(!missing.value);
    let note = missing.call.note.unwrap();
    assert!(note.contains("second read"), "{note}");
    assert_eq!(server.seen().len(), 4);

    // A gateway that restarts, or a replica that lags.
    let server = serve(|asked| match asked.before {
        0 => not_found(),
        _ => user("active", 1),
    })
    .await;
    assert!(server.client.find_user(user_id()).await.unwrap().value);
}

#[tokio::test]
async fn another_answer_is_never_a_missing_user() {
    let others: [(fn() -> Answer, Code); 7] = [
        (|| answer(404, "<html>nginx"), Code::CxoneForeignAnswer),
        (|| answer(404, ""), Code::CxoneForeignAnswer),
        (
            || answer(404, r#"{"message":"no Route matched"}"#),
            Code::CxoneForeignAnswer,
        ),
        (
            || error(404, "bad.request", "another word"),
            Code::CxoneRejected,
        ),
        (|| answer(200, "<html>Log in"), Code::CxoneUnreadable),
        (|| answer(200, "{}"), Code::CxoneUnreadable),
        (|| user("gone", 1), Code::CxoneUnreadable),
    ];
    for (given, code) in others {
        let server = serve(move |_| given()).await;
        let failure = server.client.find_user(user_id()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        let failure = server.client.account(user_id()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");

        // Of the second read, too.
        let server = serve(move |asked| {
            if asked.line == deleted_line() {
                given()
            } else {
                not_found()
            }
        })
        .await;
        let failure = server.client.user_exists(user_id()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
    }
}

#[tokio::test]
async fn reads_that_contradict_each_other_prove_nothing() {
    let server = serve(|asked| {
        if asked.line == deleted_line() {
            user("active", 2)
        } else {
            not_found()
        }
    })
    .await;
    let failure = server.client.find_user(user_id()).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.code),
        (Class::Transient, Code::CxoneUnreadable)
    );

    // The user is back: nothing confirms that it is missing.
    let server = serve(|_| user("active", 2)).await;
    let failure = server.client.confirm_missing(user_id()).await.unwrap_err();
    assert_eq!(failure.code, Code::CxoneUnreadable);
}

#[tokio::test]
async fn only_an_active_state_is_an_active_account() {
    for (state, active) in [("active", true), ("inactive", false)] {
        let server = serve(move |_| user(state, 3)).await;
        let read = server.client.account(user_id()).await.unwrap();
        let account = read.account.unwrap();
        assert_eq!(account.active, Some(active));
        assert_eq!(account.user_name.as_deref(), Some("a@example.com"));
        assert_eq!(read.calls.len(), 1);
        let peeked = server.client.peek_account(user_id()).await.unwrap();
        assert_eq!(peeked.unwrap().active, Some(active));
    }
}

#[tokio::test]
async fn a_refusal_is_the_deployments_fault_or_this_users_by_its_code() {
    for (code, class) in [
        ("missing.permissions", Class::Systemic),
        ("missing.any.permissions", Class::Systemic),
        ("not.authorized", Class::Permanent(Reason::ApiRejected)),
    ] {
        let server = serve(move |_| error(403, code, "no")).await;
        let failure = server.client.find_user(user_id()).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        let lacks = failure.text.contains("lack the permission");
        assert_eq!(lacks, class == Class::Systemic, "{failure}");
    }
}

#[tokio::test]
async fn evidence_has_the_correlation_id_of_the_answer() {
    let server = serve(|_| Answer {
        headers: vec![("ININ-Correlation-Id", "of-the-vendor".to_owned())],
        ..user("active", 1)
    })
    .await;
    let found = server.client.find_user(user_id()).await.unwrap();
    assert_eq!(found.call.correlation_id.as_deref(), Some("of-the-vendor"));
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_the_api_asks() {
    let server = serve(|_| Answer {
        headers: vec![("Retry-After", "7".to_owned())],
        ..error(429, "too.many.requests", "Rate limit exceeded")
    })
    .await;
    let failure = server.client.find_user(user_id()).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.retry_after),
        (Class::Throttled, Some(Duration::from_secs(7)))
    );
}

//! Deactivation, and the end of sessions.

use super::*;
use crate::failure::{Class, Code};
use crate::ports::{Deactivation, Tenant as _};

async fn deactivate(server: &Server) -> (Result<Deactivation, crate::failure::Failure>, Vec<Call>) {
    let mut calls = Vec::new();
    let result = server.client.deactivate(user_id(), &mut calls).await;
    (result, calls)
}

#[tokio::test]
async fn the_write_names_the_version_that_was_read_and_nothing_but_the_state() {
    let server = serve(|asked| {
        if asked.line.starts_with("PATCH") {
            assert_eq!(asked.body, json!({ "version": 6, "state": "inactive" }));
            user("inactive", 7)
        } else {
            user("active", 6)
        }
    })
    .await;
    let (done, calls) = deactivate(&server).await;
    assert_eq!(done.unwrap(), Deactivation::Written);
    assert_eq!(shown(&calls), ["GET /users/U 200", "PATCH /users/U 200"]);
}

#[tokio::test]
async fn each_form_of_a_version_conflict_is_written_again_with_the_version_of_a_new_read() {
    for (status, code) in [(409, "general.conflict"), (400, "bad.request")] {
        let server = serve(move |asked| {
            if asked.line.starts_with("PATCH") {
                match asked.body["version"].as_u64() {
                    Some(6) => version_conflict(status, code),
                    Some(7) => user("inactive", 8),
                    other => panic!("{other:?}"),
                }
            } else {
                user("active", 6 + asked.before as u64)
            }
        })
        .await;
        let (done, calls) = deactivate(&server).await;
        assert_eq!(done.unwrap(), Deactivation::Written);
        assert_eq!(calls.len(), 4, "the refused write is evidence, too");
    }
}

#[tokio::test]
async fn conflicts_without_end_are_a_failure_that_passes_by_itself() {
    let server = serve(|asked| {
        if asked.line.starts_with("PATCH") {
            version_conflict(409, "general.conflict")
        } else {
            user("active", 6)
        }
    })
    .await;
    let failure = deactivate(&server).await.0.unwrap_err();
    assert_eq!(
        (failure.class, failure.code),
        (Class::Transient, Code::CxoneVersionConflict)
    );
    assert!(!failure.text.contains("If-Match"), "{failure}");
    assert_eq!(server.count("PATCH"), 5);
}

#[tokio::test]
async fn another_refusal_is_no_conflict() {
    for (status, code) in [(400, "invalid.value"), (409, "user.is.managed")] {
        let server = serve(move |asked| {
            if asked.line.starts_with("PATCH") {
                error(status, code, "no")
            } else {
                user("active", 6)
            }
        })
        .await;
        let failure = deactivate(&server).await.0.unwrap_err();
        assert_eq!(failure.code, Code::CxoneRejected, "{failure}");
        assert_eq!(server.count("PATCH"), 1);
    }
}

#[tokio::test]
async fn an_inactive_or_deleted_user_needs_no_write() {
    let server = serve(|_| user("inactive", 6)).await;
    let (done, calls) = deactivate(&server).await;
    let active = Some(false);
    assert_eq!(done.unwrap(), Deactivation::NotNeeded { active });
    assert_eq!(calls.len(), 1);

    let server = serve(|asked| {
        if asked.line.ends_with("state=deleted") {
            user("deleted", 6)
        } else {
            not_found()
        }
    })
    .await;
    let (done, calls) = deactivate(&server).await;
    let active = None;
    assert_eq!(done.unwrap(), Deactivation::NotNeeded { active });
    assert_eq!(calls.len(), 2);
    assert_eq!(server.count("PATCH"), 0);
}

#[tokio::test]
async fn a_write_that_the_api_gave_up_waiting_for_may_have_been_done() {
    for status in [504, 408] {
        let server = serve(move |asked| {
            if asked.line.starts_with("GET") {
                user("active", 6)
            } else {
                error(status, "request.timeout", "The request timed out.")
            }
        })
        .await;
        let failure = deactivate(&server).await.0.unwrap_err();
        assert_eq!(failure.class, Class::UnknownOutcome, "{failure}");
        assert!(failure.text.contains("begins by reading"), "{failure}");
        let mut calls = Vec::new();
        let ended = server.client.end_access(user_id(), None, &mut calls).await;
        assert_eq!(ended.unwrap_err().class, Class::UnknownOutcome);
    }
    // A read is only repeated.
    let server = serve(|_| error(504, "request.timeout", "The request timed out.")).await;
    let failure = deactivate(&server).await.0.unwrap_err();
    assert_eq!(
        (failure.class, failure.code),
        (Class::Transient, Code::CxoneServerError)
    );
}

#[tokio::test]
async fn a_user_without_tokens_has_none_to_revoke() {
    for (given, note) in [
        (200, None),
        (
            202,
            Some("accepted: the tokens will be revoked, and no read shows when"),
        ),
        (204, None),
        (404, Some("the user has no token")),
    ] {
        let server = serve(move |_| match given {
            404 => not_found(),
            status => answer(status, ""),
        })
        .await;
        let mut calls = Vec::new();
        let ended = server.client.end_access(user_id(), None, &mut calls).await;
        ended.unwrap();
        assert_eq!(server.seen(), [format!("DELETE /tokens/{ID}")]);
        assert_eq!((calls[0].status, calls[0].note.as_deref()), (given, note));
    }
}

#[tokio::test]
async fn sessions_whose_end_is_not_proved_may_live() {
    let others: [fn() -> Answer; 7] = [
        || answer(200, "<html>"),
        || answer(200, "[]"),
        || answer(404, "<html>"),
        || error(404, "bad.request", "m"),
        || error(400, "bad.request", "m"),
        || error(503, "service.unavailable", "m"),
        forbidden,
    ];
    for given in others {
        let server = serve(move |_| given()).await;
        let mut calls = Vec::new();
        let ended = server.client.end_access(user_id(), None, &mut calls).await;
        ended.unwrap_err();
        assert!(calls.is_empty());
    }
}

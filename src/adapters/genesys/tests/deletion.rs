//! The DELETE of a user, and its proof.

use super::*;
use crate::failure::{Class, Code, Failure, Reason};
use crate::ports::{Answered, DeleteAnswer, Tenant as _};

const SOFT: &str = "a soft deletion: an administrator can restore the user";

async fn delete(
    given: impl Fn() -> Answer + Send + Sync + 'static,
) -> Result<Answered<DeleteAnswer>, Failure> {
    let server = serve(move |asked| {
        assert_eq!(asked.line, format!("DELETE /users/{ID}"));
        given()
    })
    .await;
    let ready = server.client.ready_deletion(user_id()).await.unwrap();
    assert!(server.seen().is_empty(), "nothing is sent before");
    let sent = ready.send().await;
    assert_eq!(server.seen().len(), 1, "one call");
    sent
}

#[tokio::test]
async fn a_deletion_that_is_accepted_says_that_it_can_be_undone() {
    for (status, body, value) in [
        (200, "{}", DeleteAnswer::Deleted),
        (204, "", DeleteAnswer::Deleted),
        (202, "{}", DeleteAnswer::Accepted),
    ] {
        let sent = delete(move || answer(status, body)).await.unwrap();
        assert_eq!(sent.value, value);
        assert_eq!(sent.call.note.as_deref(), Some(SOFT));
    }
}

#[tokio::test]
async fn only_the_words_of_the_api_say_that_the_user_is_gone() {
    let gone = delete(not_found).await.unwrap();
    assert_eq!(gone.value, DeleteAnswer::Gone);
    assert_eq!(gone.call.note, None);
    for given in [
        (|| answer(404, "<html>")) as fn() -> Answer,
        || answer(410, ""),
        || error(404, "bad.request", "m"),
    ] {
        delete(given).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_timeout_is_no_proof_that_the_user_is_gone() {
    for status in [408, 504] {
        let failure = delete(move || error(status, "request.timeout", "m"))
            .await
            .unwrap_err();
        assert_eq!(failure.class, Class::UnknownOutcome, "{failure}");
    }
}

#[tokio::test]
async fn a_version_conflict_of_the_service_is_tried_again_by_a_later_attempt() {
    for status in [400, 409] {
        assert_conflict(move || version_conflict(status, "general.conflict")).await;
    }
    // In any other words, too: a refusal would be final.
    assert_conflict(|| error(409, "general.conflict", "this user is needed")).await;
}

async fn assert_conflict(given: impl Fn() -> Answer + Send + Sync + 'static) {
    let failure = delete(given).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.code),
        (Class::Transient, Code::CxoneVersionConflict)
    );
}

#[tokio::test]
async fn a_refusal_of_this_user_is_an_answer_and_any_other_a_failure() {
    for (status, code) in [(409, "user.not.deletable"), (403, "not.authorized")] {
        let sent = delete(move || error(status, code, "this user is needed"))
            .await
            .unwrap();
        let code = Some(code.to_owned());
        assert_eq!(sent.value, DeleteAnswer::Refused { code });
    }
    for (given, class) in [
        (forbidden as fn() -> Answer, Class::Systemic),
        (
            || error(400, "bad.request", "m"),
            Class::Permanent(Reason::ApiRejected),
        ),
        (
            || error(405, "method.not.allowed", "m"),
            Class::Permanent(Reason::ApiRejected),
        ),
        (
            || answer(409, "<html>"),
            Class::Permanent(Reason::ApiRejected),
        ),
        (|| answer(403, "<html>"), Class::Transient),
        (|| answer(200, "<html>"), Class::UnknownOutcome),
        (|| answer(202, "[]"), Class::UnknownOutcome),
        (
            || error(500, "internal.server.error", "m"),
            Class::Transient,
        ),
    ] {
        let failure = delete(given).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
    }
}

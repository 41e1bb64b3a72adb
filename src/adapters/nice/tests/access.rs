//! Access keys and sessions of an inactive account.

use super::server::{
    ACD_404, AGENT, DELETED, ID, KEY, KEYS, LOGOUT, LOST, NO_AGENT, NO_KEYS, NOT_FOUND, SPRING_403,
    Server, USER, ann, serve,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::machine::Call;
use crate::ports::Tenant;

const TWO_KEYS: (u16, &str) = (
    200,
    r#"{"totalRecords":2,"accessKeys":[{"accessKeyId":"A==","isActive":true},{"accessKeyId":"B","isActive":false}]}"#,
);
const TWO_INACTIVE: (u16, &str) = (
    200,
    r#"{"accessKeys":[{"accessKeyId":"A==","isActive":false},{"accessKeyId":"B","isActive":false}]}"#,
);

async fn end(server: &Server) -> Result<Vec<Call>, Failure> {
    let mut calls = Vec::new();
    server.client.end_access(ann(), None, &mut calls).await?;
    Ok(calls)
}

#[tokio::test]
async fn each_active_key_is_disabled_and_read_back_and_the_session_is_ended() {
    let server = serve().await;
    server.answer(KEYS, &[TWO_KEYS, TWO_INACTIVE]);
    let calls = end(&server).await.unwrap();
    assert_eq!(server.calls(), [KEYS, KEY, KEYS, AGENT, LOGOUT]);
    let seen = server.seen();
    assert_eq!(seen[0].query, format!("userId={ID}"));
    assert_eq!(seen[1].query, format!("accessKeyId=A%3D%3D&userId={ID}"));
    assert_eq!(seen[1].body, r#"{"isActive":false}"#);
    assert!(seen[4].body.is_empty());
    assert_eq!(calls.len(), 5, "each is evidence");
    assert_eq!(calls[1].note.as_deref(), Some("access key A=="));
}

#[tokio::test]
async fn without_an_active_key_nothing_is_written_but_the_logout() {
    let server = serve().await;
    for none in [(204, ""), NO_KEYS, TWO_INACTIVE] {
        server.answer(KEYS, &[none]);
        end(&server).await.unwrap();
    }
    assert_eq!((server.count(KEY), server.count(LOGOUT)), (0, 3));
}

#[tokio::test]
async fn a_key_that_stays_active_is_a_failure_and_one_that_lags_is_none() {
    let server = serve().await;
    server.answer(KEYS, &[TWO_KEYS, TWO_KEYS, TWO_INACTIVE]);
    end(&server).await.unwrap();
    server.answer(KEYS, &[TWO_KEYS]).forget();
    let error = end(&server).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneNotConverged);
    assert_eq!(server.count(LOGOUT), 0);
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_never_no_keys() {
    let server = serve().await;
    server.answer(USER, &[DELETED]);
    for (answer, code) in [
        ((200, "{}"), Code::CxoneUnreadable),
        ((200, ""), Code::CxoneUnreadable),
        ((200, "<html>"), Code::CxoneUnreadable),
        ((200, r#"{"accessKeys":null}"#), Code::CxoneUnreadable),
        (
            (200, r#"{"totalRecords":1,"accessKeys":[]}"#),
            Code::CxoneUnreadable,
        ),
        (
            (200, r#"{"accessKeys":[],"_links":{"next":"https://x"}}"#),
            Code::CxoneUnreadable,
        ),
        (
            (200, r#"{"accessKeys":[{"accessKeyId":"A"}]}"#),
            Code::CxoneUnreadable,
        ),
        (
            (
                200,
                r#"{"accessKeys":[{"accessKeyId":"A","isActive":"false"}]}"#,
            ),
            Code::CxoneUnreadable,
        ),
        (
            (200, r#"{"accessKeys":[{"isActive":true}]}"#),
            Code::CxoneUnreadable,
        ),
        (
            (
                200,
                r#"{"accessKeys":[{"accessKeyId":"A","isActive":true,"userId":"11111111-9a51-4b4b-8f6c-1f9a4f9b7c11"}]}"#,
            ),
            Code::CxoneUnreadable,
        ),
        (
            (200, r#"{"accessKeys":[],"hiddenAgents":1}"#),
            Code::CxoneMissingScope,
        ),
        (NOT_FOUND, Code::CxoneRejected),
        ((404, ""), Code::CxoneForeignAnswer),
        (SPRING_403, Code::CxoneRejected),
    ] {
        server.answer(KEYS, &[answer]);
        assert_eq!(end(&server).await.unwrap_err().code, code, "{answer:?}");
    }
    assert_eq!((server.count(KEY), server.count(LOGOUT)), (0, 0));

    // UserHub may not show a deactivated employee whom ACD still knows.
    server.answer(USER, &[NOT_FOUND]).answer(KEYS, &[NOT_FOUND]);
    assert_eq!(end(&server).await.unwrap_err().code, Code::CxoneRejected);
    // A user whom neither knows has none.
    server.answer(AGENT, &[ACD_404]);
    end(&server).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_not_disabled_is_a_failure() {
    let server = serve().await;
    server.answer(KEYS, &[TWO_KEYS, TWO_INACTIVE]);
    for done in [(200, ""), (204, ""), NOT_FOUND] {
        server
            .answer(KEY, &[done])
            .answer(KEYS, &[TWO_KEYS, TWO_INACTIVE]);
        end(&server).await.unwrap();
    }
    for (answer, class) in [
        (SPRING_403, Class::Permanent(Reason::ApiRejected)),
        ((404, "<html>"), Class::Transient),
        ((LOST, ""), Class::UnknownOutcome),
    ] {
        server.answer(KEY, &[answer]).answer(KEYS, &[TWO_KEYS]);
        assert_eq!(end(&server).await.unwrap_err().class, class, "{answer:?}");
    }
}

#[tokio::test]
async fn a_logout_without_a_session_is_one() {
    let server = serve().await;
    for (answer, note) in [
        ((200, "{}"), None),
        ((200, ""), None),
        ((202, ""), None),
        ((204, ""), None),
        (
            ACD_404,
            Some(r#"refused with 404, which is taken for "no session""#),
        ),
        (
            (409, r#"{"error":"no_session"}"#),
            Some(r#"refused with 409, which is taken for "no session""#),
        ),
    ] {
        server.answer(LOGOUT, &[answer]);
        let calls = end(&server).await.unwrap();
        assert_eq!(calls.last().unwrap().note.as_deref(), note, "{answer:?}");
    }
    for (answer, class) in [
        ((404, ""), Class::Transient),
        ((200, "<html>"), Class::Transient),
        ((400, ""), Class::Permanent(Reason::ApiRejected)),
        ((500, ""), Class::Transient),
        ((LOST, ""), Class::UnknownOutcome),
    ] {
        server.answer(LOGOUT, &[answer]);
        assert_eq!(end(&server).await.unwrap_err().class, class, "{answer:?}");
    }

    server.answer(AGENT, &[(204, "")]).answer(USER, &[NO_AGENT]);
    let server = serve().await;
    server.answer(AGENT, &[(204, "")]).answer(USER, &[NO_AGENT]);
    end(&server).await.unwrap();
    assert_eq!(server.count(LOGOUT), 0, "no agent has no session");
}

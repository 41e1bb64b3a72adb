//! Whether a user exists, whether its account is active, and the deactivation.

use super::server::{
    ACD_404, ACTIVE, AGENT, AGENT_17, DEACTIVATE, DELETED, ID, NOT_FOUND, OTHER, USER, ann, serve,
};
use crate::failure::{Class, Code, Reason};
use crate::ports::{Deactivation, Tenant};

fn with_status(status: &str) -> String {
    format!(r#"{{"user":{{"id":"{ID}","status":"{status}","acdInfos":[]}}}}"#)
}

#[tokio::test]
async fn only_a_deleted_employee_is_inactive_and_an_unknown_status_is_unreadable() {
    let server = serve().await;
    for (status, active) in [
        ("ACTIVE", true),
        ("PENDING", true),
        ("UNREGISTERED", true),
        ("BLOCKED", true),
        ("DELETED", false),
    ] {
        server.answer(USER, &[(200, &with_status(status))]);
        let read = server.client.account(ann()).await.unwrap();
        assert_eq!(read.account.unwrap().active, Some(active), "{status}");
    }
    for body in [
        with_status("INACTIVE").as_str(),
        with_status("deleted").as_str(),
        &format!(r#"{{"user":{{"id":"{ID}"}}}}"#),
        &format!(r#"{{"user":{{"id":"{OTHER}","status":"DELETED"}}}}"#),
        r#"{"user":{"status":"DELETED"}}"#,
        r#"{"user":[]}"#,
        r#"{"users":[]}"#,
        r#"[{"user":null}]"#,
        "<html>Please log in",
        "",
    ] {
        server.answer(USER, &[(200, body)]);
        let error = server.client.account(ann()).await.unwrap_err();
        assert_eq!(error.code, Code::CxoneUnreadable, "{body}");
        assert!(server.client.find_user(ann()).await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn a_user_is_missing_only_by_two_answers_of_userhub_and_one_of_acd() {
    let server = serve().await;
    server.answer(AGENT, &[ACD_404]);
    for missing in [NOT_FOUND, (200, "{}"), (200, r#"{"user":null}"#)] {
        server.answer(USER, &[missing]).forget();
        let found = server.client.find_user(ann()).await.unwrap();
        assert!(!found.value && found.call.note.is_some(), "{missing:?}");
        assert_eq!(server.calls(), [USER, USER, AGENT], "{missing:?}");
        let read = server.client.account(ann()).await.unwrap();
        assert!(read.account.is_none() && read.calls.len() == 2);
        assert!(!server.client.user_exists(ann()).await.unwrap().value);
        server.client.confirm_missing(ann()).await.unwrap();
    }

    server.answer(USER, &[NOT_FOUND, ACTIVE]);
    assert!(server.client.find_user(ann()).await.unwrap().value);
}

#[tokio::test]
async fn a_404_that_the_api_did_not_send_is_never_a_missing_user() {
    let server = serve().await;
    for foreign in [
        (404, ""),
        (404, "<html>nginx"),
        (404, r#"{"message":"no Route matched"}"#),
        (403, "<html>Access Denied"),
    ] {
        server.answer(USER, &[foreign]);
        for error in [
            server.client.find_user(ann()).await.unwrap_err(),
            server.client.account(ann()).await.unwrap_err(),
        ] {
            let expected = (Class::Transient, Code::CxoneForeignAnswer);
            assert_eq!((error.class, error.code), expected, "{foreign:?}");
        }
    }
    // 204 is not in the document.
    server.answer(USER, &[(204, "")]);
    let error = server.client.find_user(ann()).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneUnreadable);
}

#[tokio::test]
async fn acd_decides_where_userhub_does_not_know_a_user_any_more() {
    let server = serve().await;
    server.answer(USER, &[NOT_FOUND]);
    let inactive = format!(
        r#"{{"agents":[{{"agentId":17,"userID":"{ID}","isActive":false,"userName":"a"}}]}}"#
    );
    server.answer(AGENT, &[(200, &inactive)]);
    let read = server.client.account(ann()).await.unwrap();
    assert_eq!(read.account.unwrap().active, Some(false));
    assert!(server.client.find_user(ann()).await.unwrap().value);

    server.answer(AGENT, &[AGENT_17]);
    let error = server.client.account(ann()).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
    assert!(error.text.contains("whom UserHub does not know"), "{error}");
    assert!(server.client.confirm_missing(ann()).await.is_err());
}

#[tokio::test]
async fn an_account_is_deactivated_by_one_post_with_one_id() {
    let server = serve().await;
    for accepted in [
        (200, r#"{"notDeletedUserIds":[]}"#),
        (200, r#"{"notDeletedUserIds":null}"#),
        (202, "{}"),
        (204, ""),
    ] {
        server.answer(DEACTIVATE, &[accepted]).forget();
        let mut calls = Vec::new();
        let done = server.client.deactivate(ann(), &mut calls).await.unwrap();
        assert_eq!(done, Deactivation::Written, "{accepted:?}");
        assert_eq!(server.calls(), [USER, DEACTIVATE]);
        let sent = server.seen().remove(1);
        assert_eq!(sent.body, format!(r#"{{"userIds":["{ID}"]}}"#));
        assert_eq!(sent.accept, "application/json");
        assert_eq!(sent.correlation_id.len(), 36, "{sent:?}");
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[1].correlation_id.as_deref(), Some("theirs"));
    }
}

#[tokio::test]
async fn a_success_that_lists_the_user_as_not_deactivated_is_a_refusal() {
    let server = serve().await;
    let listed = format!(r#"{{"notDeletedUserIds":["{ID}"]}}"#);
    server.answer(DEACTIVATE, &[(200, &listed)]);
    let error = server
        .client
        .deactivate(ann(), &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
    assert!(error.text.contains("notDeletedUserIds"), "{error}");
    assert!(!error.text.contains("identity provider"), "{error}");

    let external = ACTIVE
        .1
        .replace(r#""status""#, r#""externalIdentity":"okta|1","status""#);
    server.answer(USER, &[(200, &external)]);
    for refused in [(200, listed.as_str()), (400, r#"{"code":"EXTERNAL"}"#)] {
        server.answer(DEACTIVATE, &[refused]);
        let error = server
            .client
            .deactivate(ann(), &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
        assert!(
            error.text.contains("deactivate the account there"),
            "{error}"
        );
    }

    for unreadable in ["<html>", "[]", r#"{"notDeletedUserIds":7}"#] {
        server.answer(DEACTIVATE, &[(200, unreadable)]);
        let error = server
            .client
            .deactivate(ann(), &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::CxoneUnreadable, "{unreadable}");
    }
}

#[tokio::test]
async fn who_is_inactive_or_gone_is_not_written() {
    let server = serve().await;
    server.answer(USER, &[DELETED]);
    let mut calls = Vec::new();
    let done = server.client.deactivate(ann(), &mut calls).await.unwrap();
    assert_eq!(
        done,
        Deactivation::NotNeeded {
            active: Some(false)
        }
    );
    server
        .answer(USER, &[NOT_FOUND])
        .answer(AGENT, &[(204, "")]);
    let done = server.client.deactivate(ann(), &mut calls).await.unwrap();
    assert_eq!(done, Deactivation::NotNeeded { active: None });
    assert_eq!(server.count(DEACTIVATE), 0);
}

#[tokio::test]
async fn a_write_that_does_not_find_the_user_is_decided_by_reads() {
    let server = serve().await;
    server
        .answer(DEACTIVATE, &[NOT_FOUND])
        .answer(USER, &[ACTIVE, DELETED]);
    let done = server
        .client
        .deactivate(ann(), &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(
        done,
        Deactivation::NotNeeded {
            active: Some(false)
        }
    );
    server.answer(USER, &[ACTIVE]);
    let error = server
        .client
        .deactivate(ann(), &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::CxoneContradiction);
}

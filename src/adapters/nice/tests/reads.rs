//! Probes, and what `doctor` sees.

use super::server::{ACD_404, CONTACTS, KEYS, NO_GROUPS, NOT_FOUND, SPRING_403, ann, serve};
use crate::failure::{Class, Code};
use crate::ports::{RefusalCause, Tenant, TenantRead};
use crate::profile::TenantProfile;

const USER_0: &str = "GET /user-management/v3/users/00000000-0000-4000-8000-000000000000";
const AGENT_0: &str =
    "GET /incontactapi/services/v34.0/agents/00000000-0000-4000-8000-000000000000";
const SKILLS_0: &str = "GET /incontactapi/services/v34.0/agents/2147483647/skills";
const GROUPS_0: &str = "GET /incontactapi/services/v34.0/agents/2147483647/groups";

#[tokio::test]
async fn each_kind_of_read_is_of_nobody_and_makes_the_calls_of_its_step() {
    let server = serve().await;
    server
        .answer(USER_0, &[NOT_FOUND])
        .answer(AGENT_0, &[(204, "")])
        .answer(SKILLS_0, &[ACD_404])
        .answer(GROUPS_0, &[(400, r#"{"error":"invalid agent"}"#)]);
    for (read, calls) in [
        (TenantRead::User, &[USER_0][..]),
        (TenantRead::Account, &[USER_0, KEYS]),
        (TenantRead::Routing, &[AGENT_0, SKILLS_0, GROUPS_0]),
        (TenantRead::Conversations, &[CONTACTS]),
    ] {
        server.forget();
        server.client.probe(read).await.unwrap();
        assert_eq!(server.calls(), calls);
        let facts = server.client.examine(read).await.unwrap();
        assert!(facts.is_own && !facts.is_scim_error, "{read:?}");
    }
    let seen = server.seen();
    assert!(seen[0].query.contains("agentId=2147483647"), "{seen:?}");
}

#[tokio::test]
async fn the_probe_succeeds_only_with_answers_of_the_api() {
    let server = serve().await;
    for answer in [
        (404, ""),
        (404, "<html>nginx"),
        (404, r#"{"message":"no Route matched"}"#),
        (200, "<html>Please log in"),
        (400, "<html>"),
        SPRING_403,
        (503, ""),
    ] {
        server.answer(USER_0, &[answer]);
        server.client.probe(TenantRead::User).await.unwrap_err();
    }
    for answer in [
        NOT_FOUND,
        (200, "{}"),
        (400, r#"{"code":"INVALID_ID"}"#),
        (429, ""),
    ] {
        server.answer(USER_0, &[answer]);
        server.client.probe(TenantRead::User).await.unwrap();
    }
}

#[tokio::test]
async fn a_right_that_one_call_of_a_step_misses_shows() {
    let server = serve().await;
    server
        .answer(AGENT_0, &[ACD_404])
        .answer(SKILLS_0, &[SPRING_403])
        .answer(GROUPS_0, &[NO_GROUPS]);
    let error = server.client.probe(TenantRead::Routing).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneRejected);
    let refused = server
        .client
        .examine(TenantRead::Routing)
        .await
        .unwrap_err();
    let cause = RefusalCause::Rejected {
        status: 403,
        code: " Forbidden".to_owned(),
    };
    assert_eq!(refused.cause, cause);

    server.answer(SKILLS_0, &[(404, "<html>")]);
    let facts = server.client.examine(TenantRead::Routing).await.unwrap();
    assert!(!facts.is_own && facts.status == 404);
}

#[tokio::test]
async fn nobody_is_ever_deleted() {
    let server = serve().await;
    let Err(failure) = server.client.ready_deletion(ann()).await else {
        unreachable!("a deletion is ready");
    };
    assert_eq!(failure.class, Class::Defect);
    assert!(server.calls().is_empty());
    assert_eq!(server.client.profile(), TenantProfile::Cxone);
    assert_eq!(server.client.scopes().await.unwrap(), None);
}

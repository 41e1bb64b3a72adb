//! What the tenant and a user show, and writes that are repeated.

use jiff::Timestamp;
use serde_json::json;

use super::server::{
    ACD_404, AGENT, CONTACTS, DEACTIVATE, DELETED, ID, KEYS, LOGOUT, NO_AGENT, NOT_FOUND, OWN,
    Server, TEAMS, USER, ann, serve, serve_with,
};
use crate::machine::Call;
use crate::ports::{Observation, Seen, SeenWord, Tenant};

const DISCOVERY: &str = "GET /.well-known/cxone-configuration";
const VERSION: &str = "GET /incontactapi/services/v34.0/apiversion";
const USER_0: &str = "GET /user-management/v3/users/00000000-0000-4000-8000-000000000000";
const PERMISSIONS: &str = "GET /incontactapi/services/v34.0/permissions/9";
const AGENT_9: &str = "GET /incontactapi/services/v34.0/agents/9";
const SKILL: &str = "DELETE /incontactapi/services/v34.0/skills/4001/agents/17";
const HISTORY: &str = "GET /incontactapi/services/v34.0/agents/17/interaction-history";

fn of(all: &[Observation], question: &str) -> (SeenWord, String) {
    let found = all.iter().find(|one| one.question == Some(question));
    let one = found.unwrap_or_else(|| panic!("{question} in {all:?}"));
    let text = match &one.seen {
        Seen::Good(text) | Seen::Fact(text) | Seen::Unknown(text) => text.clone(),
        Seen::Bad { detail, remedy } => format!("{detail}; {remedy}"),
        Seen::Failed(failure) => failure.text.clone(),
    };
    (one.seen.word(), text)
}

#[track_caller]
fn assert_seen(all: &[Observation], question: &str, word: SeenWord, says: &str) {
    let (seen, text) = of(all, question);
    assert!(
        seen == word && text.contains(says),
        "{question}: {seen:?} {text}"
    );
}

/// The tenant as off-boarding needs it. The token names the agent 9.
async fn good() -> Server {
    let server = serve_with(&json!({ "tenantId": "t-1", "sub": OWN, "icAgentId": 9 })).await;
    let own = json!({ "agents": [{ "agentId": 9, "userId": OWN }], "hiddenAgents": 0 }).to_string();
    let host = server.client.api.base().to_string();
    let discovery = json!({ "api_endpoint": host, "area": "na1" }).to_string();
    let rights = r#"{"agentId":9,"permissions":[{"name":"skills.edit"},"agents.view",{"x":1}]}"#;
    server
        .answer(DISCOVERY, &[(200, &discovery)])
        .answer(VERSION, &[(200, r#""v34.0""#)])
        .answer(USER_0, &[NOT_FOUND])
        .answer(PERMISSIONS, &[(200, rights)])
        .answer(AGENT_9, &[(200, &own)]);
    server
}

#[tokio::test]
async fn a_tenant_as_it_should_be_is_seen_as_good_and_only_read() {
    let server = good().await;
    let all = server.client.survey(None).await;
    assert_seen(&all, "cxone-1", SeenWord::Good, "na1");
    assert_seen(&all, "cxone-2", SeenWord::Good, "open");
    assert_seen(&all, "cxone-3", SeenWord::Good, "v34.0");
    assert_seen(&all, "cxone-4", SeenWord::Fact, "404 USER_NOT_FOUND");
    assert_seen(
        &all,
        "cxone-5",
        SeenWord::Fact,
        "3 of them: agents.view, skills.edit; 1 without",
    );
    assert_seen(&all, "cxone-16", SeenWord::Unknown, "429");
    let hidden = all.iter().find(|one| one.check.contains("hidden")).unwrap();
    assert_eq!(hidden.seen.word(), SeenWord::Good);

    assert!(server.calls().iter().all(|call| call.starts_with("GET ")));
    let discovery = server
        .seen()
        .into_iter()
        .find(|seen| seen.what == DISCOVERY);
    let discovery = discovery.unwrap();
    assert_eq!(discovery.query, "tenantId=t-1");
    assert!(
        discovery.correlation_id.is_empty(),
        "the issuer gets nothing of ours"
    );
}

#[tokio::test]
async fn what_is_wrong_at_a_tenant_is_named_with_its_remedy() {
    let server = good().await;
    let elsewhere = r#"{"api_endpoint":"https://api-au1.example/x","area":"au1"}"#;
    server
        .answer(DISCOVERY, &[(200, elsewhere)])
        .answer(VERSION, &[(404, "<html>")])
        .answer(USER_0, &[(400, r#"{"code":"BAD"}"#)])
        .answer(AGENT_9, &[(200, r#"{"agents":[],"hiddenAgents":2}"#)]);
    let all = server.client.survey(None).await;
    let host = "set OFFBOARDER_CXONE_BASE_URI=https://api-au1.example";
    assert_seen(&all, "cxone-1", SeenWord::Bad, host);
    assert_seen(
        &all,
        "cxone-3",
        SeenWord::Bad,
        "OFFBOARDER_CXONE_API_VERSION",
    );
    assert_seen(&all, "cxone-4", SeenWord::Bad, "400 BAD");
    let hidden = all.iter().find(|one| one.check.contains("hidden")).unwrap();
    assert_eq!(hidden.seen.word(), SeenWord::Bad);

    let server = good().await;
    server
        .answer(DISCOVERY, &[(404, "<html>")])
        .answer(VERSION, &[(503, "")])
        .answer(PERMISSIONS, &[ACD_404]);
    let all = server.client.survey(None).await;
    assert_seen(&all, "cxone-1", SeenWord::Unknown, "404");
    assert_seen(&all, "cxone-3", SeenWord::Failed, "503");
    assert_seen(&all, "cxone-5", SeenWord::Unknown, "404 not_found");

    let all = serve_with(&json!({ "sub": OWN }))
        .await
        .client
        .survey(None)
        .await;
    assert_seen(&all, "cxone-1", SeenWord::Unknown, "names no tenant");
    assert_seen(&all, "cxone-5", SeenWord::Unknown, "names no agent");
}

#[tokio::test]
async fn an_inactive_employee_answers_what_an_active_one_leaves_unknown() {
    let server = serve().await;
    let rows = r#"{"totalRecords":2,"completedContacts":[
        {"contactId":1,"contactStartDate":"2026-01-02T03:04:05.000Z","totalDurationSeconds":60},
        {"contactId":2,"contactStartDate":"2026-01-02T03:04:05.000Z","totalDurationSeconds":60}]}"#;
    let history = r#"{"interactionHistory":[{"contactId":1},{"contactId":"2"},{"contactId":3}]}"#;
    server
        .answer(CONTACTS, &[(200, rows)])
        .answer(HISTORY, &[(200, history)]);
    let all = server.client.survey(Some(ann())).await;
    for (question, says) in [
        ("cxone-6", "active (ACTIVE)"),
        ("cxone-7", "active"),
        ("cxone-8", "active"),
    ] {
        assert_seen(&all, question, SeenWord::Unknown, says);
    }

    let nameless = serve().await;
    nameless.answer(USER, &[NO_AGENT]).answer(AGENT, &[ACD_404]);
    let all = nameless.client.survey(Some(ann())).await;
    assert_seen(
        &all,
        "cxone-7",
        SeenWord::Bad,
        "neither part names an agent",
    );

    server.answer(USER, &[DELETED]).forget();
    let all = server.client.survey(Some(ann())).await;
    assert_seen(&all, "cxone-6", SeenWord::Fact, "DELETED");
    assert_seen(&all, "cxone-7", SeenWord::Fact, "readable");
    assert_seen(&all, "cxone-8", SeenWord::Fact, "2 in the last 30 days");
    assert_seen(&all, "cxone-9", SeenWord::Good, "30 days");
    assert_seen(&all, "cxone-10", SeenWord::Fact, "minutes ago");
    assert_seen(&all, "cxone-11", SeenWord::Fact, "1 of 3 calls");
    assert_seen(&all, "cxone-13", SeenWord::Fact, "0 of 0");
    assert!(server.calls().iter().all(|call| call.starts_with("GET ")));
    let text = format!("{all:?}");
    assert!(!text.contains(ID) && !text.contains("ann@"), "{text}");

    let refused = (400, r#"{"error":"invalid_window"}"#);
    server
        .answer(USER, &[(200, &DELETED.1.replace("DELETED", "RETIRED"))])
        .answer(CONTACTS, &[refused]);
    let all = server.client.survey(Some(ann())).await;
    assert_seen(&all, "cxone-6", SeenWord::Bad, "RETIRED");
    assert_seen(&all, "cxone-9", SeenWord::Bad, "OFFBOARDER_CXONE_WINDOW");
    assert_seen(&all, "cxone-11", SeenWord::Unknown, "no contacts");
}

fn call(method: &str, path: &str, note: Option<&str>) -> Call {
    Call {
        method: method.to_owned(),
        path: path.to_owned(),
        status: 200,
        at: Timestamp::UNIX_EPOCH,
        correlation_id: None,
        note: note.map(str::to_owned),
    }
}

#[tokio::test]
async fn only_for_an_inactive_user_are_writes_repeated_and_only_those_of_its_own_agent() {
    let calls = [
        call(
            "GET",
            "/k",
            Some("1 of 2 access keys were active after the deactivation"),
        ),
        call(
            "DELETE",
            "/incontactapi/services/v34.0/skills/4009/agents/18",
            None,
        ),
        call(
            "DELETE",
            "/incontactapi/services/v34.0/skills/4001/agents/17",
            None,
        ),
    ];
    let server = serve().await;
    server
        .answer(SKILL, &[ACD_404])
        .answer(LOGOUT, &[(409, r#"{"error":"x"}"#)]);
    let all = server.client.repeat_writes(ann(), &calls).await;
    assert_seen(&all, "cxone-14", SeenWord::Unknown, "inactive");
    assert!(server.calls().iter().all(|call| call.starts_with("GET ")));

    let listed = format!(r#"{{"notDeletedUserIds":["{ID}"]}}"#);
    server
        .answer(USER, &[DELETED])
        .answer(DEACTIVATE, &[(200, &listed)])
        .forget();
    let all = server.client.repeat_writes(ann(), &calls).await;
    assert_seen(
        &all,
        "cxone-12",
        SeenWord::Fact,
        "200, and then 404 not_found",
    );
    assert_seen(&all, "cxone-13", SeenWord::Fact, "1 of 2");
    assert_seen(&all, "cxone-14", SeenWord::Fact, "200, and lists");
    assert_seen(&all, "cxone-15", SeenWord::Fact, "409 x");
    let (writes, reads): (Vec<_>, Vec<_>) = server
        .calls()
        .into_iter()
        .partition(|call| !call.starts_with("GET "));
    assert_eq!(writes, [DEACTIVATE, SKILL, LOGOUT]);
    assert!(!reads.contains(&KEYS.to_owned()) && !reads.contains(&TEAMS.to_owned()));

    let all = server.client.repeat_writes(ann(), &calls[..2]).await;
    assert_seen(&all, "cxone-12", SeenWord::Unknown, "no skill");
}

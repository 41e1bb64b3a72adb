//! Taking a user out of skills and groups.

use serde_json::json;

use super::server::{
    ACD_404, ACTIVE, AGENT, DELETED, GROUPS, ID, LOST, NO_GROUPS, NO_SKILLS, OTHER, OWN, SKILLS,
    SPRING_403, Server, TEAMS, USER, ann, serve,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::machine::Call;
use crate::ports::{CallCounts, RoutingWrites, Tenant};

const SKILL_5: &str = "DELETE /incontactapi/services/v34.0/skills/5/agents/17";
const SKILL_6: &str = "DELETE /incontactapi/services/v34.0/skills/6/agents/17";
const GROUP_5: &str = "DELETE /incontactapi/services/v34.0/groups/5/agents";

const TWO_SKILLS: (u16, &str) = (
    200,
    r#"{"totalRecords":2,"agentSkillAssignments":[{"skillId":5,"isActive":true},{"skillId":6,"isActive":false}]}"#,
);
const ONE_GROUP: (u16, &str) = (200, r#"{"agentGroups":[{"groupId":5}]}"#);
const GROUP_LEFT: (u16, &str) = (
    200,
    r#"{"errorCount":0,"agentResults":[{"agentId":17,"success":true}]}"#,
);

async fn clear(server: &Server) -> Result<Vec<Call>, Failure> {
    let mut calls = Vec::new();
    let cleared = server.client.clear_routing(ann(), &mut calls).await?;
    let released = Vec::new();
    assert_eq!(cleared, RoutingWrites::Accepted { released });
    Ok(calls)
}

async fn left(server: &Server) -> Result<Vec<(String, String)>, Failure> {
    let left = server.client.left_over(ann(), &[], &mut Vec::new()).await?;
    Ok(left
        .into_iter()
        .map(|left| (left.kind, left.reference))
        .collect())
}

fn kinds(left: &[(&str, &str)]) -> Vec<(String, String)> {
    left.iter()
        .map(|(kind, reference)| ((*kind).to_owned(), (*reference).to_owned()))
        .collect()
}

#[tokio::test]
async fn each_skill_and_each_group_is_left_and_read_again() {
    let server = serve().await;
    server
        .answer(SKILLS, &[TWO_SKILLS, NO_SKILLS])
        .answer(GROUPS, &[ONE_GROUP, NO_GROUPS])
        .answer(SKILL_5, &[(200, "")])
        .answer(SKILL_6, &[(202, "{}")])
        .answer(GROUP_5, &[GROUP_LEFT]);
    let calls = clear(&server).await.unwrap();
    let sent = [AGENT, TEAMS, SKILLS, SKILL_5, SKILL_6, GROUPS, GROUP_5];
    assert_eq!(server.calls(), sent);
    let seen = server.seen();
    assert_eq!(seen[2].query, "skip=0&top=500", "inactive ones, too");
    assert_eq!(seen[6].body, r#"{"agents":[{"agentId":17}]}"#);
    assert!(seen[3].body.is_empty());
    assert_eq!(calls.len(), sent.len(), "each is evidence");
    assert!(left(&server).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_left_is_named_by_kind() {
    let server = serve().await;
    server
        .answer(SKILLS, &[TWO_SKILLS])
        .answer(GROUPS, &[ONE_GROUP]);
    let expected = kinds(&[("skill", "5"), ("skill", "6"), ("group", "5")]);
    assert_eq!(left(&server).await.unwrap(), expected);
}

#[tokio::test]
async fn the_calls_of_a_plan_are_those_of_a_clean_run() {
    let server = serve().await;
    server
        .answer(SKILLS, &[TWO_SKILLS])
        .answer(GROUPS, &[ONE_GROUP]);
    let client = &server.client;
    let left = client.left_over(ann(), &[], &mut Vec::new()).await.unwrap();
    let planned = client.step_calls(&left);

    server
        .answer(SKILLS, &[TWO_SKILLS, NO_SKILLS])
        .answer(GROUPS, &[ONE_GROUP, NO_GROUPS])
        .answer(SKILL_5, &[(200, "")])
        .answer(SKILL_6, &[(204, "")])
        .answer(GROUP_5, &[(204, "")])
        .forget();
    // The guards ask for our own account, which the token names.
    client.find_user(ann()).await.unwrap();
    client.own_account().await.unwrap();
    clear(&server).await.unwrap();
    client.left_over(ann(), &[], &mut Vec::new()).await.unwrap();
    let made = |server: &Server| CallCounts {
        routing: server.calls().len() as u64,
        ..CallCounts::default()
    };
    assert_eq!(made(&server), planned.clear_queues);

    server.answer(USER, &[ACTIVE, DELETED]).forget();
    client.own_account().await.unwrap();
    client.deactivate(ann(), &mut Vec::new()).await.unwrap();
    client.account(ann()).await.unwrap();
    client
        .end_access(ann(), None, &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(made(&server), planned.deactivate);

    server.forget();
    client.account(ann()).await.unwrap();
    assert_eq!(made(&server), planned.account);
    assert_eq!(planned.delete, CallCounts::default());
}

#[tokio::test]
async fn a_list_is_whole_only_by_its_total() {
    let page = |total: u64, ids: &[u64]| {
        let rows: Vec<_> = ids.iter().map(|id| json!({ "skillId": id })).collect();
        json!({ "totalRecords": total, "agentSkillAssignments": rows }).to_string()
    };
    let server = serve().await;
    let pages = [page(3, &[5, 6]), page(3, &[7])];
    server.answer(SKILLS, &[(200, &pages[0]), (200, &pages[1])]);
    let found = left(&server).await.unwrap();
    assert_eq!(
        found,
        kinds(&[("skill", "5"), ("skill", "6"), ("skill", "7")])
    );
    let seen = server.seen();
    assert!(seen.iter().any(|seen| seen.query == "skip=2&top=500"));

    for pages in [
        [(200, page(3, &[5, 6])), (200, page(4, &[7]))],
        [(200, page(3, &[5, 6])), (200, page(3, &[]))],
        [(200, page(3, &[5, 6])), (204, String::new())],
        [(200, page(1, &[5, 6])), (200, page(1, &[]))],
        [(200, page(2, &[])), (200, page(2, &[]))],
        // Skill 7 was passed over for one that came before.
        [(200, page(3, &[5, 6])), (200, page(3, &[6]))],
    ] {
        let answers: Vec<_> = pages
            .iter()
            .map(|(at, body)| (*at, body.as_str()))
            .collect();
        server.answer(SKILLS, &answers);
        let error = left(&server).await.unwrap_err();
        let expected = (Class::Transient, Code::CxoneCursorLost);
        assert_eq!((error.class, error.code), expected, "{pages:?}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_never_an_empty_one() {
    let server = serve().await;
    for body in [
        "{}",
        "[]",
        "",
        "<html>",
        r#"{"totalRecords":0,"agentSkillAssignments":{}}"#,
        r#"{"agentSkillAssignments":[]}"#,
        r#"{"totalRecords":1}"#,
        r#"{"totalRecords":1,"agentSkillAssignments":[{"skillId":"5"}]}"#,
        r#"{"totalRecords":1,"agentSkillAssignments":[{"skillId":-5}]}"#,
    ] {
        server.answer(SKILLS, &[(200, body)]);
        let error = left(&server).await.unwrap_err();
        assert_eq!(error.code, Code::CxoneUnreadable, "{body}");
    }
    server.answer(
        SKILLS,
        &[(
            200,
            r#"{"totalRecords":0,"agentSkillAssignments":[],"hiddenAgents":2}"#,
        )],
    );
    assert_eq!(
        left(&server).await.unwrap_err().code,
        Code::CxoneMissingScope
    );

    for empty in [(204, ""), (200, r#"{"totalRecords":0}"#)] {
        server.answer(SKILLS, &[empty]);
        assert!(left(&server).await.unwrap().is_empty(), "{empty:?}");
    }
    for body in [
        "{}",
        "<html>",
        "",
        r#"{"agentGroups":null}"#,
        r#"{"agentGroups":[{}]}"#,
    ] {
        server.answer(GROUPS, &[(200, body)]);
        let error = left(&server).await.unwrap_err();
        assert_eq!(error.code, Code::CxoneUnreadable, "{body}");
    }
    server.answer(GROUPS, &[(204, "")]);
    assert!(left(&server).await.unwrap().is_empty());
    // The agent is known, so that its lists have to be.
    server.answer(GROUPS, &[ACD_404]);
    assert_eq!(left(&server).await.unwrap_err().code, Code::CxoneRejected);
}

#[tokio::test]
async fn a_success_that_holds_failures_is_a_failure() {
    let server = serve().await;
    server.answer(GROUPS, &[ONE_GROUP]);
    for body in [
        r#"{"errorCount":1,"agentResults":[{"agentId":17,"success":false,"error":"x"}]}"#,
        r#"{"errorCount":0,"agentResults":[{"agentId":17,"success":false}]}"#,
        r#"{"agentResults":[{"agentId":17}]}"#,
        r#"{"resultSet":{"errorCount":2,"skillResults":[]}}"#,
    ] {
        server.answer(GROUP_5, &[(200, body)]);
        let error = clear(&server).await.unwrap_err();
        assert_eq!(error.class, Class::Permanent(Reason::ApiRejected), "{body}");
    }
    for body in ["<html>", r#"{"errorCount":"none"}"#, r#"{"resultSet":[]}"#] {
        server.answer(GROUP_5, &[(200, body)]);
        let error = clear(&server).await.unwrap_err();
        assert_eq!(error.code, Code::CxoneUnreadable, "{body}");
    }
    server.answer(GROUP_5, &[ACD_404]);
    clear(&server).await.unwrap();
}

#[tokio::test]
async fn a_removal_that_is_refused_stops_nothing_only_if_the_account_is_inactive() {
    let server = serve().await;
    server
        .answer(SKILLS, &[TWO_SKILLS])
        .answer(SKILL_5, &[(400, r#"{"error":"inactive_agent"}"#)])
        .answer(SKILL_6, &[(200, "")]);
    let error = clear(&server).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
    assert_eq!(server.count(SKILL_6), 0);

    server.answer(USER, &[DELETED]);
    let calls = clear(&server).await.unwrap();
    assert_eq!(server.count(SKILL_6), 1);
    let noted = calls.iter().find(|call| call.status == 400).unwrap();
    assert!(noted.note.as_deref().unwrap().contains("inactive already"));
    assert_eq!(left(&server).await.unwrap().len(), 2, "as residuals");

    // An outage is no refusal.
    server.answer(SKILL_5, &[(503, "")]);
    let error = clear(&server).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneServerError);
    server.answer(SKILL_5, &[(404, "<html>")]);
    let error = clear(&server).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneForeignAnswer);
}

#[tokio::test]
async fn a_team_that_the_user_leads_is_a_note_and_stops_nothing() {
    let server = serve().await;
    let teams = json!({ "totalRecords": 2, "teams": [
        { "id": OTHER, "name": "theirs", "leadUserId": OTHER },
        { "id": OWN, "name": "ours", "leadUserId": ID.to_uppercase() },
    ] });
    server.answer(TEAMS, &[(200, &teams.to_string())]);
    let calls = clear(&server).await.unwrap();
    let noted: Vec<_> = calls
        .iter()
        .filter_map(|call| call.note.as_deref())
        .collect();
    assert_eq!(noted.len(), 1);
    assert!(
        noted[0].contains(OWN) && !noted[0].contains(OTHER),
        "{noted:?}"
    );
    assert!(left(&server).await.unwrap().is_empty());

    for answer in [
        SPRING_403,
        (200, "{}"),
        (200, "<html>"),
        (500, ""),
        (404, ""),
        (200, r#"{"totalRecords":3,"teams":[]}"#),
    ] {
        server.answer(TEAMS, &[answer]);
        let calls = clear(&server).await.unwrap();
        let noted = calls.iter().filter_map(|call| call.note.as_deref());
        assert!(
            noted.into_iter().any(|note| note.contains("is unknown")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_has_an_unknown_outcome() {
    let server = serve().await;
    server
        .answer(SKILLS, &[TWO_SKILLS])
        .answer(SKILL_5, &[(LOST, "")]);
    let error = clear(&server).await.unwrap_err();
    assert_eq!(error.class, Class::UnknownOutcome);
}

#[tokio::test]
async fn a_refusal_that_many_users_meet_is_everybodys() {
    let server = serve().await;
    let mut classes = Vec::new();
    for number in 1..=5 {
        let user_id = format!("3f1f0d4e-9a51-4b4b-8f6c-00000000000{number}");
        let agent: &'static str = Box::leak(
            format!("GET /incontactapi/services/v34.0/agents/{user_id}").into_boxed_str(),
        );
        server.answer(agent, &[SPRING_403]);
        let user_id = user_id.parse().unwrap();
        let error = server
            .client
            .clear_routing(user_id, &mut Vec::new())
            .await
            .unwrap_err();
        classes.push(error.class);
    }
    let own = Class::Permanent(Reason::ApiRejected);
    assert_eq!(classes, [own, own, own, own, Class::Systemic]);
}

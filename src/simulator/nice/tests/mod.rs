//! Each operation's main path and what it refuses; `values` has each value of each switch.

mod paging;
mod refusals;
mod values;

use serde_json::{Value, json};

use super::people::{SERVICE_ID, TENANT_ID};
use super::switches::SWITCHES;
use crate::profile::TenantProfile;
use crate::simulator::options::Options;
use crate::simulator::testing::{Answered, Tenant, unknowns_of};

const ACD: &str = "/incontactapi/services/v34.0";
/// The user whom most tests are about; its agent has this number.
const USER: &str = "00000001-5eed-4000-8000-000000000000";
const AGENT: u64 = 1_000_001;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const GRANT: &str = "grant_type=password&username=simulator-key&password=simulator-key-secret&client_id=offboarder&client_secret=simulator-secret";

fn options(unknowns: &[&str]) -> Options {
    Options {
        profile: TenantProfile::Cxone,
        users: 2,
        unknowns: unknowns.iter().map(|word| (*word).to_owned()).collect(),
        ..Options::default()
    }
}

/// A tenant, and a client with a token.
async fn tenant(unknowns: &[&str]) -> Tenant {
    with_token(Tenant::new(&options(unknowns))).await
}

async fn with_token(mut tenant: Tenant) -> Tenant {
    let answer = tenant.call("POST", "/auth/token", &[FORM], GRANT).await;
    let token = answer.json()["access_token"].as_str().map(str::to_owned);
    let header = format!("Bearer {}", token.unwrap_or_default());
    tenant.headers.push(("authorization", header));
    tenant
        .headers
        .push(("accept", "application/json".to_owned()));
    tenant
}

async fn deactivate(tenant: &Tenant, id: &str) -> Answered {
    let body = json!({ "userIds": [id] });
    tenant
        .send("POST", "/user-management/v1/users/deactivate", body)
        .await
}

async fn status_of(tenant: &Tenant, id: &str) -> Value {
    let answer = tenant.get(&format!("/user-management/v3/users/{id}")).await;
    assert_eq!(answer.status, 200);
    answer.json()["user"]["status"].clone()
}

fn now(tenant: &Tenant) -> Value {
    tenant.world.api.user_now(USER).unwrap()
}

#[tokio::test]
async fn an_access_key_gets_a_token_whose_claims_name_tenant_and_owner() {
    let tenant = tenant(&[]).await;
    let header = &tenant.headers.last_chunk::<2>().unwrap()[0].1;
    let claims = claims(header);
    assert_eq!(claims["tenantId"], TENANT_ID);
    assert_eq!(claims["sub"], SERVICE_ID);
    assert_eq!(claims["icAgentId"], 1_000_000);
    assert_eq!(claims["iss"], "http://127.0.0.1:8098");
    assert!(!tenant.world.user_ids().contains(&SERVICE_ID.to_owned()));

    let found = tenant
        .get(&format!(
            "/.well-known/cxone-configuration?tenantId={TENANT_ID}"
        ))
        .await;
    assert_eq!(found.json()["api_endpoint"], "http://127.0.0.1:8098");
    let issuer = tenant.get("/.well-known/openid-configuration").await;
    let endpoint = issuer.json()["token_endpoint"].clone();
    assert_eq!(endpoint, "http://127.0.0.1:8098/auth/token");
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_disabled_key_or_owner_gets_none() {
    let tenant = tenant(&[]).await;
    let first = tenant.call("POST", "/auth/token", &[FORM], GRANT).await;
    let refresh = first.json()["refresh_token"].as_str().unwrap().to_owned();
    let again = format!("grant_type=refresh_token&client_id=offboarder&refresh_token={refresh}");
    for status in [200, 400] {
        let answer = tenant
            .call("POST", "/auth/token", &[FORM], again.clone())
            .await;
        assert_eq!(answer.status, status);
    }

    let uri = format!(
        "/access-key-management/v1/access-keys?accessKeyId=simulator-key&userId={SERVICE_ID}"
    );
    let disabled = tenant.send("PATCH", &uri, json!({"isActive": false})).await;
    assert_eq!(disabled.json()["isActive"], false);
    let refused = tenant.call("POST", "/auth/token", &[FORM], GRANT).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn an_account_and_its_agent_name_each_other() {
    let tenant = tenant(&[]).await;
    let account = tenant
        .get(&format!("/user-management/v3/users/{USER}"))
        .await;
    let user = &account.json()["user"];
    assert_eq!(user["id"], USER);
    assert_eq!(user["status"], "ACTIVE");
    assert_eq!(user["deletedDate"], Value::Null);
    assert_eq!(user["acdInfos"], json!([{ "loginId": AGENT.to_string() }]));

    for name in [USER.to_owned(), AGENT.to_string()] {
        let found = tenant.get(&format!("{ACD}/agents/{name}")).await.json();
        assert_eq!(found["agents"].as_array().unwrap().len(), 1);
        assert_eq!(found["agents"][0]["agentId"], AGENT);
        assert_eq!(found["agents"][0]["userId"], USER);
        assert_eq!(found["agents"][0]["isActive"], true);
    }
    let older = tenant
        .get(&format!(
            "/inContactAPI/services/v20.0/agents/{USER}?fields=agentId,userID"
        ))
        .await;
    let fields = json!([{ "agentId": AGENT, "userID": USER }]);
    assert_eq!(older.json()["agents"], fields);
}

#[tokio::test]
async fn someone_without_an_agent_has_an_account_and_nothing_at_acd() {
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "agent": false }));
    let account = tenant
        .get(&format!("/user-management/v3/users/{USER}"))
        .await;
    assert_eq!(account.json()["user"]["acdInfos"], json!([]));
    for name in [USER.to_owned(), AGENT.to_string()] {
        let uri = format!("{ACD}/agents/{name}");
        assert_eq!(tenant.get(&uri).await.status, 404);
    }
}

#[tokio::test]
async fn skills_are_taken_one_by_one_and_groups_with_a_result_each() {
    let tenant = tenant(&[]).await;
    assert_eq!(now(&tenant)["queues"], json!(["4001", "4002", "4003"]));
    let listed = tenant.get(&format!("{ACD}/agents/{USER}/skills")).await;
    let rows = listed.json()["agentSkillAssignments"].clone();
    assert_eq!(listed.json()["totalRecords"], 3);
    assert_eq!(rows[0]["isActive"], true);
    assert_eq!(rows[2]["isActive"], false, "an inactive assignment is one");
    for skill in rows.as_array().unwrap() {
        let uri = format!("{ACD}/skills/{}/agents/{AGENT}", skill["skillId"]);
        let taken = tenant.call("DELETE", &uri, &[], "").await;
        assert_eq!(taken.status, 200);
    }
    assert_eq!(now(&tenant)["queues"], json!([]));
    let listed = tenant.get(&format!("{ACD}/agents/{AGENT}/skills")).await;
    assert_eq!(listed.status, 204);

    let groups = tenant.get(&format!("{ACD}/agents/{AGENT}/groups")).await;
    assert_eq!(groups.json()["agentGroups"][0]["groupId"], 7001);
    let uri = format!("{ACD}/groups/7001/agents");
    let body = json!({ "agents": [{ "agentId": AGENT }] });
    let left = tenant.send("DELETE", &uri, body).await.json();
    assert_eq!(left["errorCount"], 0);
    assert_eq!(left["agentResults"][0]["success"], true);
    assert_eq!(now(&tenant)["groups"], json!([]));
}

#[tokio::test]
async fn what_derives_from_a_rule_stays_although_the_answer_is_a_200() {
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "skills": 1, "derivedMembership": true }));
    let uri = format!("{ACD}/skills/4001/agents/{AGENT}");
    assert_eq!(tenant.call("DELETE", &uri, &[], "").await.status, 200);
    assert_eq!(now(&tenant)["queues"], json!(["4001"]));
    let uri = format!("{ACD}/groups/7001/agents");
    let body = json!({ "agents": [{ "agentId": AGENT }] });
    let answer = tenant.send("DELETE", &uri, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["errorCount"], 1);
    assert_eq!(now(&tenant)["groups"], json!(["7001"]));
}

#[tokio::test]
async fn a_deactivation_leaves_sessions_and_keys_which_end_by_themselves() {
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "accessKeys": 2, "laggingReads": 1 }));
    let done = deactivate(&tenant, USER).await;
    assert_eq!(done.json()["notDeletedUserIds"], json!([]));
    assert_eq!(status_of(&tenant, USER).await, "ACTIVE", "lagging");
    assert_eq!(status_of(&tenant, USER).await, "DELETED");
    assert_eq!(now(&tenant)["active"], false);
    assert_eq!(now(&tenant)["sessions"], 1);

    let uri = format!("{ACD}/agents/{AGENT}/logout");
    assert_eq!(tenant.call("POST", &uri, &[], "").await.status, 200);
    assert_eq!(now(&tenant)["sessions"], 0);

    let keys = "/access-key-management/v1/access-keys";
    let listed = tenant.get(&format!("{keys}?userId={USER}")).await.json();
    assert_eq!(listed["totalRecords"], 3, "one is inactive");
    for key in listed["accessKeys"].as_array().unwrap() {
        let id = key["accessKeyId"].as_str().unwrap();
        let uri = format!("{keys}?accessKeyId={id}&userId={USER}");
        let off = tenant.send("PATCH", &uri, json!({"isActive": false})).await;
        assert_eq!(off.status, 200);
    }
    assert_eq!(now(&tenant)["accessKeys"], json!([]));
}

#[tokio::test]
async fn teams_name_their_leads() {
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "lead": true }));
    let body = json!({ "skip": 1, "top": 5 });
    let found = tenant
        .send("POST", "/user-management/v4/teams/search", body)
        .await;
    let found = found.json();
    assert_eq!(found["totalRecords"], 2);
    assert_eq!(found["teams"].as_array().unwrap().len(), 1);
    assert_eq!(found["teams"][0]["leadUserId"], USER);

    let body = json!({ "fields": ["leadUserId"], "skip": 1, "top": 5 });
    let found = tenant
        .send("POST", "/user-management/v4/teams/search", body)
        .await;
    let team = found.json()["teams"][0].clone();
    assert_eq!(team["leadUserId"], USER);
    assert!(
        team.get("id").is_some() && team.get("name").is_none(),
        "{team}"
    );
}

#[tokio::test]
async fn version_and_permissions_are_shown() {
    let tenant = tenant(&[]).await;
    let version = tenant.get(&format!("{ACD}/apiversion")).await;
    assert_eq!(version.json()["version"], "v34.0");
    let own = tenant.get(&format!("{ACD}/permissions/1000000")).await;
    assert_eq!(own.json()["permissions"].as_array().unwrap().len(), 12);
}

/// What cannot be a switch, and why.
const NOT_BEHAVIOURS: &[(&str, &str)] = &[
    (
        "the names of the permissions",
        "they are data; the simulator invents names of its own",
    ),
    (
        "whether contacts that are being handled are ended",
        "only completed contacts are served, so that nothing shows the difference",
    ),
];

#[test]
fn whatever_the_document_leaves_open_is_a_switch_or_has_a_reason_why_not() {
    let document = include_str!("../../../../docs/contract/cxone-published-openapi.yaml");
    let open = unknowns_of(document);
    assert!(open.len() > 15, "{}", open.len());
    for (operation, sentence) in &open {
        let is_switch = |switch: &&crate::simulator::unknowns::Switch| {
            switch.sentence == sentence && switch.operation == operation
        };
        let is_switch = SWITCHES.iter().any(|switch| is_switch(&switch));
        let is_excused = NOT_BEHAVIOURS.iter().any(|(known, _)| known == sentence);
        assert!(is_switch != is_excused, "{operation}: {sentence}");
    }
    for (sentence, _) in NOT_BEHAVIOURS {
        assert!(
            open.iter().any(|(_, known)| known == sentence),
            "{sentence}"
        );
    }
}

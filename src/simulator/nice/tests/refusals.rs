//! What is refused, and in which form.

use serde_json::{Value, json};

use super::{ACD, AGENT, FORM, GRANT, USER, deactivate, tenant};
use crate::simulator::testing::Tenant;

const KEYS: &str = "/access-key-management/v1/access-keys";

async fn refused(tenant: &Tenant, uris: &[String]) {
    for uri in uris {
        let answer = tenant.get(uri).await;
        assert_eq!(answer.status, 400, "{uri}");
        let body = answer.json();
        assert!(
            body["error"].is_string() || body["code"].is_string(),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn parameters_that_the_document_does_not_allow_are_refused() {
    let tenant = tenant(&[]).await;
    let dates = "startDate=2026-01-01T00:00:00Z&endDate=2026-01-02T00:00:00Z";
    let contacts = |rest: &str| format!("{ACD}/contacts/completed?{rest}");
    refused(
        &tenant,
        &[
            format!("/user-management/v3/users/{USER}?state=all"),
            "/user-management/v3/users/1000001".to_owned(),
            format!("{ACD}/agents/someone"),
            format!("{ACD}/agents/{USER}/skills?skip=-1"),
            format!("{ACD}/agents/{USER}/skills?top=0"),
            format!("{ACD}/agents/{USER}/skills?isAssignedSkillActive=yes"),
            format!("{ACD}/agents/{USER}/groups"),
            KEYS.to_owned(),
            format!("{KEYS}?userId={AGENT}"),
            contacts(dates),
            contacts(&format!("{dates}&agentId={USER}")),
            contacts(&format!("{dates}&agentId={AGENT}&top=10001")),
            contacts(&format!("{dates}&agentId={AGENT}&top=0")),
            contacts(&format!("{dates}&agentId={AGENT}&skip=x")),
            contacts(&format!("{dates}&agentId={AGENT}&orderBy=agentId")),
            contacts(&format!("{dates}&agentId={AGENT}&pageSize=5")),
            contacts(&format!("{dates}&agentId={AGENT}&skip=0&skip=1")),
            contacts(&format!("agentId={AGENT}&startDate=2026-01-01T00:00:00Z")),
            contacts(&format!(
                "agentId={AGENT}&startDate=2026-01-01T00:00:00Z&endDate=2026-01-02T00:00:00%2B00:00"
            )),
            contacts(&format!(
                "agentId={AGENT}&startDate=2026-01-03T00:00:00Z&endDate=2026-01-02T00:00:00Z"
            )),
        ],
    )
    .await;
}

#[tokio::test]
async fn bodies_that_the_document_does_not_allow_are_refused() {
    let tenant = tenant(&[]).await;
    let users = "/user-management/v1/users/deactivate";
    let group = format!("{ACD}/groups/7001/agents");
    let key = format!("{KEYS}?accessKeyId=KEY-1000001-0&userId={USER}");
    let skill = format!("{ACD}/skills/4001/agents/{AGENT}");
    let logout = format!("{ACD}/agents/{AGENT}/logout");
    let calls: [(&str, &str, Value); 12] = [
        ("POST", users, json!({ "userIds": [] })),
        ("POST", users, json!({ "userIds": [USER, USER] })),
        ("POST", users, json!({ "userIds": ["someone"] })),
        ("POST", users, json!({ "userIds": [USER], "force": true })),
        ("DELETE", &group, json!({ "agents": [] })),
        ("DELETE", &group, json!({ "agents": [{ "agentId": USER }] })),
        (
            "DELETE",
            &group,
            json!({ "agents": [{ "agentId": AGENT, "x": 1 }] }),
        ),
        ("PATCH", &key, json!({ "isActive": "true" })),
        ("PATCH", &key, json!({ "isActive": false, "x": 1 })),
        ("DELETE", &skill, json!({})),
        ("POST", &logout, json!({})),
        (
            "POST",
            "/user-management/v4/teams/search",
            json!({ "filter": { "leadUserId": [USER] } }),
        ),
    ];
    for (method, uri, body) in calls {
        let answer = tenant.send(method, uri, body.clone()).await;
        assert_eq!(answer.status, 400, "{method} {uri} {body}");
    }
    let untyped = tenant
        .call("POST", users, &[], json!({ "userIds": [USER] }).to_string())
        .await;
    assert_eq!(untyped.status, 400);
    assert!(
        tenant
            .world
            .ledger
            .entries(None)
            .iter()
            .all(|it| !it.applied)
    );
}

#[tokio::test]
async fn acd_wants_accept_and_a_correlation_id_is_a_uuid_that_comes_back() {
    let tenant = tenant(&[]).await;
    let uri = format!("{ACD}/agents/{USER}");
    for accept in ["", "*/*"] {
        let answer = tenant.call("GET", &uri, &[("accept", accept)], "").await;
        assert_eq!(answer.status, 406, "{accept:?}");
        let text = "No known way to render data";
        assert_eq!(answer.header("icstatusdescription"), text);
    }
    let wrong = [("correlationid", "1")];
    assert_eq!(tenant.call("GET", &uri, &wrong, "").await.status, 400);
    let right = [("correlationid", USER)];
    let answer = tenant.call("GET", &uri, &right, "").await;
    assert_eq!(answer.header("correlationid"), USER);
    let entries = tenant.world.ledger.entries(Some(USER));
    assert_eq!(
        entries.last().unwrap().correlation_id.as_deref(),
        Some(USER)
    );
}

#[tokio::test]
async fn what_the_document_does_not_have_is_404_without_json() {
    let tenant = tenant(&[]).await;
    for (method, uri) in [
        ("GET", "/api/v2/iam/users/x".to_owned()),
        ("DELETE", format!("/user-management/v3/users/{USER}")),
        ("GET", format!("{ACD}/agents")),
        ("GET", format!("{ACD}/teams/1/agents")),
        ("GET", format!("/scim/v2/Users/{USER}")),
        ("GET", "/incontactapi/services/v99.0/apiversion".to_owned()),
    ] {
        let answer = tenant.call(method, &uri, &[], "").await;
        assert_eq!(answer.status, 404, "{method} {uri}");
        assert_eq!(answer.header("content-type"), "text/html");
    }
}

#[tokio::test]
async fn tokens_are_for_access_keys_only() {
    let tenant = tenant(&[]).await;
    for (form, status, error) in [
        (
            "grant_type=client_credentials&client_id=offboarder&client_secret=simulator-secret",
            400,
            "unsupported_grant_type",
        ),
        (
            "grant_type=password&username=x&password=y&client_id=offboarder&client_secret=simulator-secret",
            400,
            "invalid_grant",
        ),
        (
            "grant_type=password&username=x&password=y&client_id=x&client_secret=y",
            401,
            "invalid_client",
        ),
        ("grant_type=password&scope=all", 400, "invalid_request"),
    ] {
        let answer = tenant.call("POST", "/auth/token", &[FORM], form).await;
        assert_eq!(answer.status, status, "{form}");
        assert_eq!(answer.json()["error"], error, "{form}");
    }
    let key = "grant_type=password&username=simulator-key&password=simulator-key-secret";
    // `offboarder:simulator-secret`
    let basic = "Basic b2ZmYm9hcmRlcjpzaW11bGF0b3Itc2VjcmV0";
    let headers = [FORM, ("authorization", basic)];
    let answer = tenant.call("POST", "/auth/token", &headers, key).await;
    assert_eq!(answer.status, 200);
    let other = "/.well-known/cxone-configuration?tenantId=other";
    assert_eq!(tenant.get(other).await.status, 404);
}

#[tokio::test]
async fn each_service_refuses_in_its_own_form() {
    let tenant = tenant(&[]).await;
    let stranger = [("authorization", "Bearer x")];
    let account = format!("/user-management/v3/users/{USER}");
    let hub = tenant.call("GET", &account, &stranger, "").await;
    assert_eq!(hub.status, 401);
    assert_eq!(hub.json()["path"], account.as_str());
    let agent = format!("{ACD}/agents/{USER}");
    let acd = tenant.call("GET", &agent, &stranger, "").await;
    assert_eq!(acd.status, 401);
    assert!(acd.json()["error_description"].is_string());

    tenant.world.set_scopes(vec!["agents.view".to_owned()]);
    let granted = tenant.call("POST", "/auth/token", &[FORM], GRANT).await;
    let token = format!(
        "Bearer {}",
        granted.json()["access_token"].as_str().unwrap()
    );
    let less = [("authorization", token.as_str())];
    assert_eq!(tenant.call("GET", &agent, &less, "").await.status, 200);
    let denied = tenant.call("GET", &account, &less, "").await;
    assert_eq!(denied.status, 403);
    assert!(denied.json()["code"].is_string());

    tenant.strike(json!({
        "operation": "get_agent", "user": USER, "times": 1,
        "fault": { "kind": "status", "status": 503, "code": "away" },
    }));
    let uri = format!("{ACD}/agents/{AGENT}");
    let struck = tenant.get(&uri).await;
    assert_eq!(struck.status, 503);
    assert_eq!(struck.json()["error"], "away");
}

#[tokio::test]
async fn an_account_of_an_identity_provider_and_one_that_nobody_has_are_listed_as_not_deactivated()
{
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "externalIdentity": true }));
    let nobody = "00000000-0000-4000-8000-00000000dead";
    for id in [USER, nobody] {
        let answer = deactivate(&tenant, id).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["notDeletedUserIds"], json!([id]));
    }
    assert_eq!(super::now(&tenant)["active"], true);
}

#[tokio::test]
async fn one_budget_holds_for_all_services() {
    let mut options = super::options(&[]);
    options.quota_routing = 2;
    let tenant = super::with_token(Tenant::new(&options)).await;
    let account = format!("/user-management/v3/users/{USER}");
    let agent = format!("{ACD}/agents/{USER}");
    assert_eq!(tenant.get(&account).await.status, 200);
    assert_eq!(tenant.get(&agent).await.status, 200);
    let slow = tenant.get(&account).await;
    assert_eq!(slow.status, 429);
    assert_eq!(slow.header("retry-after"), "1");
}

#[tokio::test]
async fn hidden_rows_are_counted_in_lists() {
    let tenant = tenant(&[]).await;
    tenant.put(json!({ "id": USER, "skills": 0, "groups": 0, "hiddenAgents": 2 }));
    for list in ["skills", "groups"] {
        let answer = tenant.get(&format!("{ACD}/agents/{AGENT}/{list}")).await;
        assert_eq!(answer.status, 200, "{list}");
        assert_eq!(answer.json()["hiddenAgents"], 2, "{list}");
    }
}

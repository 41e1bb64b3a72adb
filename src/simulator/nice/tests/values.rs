//! Each value of each switch.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ACD, AGENT, FORM, GRANT, SERVICE_ID, SWITCHES, USER, claims, deactivate, now, tenant};
use crate::simulator::testing::Tenant;

const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";
const KEY_ALONE: &str = "grant_type=password&username=simulator-key&password=simulator-key-secret";

/// Switch, value, and what is seen of it.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("client", "required", "200 401"),
    ("client", "optional", "200 200"),
    ("client", "refused", "401 401"),
    ("key_of_deactivated_owner", "400", "400"),
    ("key_of_deactivated_owner", "401", "401"),
    (
        "claim_sub",
        "uuid",
        "\"5e71ce00-5eed-4000-8000-000000000001\"",
    ),
    (
        "claim_sub",
        "prefixed",
        "\"user:5e71ce00-5eed-4000-8000-000000000001\"",
    ),
    ("claim_ic_agent_id", "number", "1000000"),
    ("claim_ic_agent_id", "text", "\"1000000\""),
    ("apiversion_body", "object", "200 {\"version\":\"v34.0\"}"),
    ("apiversion_body", "text", "200 \"v34.0\""),
    ("apiversion_body", "empty", "200 null"),
    ("version_not_served", "404", "404"),
    ("version_not_served", "400", "400"),
    ("version_not_served", "410", "410"),
    ("unknown_user", "404", "404"),
    ("unknown_user", "200_empty", "200"),
    ("unknown_user", "400", "400"),
    ("deactivated_user", "deleted", "200"),
    ("deactivated_user", "404", "404"),
    ("no_agent", "404", "404"),
    ("no_agent", "204", "204"),
    ("no_agent", "200_empty", "200"),
    ("agent_of_inactive", "shown", "200 false"),
    ("agent_of_inactive", "404", "404 null"),
    ("agent_of_inactive", "204", "204 null"),
    ("agent_of_inactive", "200_empty", "200 null"),
    ("agent_of_inactive", "404_and_no_acd_info", "404 null"),
    ("no_rows", "204", "204 204 204 204"),
    ("no_rows", "200", "200 200 200 200"),
    ("skill_page_size", "100", "3"),
    ("skill_page_size", "2", "2"),
    ("skill_page_size", "1", "1"),
    ("remove_skill_success", "200", "200 2 2"),
    ("remove_skill_success", "202", "202 3 2"),
    ("remove_skill_success", "204", "204 2 2"),
    ("remove_skill_absent", "404", "404"),
    ("remove_skill_absent", "success", "200"),
    ("remove_skill_inactive", "success", "200"),
    ("remove_skill_inactive", "400", "400"),
    ("remove_from_group_absent", "failure", "1"),
    ("remove_from_group_absent", "success", "0"),
    ("deactivate_ends", "nothing", "1 1"),
    ("deactivate_ends", "sessions", "0 1"),
    ("deactivate_ends", "keys", "1 0"),
    ("deactivate_ends", "all", "0 0"),
    ("deactivate_idp", "listed", "200 1"),
    ("deactivate_idp", "400", "400 0"),
    ("deactivate_idp", "403", "403 0"),
    ("deactivate_repeat", "success", "200 0"),
    ("deactivate_repeat", "listed", "200 1"),
    ("deactivate_repeat", "400", "400 0"),
    ("deactivate_repeat", "404", "404 0"),
    ("deactivate_done", "at_once", "200 DELETED DELETED DELETED"),
    ("deactivate_done", "later", "202 ACTIVE ACTIVE DELETED"),
    ("logout_no_session", "200", "200"),
    ("logout_no_session", "202", "202"),
    ("logout_no_session", "204", "204"),
    ("logout_no_session", "404", "404"),
    ("logout_no_session", "409", "409"),
    ("longest_window", "none", "200 200 200 200 200"),
    ("longest_window", "31d", "400 200 200 200 200"),
    ("longest_window", "30d", "400 400 200 200 200"),
    ("longest_window", "7d", "400 400 400 200 200"),
    ("longest_window", "1d", "400 400 400 400 200"),
    ("reach", "all", "40"),
    ("reach", "90d", "11"),
    ("reach", "90d_refused", "400"),
    ("contacts_late", "none", "40 40"),
    ("contacts_late", "2s", "39 39"),
    ("contacts_late", "30m", "39 39"),
    ("inactive_rows", "given", "200"),
    ("inactive_rows", "nothing", "204"),
    ("inactive_rows", "404", "404"),
    ("unseen_team", "403", "403"),
    ("unseen_team", "fewer_rows", "204"),
    ("contacts_of_nobody", "nothing", "204"),
    ("contacts_of_nobody", "404", "404"),
    ("contacts_of_nobody", "400", "400"),
];

#[tokio::test]
async fn each_value_of_each_switch_is_seen() {
    let mut untested: BTreeSet<(&str, &str)> = SWITCHES
        .iter()
        .flat_map(|switch| switch.values.iter().map(|value| (switch.name, *value)))
        .collect();
    for (name, value, expected) in EXPECTED {
        let seen = seen(name, value).await;
        assert_eq!(seen, *expected, "{name}={value}");
        assert!(untested.remove(&(*name, *value)), "{name}={value}");
    }
    assert_eq!(untested, BTreeSet::new());
}

async fn seen(name: &str, value: &str) -> String {
    let tenant = tenant(&[&format!("{name}={value}")]).await;
    match name {
        "client" | "key_of_deactivated_owner" | "claim_sub" | "claim_ic_agent_id" => {
            of_tokens(&tenant, name).await
        }
        "apiversion_body" | "version_not_served" | "unknown_user" | "deactivated_user"
        | "no_agent" | "agent_of_inactive" => of_identity(&tenant, name).await,
        "no_rows"
        | "skill_page_size"
        | "remove_skill_success"
        | "remove_skill_absent"
        | "remove_skill_inactive"
        | "remove_from_group_absent" => of_routing(&tenant, name).await,
        "deactivate_ends" | "deactivate_idp" | "deactivate_repeat" | "deactivate_done"
        | "logout_no_session" => of_access(&tenant, name).await,
        _ => of_contacts(&tenant, name).await,
    }
}

async fn status(tenant: &Tenant, uri: &str) -> String {
    tenant.get(uri).await.status.to_string()
}

async fn of_tokens(tenant: &Tenant, name: &str) -> String {
    let token = |form: &'static str| tenant.call("POST", "/auth/token", &[FORM], form);
    match name {
        "client" => {
            let with = token(GRANT).await.status;
            let without = token(KEY_ALONE).await.status;
            format!("{with} {without}")
        }
        "key_of_deactivated_owner" => {
            deactivate(tenant, SERVICE_ID).await;
            token(GRANT).await.status.to_string()
        }
        name => {
            let answer = token(GRANT).await.json();
            let claims = claims(answer["access_token"].as_str().unwrap());
            let claim = if name == "claim_sub" {
                "sub"
            } else {
                "icAgentId"
            };
            claims[claim].to_string()
        }
    }
}

async fn of_identity(tenant: &Tenant, name: &str) -> String {
    let account = |id: &str| format!("/user-management/v3/users/{id}");
    let agent = format!("{ACD}/agents/{USER}");
    match name {
        "apiversion_body" => {
            let answer = tenant.get(&format!("{ACD}/apiversion")).await;
            format!("{} {}", answer.status, answer.json())
        }
        "version_not_served" => status(tenant, "/incontactapi/services/v35.0/apiversion").await,
        "unknown_user" => status(tenant, &account(NOBODY)).await,
        "deactivated_user" => {
            deactivate(tenant, USER).await;
            status(tenant, &account(USER)).await
        }
        "no_agent" => {
            tenant.put(json!({ "id": USER, "agent": false }));
            status(tenant, &agent).await
        }
        _ => {
            tenant.put(json!({ "id": USER, "inactive": true }));
            let answer = tenant.get(&agent).await;
            format!(
                "{} {}",
                answer.status,
                answer.json()["agents"][0]["isActive"]
            )
        }
    }
}

async fn of_routing(tenant: &Tenant, name: &str) -> String {
    let skill = |id: u64| format!("{ACD}/skills/{id}/agents/{AGENT}");
    let skills = format!("{ACD}/agents/{AGENT}/skills");
    let count = || async {
        let page = tenant.get(&skills).await.json();
        page["agentSkillAssignments"].as_array().map_or(0, Vec::len)
    };
    match name {
        "no_rows" => {
            tenant.put(json!({
                "id": USER, "skills": 0, "groups": 0, "accessKeys": 0, "conversations": 0,
            }));
            let groups = format!("{ACD}/agents/{AGENT}/groups");
            let keys = format!("/access-key-management/v1/access-keys?userId={USER}");
            let mut all = Vec::new();
            for uri in [skills, groups, keys, contacts(366, 0)] {
                all.push(status(tenant, &uri).await);
            }
            all.join(" ")
        }
        "skill_page_size" => count().await.to_string(),
        "remove_skill_success" => {
            let status = tenant.call("DELETE", &skill(4001), &[], "").await.status;
            format!("{status} {} {}", count().await, count().await)
        }
        "remove_from_group_absent" => {
            let uri = format!("{ACD}/groups/7009/agents");
            let body = json!({ "agents": [{ "agentId": AGENT }] });
            tenant.send("DELETE", &uri, body).await.json()["errorCount"].to_string()
        }
        name => {
            let is_absent = name == "remove_skill_absent";
            tenant.put(json!({ "id": USER, "inactive": !is_absent }));
            let id = if is_absent { 4009 } else { 4001 };
            let answer = tenant.call("DELETE", &skill(id), &[], "").await;
            answer.status.to_string()
        }
    }
}

async fn of_access(tenant: &Tenant, name: &str) -> String {
    let refused = |answer: &Value| answer["notDeletedUserIds"].as_array().map_or(0, Vec::len);
    match name {
        "deactivate_ends" => {
            deactivate(tenant, USER).await;
            let now = now(tenant);
            let keys = now["accessKeys"].as_array().unwrap().len();
            format!("{} {keys}", now["sessions"])
        }
        "deactivate_done" => {
            let mut all = vec![deactivate(tenant, USER).await.status.to_string()];
            for _ in 0..3 {
                let status = super::status_of(tenant, USER).await;
                all.push(status.as_str().unwrap().to_owned());
            }
            all.join(" ")
        }
        "logout_no_session" => {
            tenant.put(json!({ "id": USER, "sessions": 0 }));
            let uri = format!("{ACD}/agents/{AGENT}/logout");
            tenant.call("POST", &uri, &[], "").await.status.to_string()
        }
        name => {
            let record = if name == "deactivate_idp" {
                json!({ "id": USER, "externalIdentity": true })
            } else {
                json!({ "id": USER, "inactive": true })
            };
            tenant.put(record);
            let answer = deactivate(tenant, USER).await;
            format!("{} {}", answer.status, refused(&answer.json()))
        }
    }
}

/// Contacts that began at most `from` and at least `to` days ago.
fn contacts(from: i64, to: i64) -> String {
    let now: Timestamp = crate::simulator::world::now();
    let ago = |days: i64| now - SignedDuration::from_hours(24 * days);
    format!(
        "{ACD}/contacts/completed?agentId={AGENT}&startDate={}&endDate={}",
        ago(from),
        ago(to)
    )
}

async fn of_contacts(tenant: &Tenant, name: &str) -> String {
    let total = || async {
        let answer = tenant.get(&contacts(366, 0)).await;
        match answer.status {
            200 => answer.json()["totalRecords"].to_string(),
            status => status.to_string(),
        }
    };
    match name {
        "longest_window" => {
            let mut all = Vec::new();
            for days in [40, 31, 30, 7, 1] {
                tenant.put(json!({ "id": USER, "conversations": 5000 }));
                all.push(status(tenant, &contacts(days + 5, 5)).await);
            }
            all.join(" ")
        }
        "reach" => total().await,
        "contacts_late" => {
            let before = total().await;
            deactivate(tenant, USER).await;
            format!("{before} {}", total().await)
        }
        "inactive_rows" => {
            tenant.put(json!({ "id": USER, "inactive": true }));
            status(tenant, &contacts(366, 0)).await
        }
        "unseen_team" => {
            tenant.world.set_scopes(vec!["reporting.view".to_owned()]);
            let granted = tenant.call("POST", "/auth/token", &[FORM], GRANT).await;
            let token = granted.json()["access_token"].as_str().unwrap().to_owned();
            let headers = [("authorization", &*format!("Bearer {token}"))];
            let uri = contacts(366, 0);
            tenant
                .call("GET", &uri, &headers, "")
                .await
                .status
                .to_string()
        }
        _ => {
            let uri = contacts(366, 0).replace(&AGENT.to_string(), "1999999");
            status(tenant, &uri).await
        }
    }
}

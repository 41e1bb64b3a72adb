use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::super::faults::Fault;
use super::super::super::options::{Options, RetryAfterStyle};
use super::super::super::population::Record;
use super::super::ALL_RIGHTS;
use super::{NOBODY, Tenant, USER};

fn grant(secret: &str, form: &str) -> Request {
    let pair = STANDARD.encode(format!("offboarder:{secret}"));
    Request::builder()
        .method("POST")
        .uri("/oauth/token")
        .header("authorization", format!("Basic {pair}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap()
}

const FORM: &str = "grant_type=client_credentials";

#[tokio::test]
async fn a_client_gets_a_token_that_opens_the_api() {
    let mut tenant = Tenant::with(Record::default());
    let answer = tenant.send(grant("simulator-secret", FORM)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(tenant.last().operation, "get_token");
    assert_eq!(answer.json()["token_type"], "bearer");
    assert_eq!(answer.json()["expires_in"], 3600);
    assert!(answer.json()["scope"].is_null());
    answer.header("inin-correlation-id");

    answer.json()["access_token"]
        .as_str()
        .unwrap()
        .clone_into(&mut tenant.token);
    assert_eq!(tenant.get(&format!("users/{USER}")).await.status, 200);
    tenant.strike("get_user", Fault::RevokeToken);
    for _ in 0..2 {
        let answer = tenant.get(&format!("users/{USER}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "bad.credentials")
        );
    }
    tenant.token.clear();
    let answer = tenant.get(&format!("users/{USER}")).await;
    assert_eq!(answer.code(), "authentication.required");
}

#[tokio::test]
async fn a_wrong_client_or_grant_is_refused() {
    let tenant = Tenant::with(Record::default());
    for (value, status) in [("400", 400), ("401", 401)] {
        tenant.set("token_refusal", value);
        let answer = tenant.send(grant("wrong", FORM)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"], "invalid_client");
    }
    for form in [
        "grant_type=password",
        "",
        "grant_type=client_credentials&client_id=x",
    ] {
        assert_eq!(
            tenant.send(grant("simulator-secret", form)).await.status,
            400,
            "{form}"
        );
    }
    let json = Request::builder()
        .method("POST")
        .uri("/oauth/token")
        .header("content-type", "application/json")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(tenant.send(json).await.status, 400);
}

#[tokio::test]
async fn every_answer_names_its_id_and_the_rate() {
    let options = Options {
        quota_routing: 2,
        ..Options::default()
    };
    let tenant = Tenant::new(options, Record::default());
    let first = tenant.get(&format!("users/{USER}")).await;
    assert_eq!(first.header("inin-ratelimit-allowed"), "120");
    assert!(first.header("inin-ratelimit-reset").parse::<u8>().unwrap() <= 60);
    first.header("inin-ratelimit-count").parse::<u8>().unwrap();
    assert_eq!(
        tenant.last().answered_correlation_id.as_deref(),
        Some(first.header("inin-correlation-id"))
    );
    let second = tenant.get(&format!("users/{NOBODY}")).await;
    assert_eq!(second.status, 404);
    assert_ne!(
        second.header("inin-correlation-id"),
        first.header("inin-correlation-id")
    );

    let third = tenant.delete(&format!("users/{USER}")).await;
    assert_eq!(
        (third.status, third.code().as_str()),
        (429, "too.many.requests")
    );
    assert_eq!(third.header("retry-after"), "1");
    assert_eq!(third.header("inin-ratelimit-allowed"), "120");
    assert_eq!(tenant.now()["exists"], true);
}

#[tokio::test]
async fn a_quota_may_say_nothing_of_when_to_try_again() {
    let options = Options {
        quota_routing: 1,
        retry_after: RetryAfterStyle::None,
        ..Options::default()
    };
    let tenant = Tenant::new(options, Record::default());
    tenant.get("tokens/me").await;
    let answer = tenant.get("tokens/me").await;
    assert_eq!(answer.status, 429);
    assert!(!answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_fault_with_a_code_has_the_form_of_the_api() {
    let tenant = Tenant::with(Record::default());
    let fault = json!({"kind": "status", "status": 504, "code": "request.timeout"});
    tenant.strike("*", serde_json::from_value(fault).unwrap());
    let answer = tenant.get(&format!("users/{USER}")).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "request.timeout")
    );
    answer.header("inin-correlation-id");
}

#[tokio::test]
async fn each_right_is_needed_by_its_operation() {
    let user = format!("users/{USER}");
    let queue = format!("routing/queues/{NOBODY}/members/{USER}");
    let team = format!("teams/{NOBODY}/members?id={USER}");
    let calls = [
        ("directory:user:edit", "PATCH", user.clone(), true),
        ("directory:user:delete", "DELETE", user.clone(), true),
        ("routing:queue:view", "GET", format!("{user}/queues"), false),
        ("routing:queueMember:manage", "DELETE", queue, true),
        (
            "routing:skill:assign",
            "PUT",
            format!("{user}/routingskills/bulk"),
            false,
        ),
        ("groups:team:assign", "DELETE", team, false),
        (
            "oauth:token:delete",
            "DELETE",
            format!("tokens/{USER}"),
            false,
        ),
        (
            "analytics:conversationDetail:view",
            "POST",
            "analytics/conversations/details/query".to_owned(),
            true,
        ),
    ];
    for (right, method, path, any) in calls {
        let without: Vec<&str> = ALL_RIGHTS.split(' ').filter(|one| *one != right).collect();
        let options = Options {
            scopes: Some(without.join(" ")),
            ..Options::default()
        };
        let tenant = Tenant::new(options, Record::default());
        let answer = tenant.ask(method, &path, None).await;
        assert_eq!(answer.status, 403, "{right}");
        let code = if any {
            "missing.any.permissions"
        } else {
            "missing.permissions"
        };
        assert_eq!(answer.code(), code, "{right}");
        assert!(answer.text.contains(right));

        let tenant = Tenant::with(Record::default());
        assert_ne!(tenant.ask(method, &path, None).await.status, 403, "{right}");
    }
}

#[tokio::test]
async fn the_client_reads_who_it_is() {
    let tenant = Tenant::with(Record::default());
    let info = tenant.get("tokens/me?preserveIdleTTL=true").await;
    assert_eq!(info.status, 200);
    assert_eq!(info.json()["OAuthClient"]["id"], "offboarder");
    assert!(info.json()["organization"]["id"].is_string());
    assert_eq!(tenant.get("tokens/me?more=1").await.status, 400);
    assert_eq!(tenant.last().operation, "get_token_info");
}

#[tokio::test]
async fn the_client_reads_its_grants_or_may_not() {
    let tenant = Tenant::with(Record::default());
    let answer = tenant.get("authorization/subjects/me").await.json();
    let grant = &answer["grants"][0];
    assert_eq!(grant["division"]["id"], "*");
    let policies = grant["role"]["policies"].as_array().unwrap();
    let user = policies
        .iter()
        .find(|one| one["entityName"] == "user")
        .unwrap();
    assert_eq!(user["domain"], "directory");
    assert_eq!(user["actions"], json!(["delete", "edit"]));

    tenant.set("grant_divisions", "one");
    let answer = tenant.get("authorization/subjects/me").await.json();
    assert_eq!(answer["grants"][0]["division"]["name"], "Home");
    for (value, status) in [("forbidden", 403), ("not_found", 404), ("bad_request", 400)] {
        tenant.set("own_grants", value);
        assert_eq!(tenant.get("authorization/subjects/me").await.status, status);
    }
}

#[tokio::test]
async fn limits_have_these_or_other_namespaces() {
    let tenant = Tenant::with(Record::default());
    for namespace in ["client.credentials", "analytics"] {
        let path = format!("organizations/limits/namespaces/{namespace}");
        tenant.set("limit_namespaces", "as_in_the_examples");
        let limits = tenant.get(&path).await.json();
        assert_eq!(limits["entities"][0]["namespace"], namespace);
        assert_eq!(limits["entities"][0]["value"], 300);
        tenant.set("limit_namespaces", "others");
        assert_eq!(tenant.get(&path).await.code(), "general.resource.not.found");
    }
}

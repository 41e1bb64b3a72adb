use std::time::Duration;

use serde_json::json;

use super::super::super::faults::Fault;
use super::super::super::options::Options;
use super::super::super::population::{DeletionAnswer, Record};
use super::{NOBODY, Tenant, USER};

#[tokio::test]
async fn a_user_is_made_inactive_with_the_version_that_was_read() {
    let tenant = Tenant::with(Record::default());
    let user = tenant.get(&format!("users/{USER}")).await;
    assert_eq!(user.status, 200, "{}", user.text);
    assert_eq!(user.json()["state"], "active");
    let version = user.json()["version"].as_u64().unwrap();
    assert_eq!(tenant.last().user_id.as_deref(), Some(USER));

    let inactive = tenant.deactivate(version).await;
    assert_eq!(inactive.status, 200, "{}", inactive.text);
    assert_eq!(inactive.json()["state"], "inactive");
    assert_eq!(inactive.json()["version"], version + 1);
    assert!(tenant.last().applied);
    assert_eq!(tenant.last().operation, "set_user_state");

    let user = tenant.get(&format!("users/{USER}?state=active")).await;
    assert_eq!(user.json()["state"], "inactive");
    assert_eq!(tenant.now()["active"], false);
    assert_eq!(tenant.now()["exists"], true);
    let again = tenant.deactivate(version + 1).await;
    assert_eq!((again.status, tenant.last().applied), (200, false));
}

#[tokio::test]
async fn another_version_is_refused_in_both_ways() {
    let tenant = Tenant::with(Record::default());
    let conflict = tenant.deactivate(3).await;
    assert_eq!(conflict.status, 409);
    assert_eq!(conflict.code(), "general.conflict");

    tenant.set("version_conflict", "400");
    let conflict = tenant.deactivate(3).await;
    assert_eq!(
        (conflict.status, conflict.code().as_str()),
        (400, "bad.request")
    );
    assert!(conflict.text.contains("does not match the current version"));

    tenant.strike("set_user_state", Fault::Conflict { status: None });
    assert_eq!(tenant.deactivate(7).await.status, 400);
    assert_eq!(tenant.deactivate(7).await.status, 400);
    assert_eq!(tenant.deactivate(8).await.status, 200);
    assert_eq!(tenant.now()["active"], false);
}

#[tokio::test]
async fn reads_after_a_deactivation_may_lag() {
    let tenant = Tenant::with(Record {
        lagging_reads: 1,
        ..Record::default()
    });
    tenant.deactivate(7).await;
    for (state, version) in [("active", 7), ("inactive", 8)] {
        let user = tenant.get(&format!("users/{USER}")).await.json();
        assert_eq!(
            (&user["state"], &user["version"]),
            (&json!(state), &json!(version))
        );
    }
}

#[tokio::test]
async fn what_the_document_does_not_have_is_refused() {
    let tenant = Tenant::with(Record::default());
    for path in [
        "users/x",
        &format!("users/{USER}?state=gone"),
        &format!("users/{USER}?expand=nothing"),
        &format!("users/{USER}?more=1"),
        &format!("users/{USER}?state=active&state=active"),
    ] {
        let answer = tenant.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        answer.code();
    }
    for body in [
        json!({"version": 7, "state": "deleted"}),
        json!({"version": 7, "state": "inactive", "name": "n"}),
        json!({"state": "inactive"}),
        json!([]),
    ] {
        let answer = tenant
            .ask("PATCH", &format!("users/{USER}"), Some(body))
            .await;
        assert_eq!(answer.status, 400);
        answer.code();
    }
    let body = Some(json!({}));
    let answer = tenant.ask("DELETE", &format!("users/{USER}"), body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        tenant.get(&format!("users/{NOBODY}")).await.code(),
        "not.found"
    );
    assert_eq!(tenant.now()["active"], true);

    let unknown = tenant.get("users").await;
    assert_eq!((unknown.status, tenant.last().operation), (404, "unknown"));
    assert!(serde_json::from_str::<serde_json::Value>(&unknown.text).is_err());
}

#[tokio::test]
async fn what_is_expanded_may_be_missing() {
    let tenant = Tenant::with(Record::default());
    let path = format!("users/{USER}?expand=groups,dateLastLogin");
    let user = tenant.get(&path).await.json();
    assert_eq!(user["groups"].as_array().unwrap().len(), 1);
    assert!(user["dateLastLogin"].is_string());

    tenant.set("expand", "missing");
    let user = tenant.get(&path).await.json();
    assert!(user["groups"].is_null() && user["dateLastLogin"].is_null());
}

#[tokio::test]
async fn a_deleted_user_is_found_only_among_the_deleted() {
    let path = format!("users/{USER}");
    for (switch, status, text) in [("ok", 200, "{}"), ("no_content", 204, "")] {
        let tenant = Tenant::with(Record::default());
        tenant.set("delete_answer", switch);
        assert_eq!(
            tenant.get(&format!("{path}?state=deleted")).await.status,
            404
        );
        let deleted = tenant.delete(&path).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (status, text));
        assert!(tenant.last().applied);

        assert_eq!(tenant.get(&path).await.status, 404);
        let user = tenant.get(&format!("{path}?state=deleted")).await;
        assert_eq!(
            (user.status, &user.json()["state"]),
            (200, &json!("deleted"))
        );
        assert!(user.json()["division"].is_null());
        assert_eq!(tenant.now()["exists"], false);
        assert_eq!(tenant.deactivate(8).await.status, 404);
    }
}

#[tokio::test]
async fn an_accepted_deletion_takes_its_time() {
    let options = Options {
        delete_delay: Duration::from_hours(1),
        ..Options::default()
    };
    let tenant = Tenant::new(options, Record::default());
    tenant.set("delete_answer", "accepted");
    let path = format!("users/{USER}");
    assert_eq!(tenant.delete(&path).await.status, 202);
    assert_eq!(tenant.get(&path).await.status, 200);
    assert_eq!(
        tenant.get(&format!("{path}?state=deleted")).await.status,
        404
    );
    assert_eq!(tenant.delete(&path).await.status, 202);
    assert!(!tenant.last().applied);
}

#[tokio::test]
async fn a_repeated_deletion_is_answered_by_the_switch() {
    let tenant = Tenant::with(Record::default());
    let path = format!("users/{USER}");
    tenant.delete(&path).await;
    for (value, status) in [("not_found", 404), ("ok", 200), ("conflict", 409)] {
        tenant.set("repeated_delete", value);
        assert_eq!(tenant.delete(&path).await.status, status);
        assert!(!tenant.last().applied);
    }
}

#[tokio::test]
async fn a_deletion_meets_a_version_error_or_a_refusal() {
    let tenant = Tenant::with(Record {
        deletion: Some(DeletionAnswer {
            status: 409,
            code: None,
        }),
        ..Record::default()
    });
    let path = format!("users/{USER}");
    let status = Some(400);
    tenant.strike("delete_user", Fault::Conflict { status });
    let conflict = tenant.delete(&path).await;
    assert_eq!(conflict.status, 400);
    assert!(conflict.text.contains("does not match the current version"));
    assert_eq!(tenant.delete(&path).await.code(), "general.conflict");
    assert_eq!(tenant.now()["exists"], true);
}

#[tokio::test]
async fn tokens_are_revoked() {
    let path = format!("tokens/{USER}");
    for (value, status) in [("ok", 200), ("no_content", 204)] {
        let tenant = Tenant::with(Record::default());
        tenant.set("revoke_answer", value);
        assert_eq!(tenant.now()["sessions"], 1);
        assert_eq!(tenant.delete(&path).await.status, status);
        assert!(tenant.last().applied);
        assert_eq!(tenant.now()["sessions"], 0);
    }
    let options = Options {
        delete_delay: Duration::from_hours(1),
        ..Options::default()
    };
    let tenant = Tenant::new(options, Record::default());
    tenant.set("revoke_answer", "accepted");
    assert_eq!(tenant.delete(&path).await.status, 202);
    assert_eq!(tenant.now()["sessions"], 1);
}

#[tokio::test]
async fn a_user_without_tokens_is_done_or_not_found() {
    let tenant = Tenant::with(Record {
        sessions: Some(0),
        ..Record::default()
    });
    let path = format!("tokens/{USER}");
    assert_eq!(tenant.delete(&path).await.status, 200);
    assert!(!tenant.last().applied);
    tenant.set("revoke_without_tokens", "not_found");
    assert_eq!(tenant.delete(&path).await.code(), "not.found");
    assert_eq!(tenant.delete(&format!("tokens/{NOBODY}")).await.status, 404);
}

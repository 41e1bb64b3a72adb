//! What is wrong with the tenant.

use serde_json::{Value, json};

use super::{CLOSED, assert_failure, assert_failures};
use crate::support::world::World;
use crate::support::{http, ledger, status, trial};

const SCOPES: [&str; 8] = [
    "user:read",
    "iam:write",
    "routing:read",
    "routing:write",
    "scim:read",
    "scim:write",
    "conversations:read",
    "analytics:read",
];

trial!(
    "doctor names what is wrong with the tenant, each by itself, and changes nothing there",
    the_tenant
);

fn the_tenant(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    assert_failures(&world, 0, &[]);
    assert_missing_scopes(&mut world);
    assert_faults(&world);
    for write in [
        "put_scim_user",
        "patch_routing_profile",
        "patch_queue",
        "delete_user",
    ] {
        assert_eq!(ledger::count(&world.simulator, write), 0, "{write}");
    }
    assert_wrong_credentials(&mut world, place);
}

/// Grants all scopes but these.
fn withhold(world: &World, missing: &[&str]) {
    let granted: Vec<&str> = SCOPES
        .into_iter()
        .filter(|scope| !missing.contains(scope))
        .collect();
    let scopes = "/_simulator/scopes";
    http::request("PUT", &world.simulator, scopes, Some(&json!(granted)));
}

fn assert_missing_scopes(world: &mut World) {
    for missing in [
        &["user:read", "scim:write", "analytics:read"][..],
        &["routing:read", "scim:read"],
        &["routing:write", "iam:write", "conversations:read"],
    ] {
        withhold(world, missing);
        let mut checks: Vec<String> = missing
            .iter()
            .map(|scope| format!("scope {scope}"))
            .collect();
        checks.sort();
        let checks: Vec<&str> = checks.iter().map(String::as_str).collect();
        assert_failures(world, 1, &checks);
    }

    // A worker that deletes nobody needs no right to.
    world.set("OFFBOARDER_GUARD_DELETE", "never");
    withhold(world, &["iam:write"]);
    assert_failures(world, 0, &[]);
    withhold(world, &[]);
}

fn assert_faults(world: &World) {
    // Whatever the token says of itself.
    let unscoped = json!({ "kind": "status", "status": 403, "code": "insufficient_scope" });
    let html =
        json!({ "kind": "status", "status": 404, "body": "<html>", "contentType": "text/html" });
    // As CXone says that no user has that ID.
    let missing = |headers: Value| json!({ "kind": "status", "status": 404, "code": "not_found", "headers": headers });
    let few = json!({ "X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "12" });
    let old = json!({ "Date": "Wed, 21 Oct 2015 07:28:00 GMT" });
    let analytics = "OFFBOARDER_CXONE_RATE_ANALYTICS";
    let unscoped_says = "lacks the scope routing:read";

    for (operation, fault, check, says) in [
        ("get_scim_user", &html, "SCIM", "enabled"),
        (
            "get_scim_user",
            &missing(json!({})),
            "SCIM",
            "every user would be missing",
        ),
        ("get_user", &html, "CXone API", "not as CXone answers"),
        ("get_scim_user", &status(501), "SCIM", "not offered"),
        ("get_scim_user", &status(403), "SCIM", "refused (403)"),
        (
            "query_conversations",
            &status(429),
            "quota analytics",
            analytics,
        ),
        (
            "get_routing_profile",
            &unscoped,
            "scope routing:read",
            unscoped_says,
        ),
        (
            "get_user",
            &missing(few),
            "quota routing",
            "12 calls of 300",
        ),
        (
            "get_routing_profile",
            &missing(old),
            "clock",
            "ahead of that of the API",
        ),
    ] {
        world.strike_all(operation, fault);
        assert_failure(world, 1, check, &[says]);
        world.end_faults();
    }
}

fn assert_wrong_credentials(world: &mut World, place: usize) {
    let elsewhere = World::new(place, Vec::new());
    let token_uri = format!("{}/api/v2/oauth/token", elsewhere.simulator);
    world.set("OFFBOARDER_CXONE_TOKEN_URI", &token_uri);
    let says = ["region", "OFFBOARDER_CXONE_BASE_URI"];
    assert_failure(world, 1, "CXone API", &says);

    world.set("OFFBOARDER_CXONE_CLIENT_SECRET", "another");
    let says = ["401", "region", "OFFBOARDER_CXONE_CLIENT_ID"];
    assert_failure(world, 1, "CXone credentials", &says);

    let token_uri = format!("{}/oauth/token", elsewhere.simulator);
    world.set("OFFBOARDER_CXONE_TOKEN_URI", &token_uri);
    let says = ["no token endpoint at", "set OFFBOARDER_CXONE_TOKEN_URI"];
    assert_failure(world, 1, "CXone credentials", &says);

    let token_uri = format!("http://{CLOSED}/token");
    world.set("OFFBOARDER_CXONE_TOKEN_URI", &token_uri);
    assert_failure(world, 3, "CXone credentials", &["firewall"]);
}

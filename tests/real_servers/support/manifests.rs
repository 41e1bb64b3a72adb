//! Manifests and archives, checked by `check_manifests.py` with a validator that others wrote.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::population::User;
use super::python;
use super::repository;
use super::servers::{Servers, shared};

/// Waits for every user's manifest, then holds all that is stored against schema, store and simulator.
pub(crate) fn assert_true(simulator: &str, archive: &str, users: &[User], wait: Duration) {
    assert_true_on(&shared(), simulator, archive, users, wait);
}

/// The same on other servers than those that all share.
pub(crate) fn assert_true_on(
    servers: &Servers,
    simulator: &str,
    archive: &str,
    users: &[User],
    wait: Duration,
) {
    let expected: Map<String, Value> = users
        .iter()
        .map(|user| (user.id.clone(), user.outcome.expectation()))
        .collect();
    let question = json!({
        "simulator": simulator,
        "archive": archive,
        "awaitSeconds": wait.as_secs(),
        "users": expected,
    });

    let report = python::answer(
        "check_manifests.py",
        &[repository("docs/contract/audit-manifest.schema.json")],
        &servers.aws_settings(),
        &question.to_string(),
    );
    let problems = report["problems"].as_array().expect("problems");
    let shown = &problems[..problems.len().min(10)];
    assert!(
        problems.is_empty(),
        "{} problems, first: {shown:#?}",
        problems.len()
    );
    assert_eq!(report["checked"], users.len(), "manifests checked");
}

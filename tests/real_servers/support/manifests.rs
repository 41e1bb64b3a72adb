//! Manifests and archives, checked by `check_manifests.py` with a validator that others wrote.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::population::User;
use super::profile::Profile;
use super::python;
use super::repository;
use super::servers::{Servers, shared};
use super::world::World;

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
    let tenant = (Profile::Tutorial, simulator);
    ask(servers, tenant, archive, users, wait);
}

/// The same of all users of a world, at the API of its profile.
pub(crate) fn assert_true_in(world: &World, servers: &Servers, wait: Duration) {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    let tenant = (world.profile, world.simulator.as_str());
    ask(servers, tenant, archive, &world.users, wait);
}

fn ask(servers: &Servers, tenant: (Profile, &str), archive: &str, users: &[User], wait: Duration) {
    let expected: Map<String, Value> = users
        .iter()
        .map(|user| (user.id.clone(), user.outcome.expectation()))
        .collect();
    let question = json!({
        "profile": tenant.0.word(),
        "simulator": tenant.1,
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

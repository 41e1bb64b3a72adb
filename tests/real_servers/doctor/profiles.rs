//! What `doctor` and a rehearsal show of the profiles that live tenants have.

use serde_json::{Value, json};

use super::assert_failures;
use crate::support::population::{Outcome, User};
use crate::support::world::World;
use crate::support::{http, list, servers, trial};

const CXONE: [&str; 4] = ["--profile", "cxone", "--access-key-id", "key-of-the-tests"];
const GENESYS: [&str; 2] = ["--profile", "genesys"];

trial!(
    "doctor and a rehearsal show what a tenant of NICE answers, and name what is wrong",
    nice
);
trial!(
    "doctor and a rehearsal show what a tenant of Genesys Cloud answers, and name what is wrong",
    genesys
);

fn world(place: usize, flags: &[&str], profile: &str) -> World {
    // What the questions are about.
    let has = match profile {
        "genesys" => json!({ "queues": 1, "groupQueues": 2, "sessions": 1 }),
        _ => json!({ "skills": 2, "sessions": 1, "accessKeys": 1 }),
    };
    let users = vec![User::new(place, 0, Outcome::Deleted, 3).with(&has)];
    let mut world = World::on(servers::shared(), place, users, flags);
    world.unset("OFFBOARDER_CXONE_RATE_SCIM");
    world.unset("OFFBOARDER_CXONE_RATE_ANALYTICS");
    world.set("OFFBOARDER_CXONE_PROFILE", profile);
    world.set("OFFBOARDER_CXONE_SETTLE", "0s");
    world
}

fn nice(place: usize) {
    let flags = [&CXONE[..], &["--access-key-secret", "secret-of-the-key"]].concat();
    let mut world = world(place, &flags, "cxone");
    let token_uri = format!("{}/auth/token", world.simulator);
    world.set("OFFBOARDER_CXONE_TOKEN_URI", &token_uri);
    world.set("OFFBOARDER_CXONE_ACCESS_KEY_ID", "key-of-the-tests");
    world.set("OFFBOARDER_CXONE_ACCESS_KEY_SECRET", "secret-of-the-key");
    world.declare();
    assert_failures(&world, 0, &[]);

    world.set("OFFBOARDER_CXONE_API_VERSION", "99.0");
    let wrong = assert_failures(&world, 1, &["ACD version (cxone-3)", "CXone API"]);
    assert!(wrong["ACD version (cxone-3)"].contains("OFFBOARDER_CXONE_API_VERSION"));
    world.unset("OFFBOARDER_CXONE_API_VERSION");
    withhold(&world, &["skills.edit", "reporting.view"]);
    assert_failures(&world, 1, &["reads: conversations"]);
    withhold(&world, &[]);

    // Another area than the one that the issuer names for the tenant.
    let elsewhere = World::on(servers::shared(), place, Vec::new(), &flags);
    let own = world.simulator.clone();
    world.set("OFFBOARDER_CXONE_BASE_URI", &elsewhere.simulator);
    let wrong = assert_failures(&world, 1, &["API host (cxone-1)", "CXone API"]);
    assert!(wrong["API host (cxone-1)"].contains(&own), "{wrong:?}");
    world.set("OFFBOARDER_CXONE_BASE_URI", &own);

    assert_rehearsal(
        &world,
        &[
            ("repeated", "cxone-12", "200"),
            ("repeated", "cxone-13", "after the deactivation"),
            ("repeated", "cxone-14", "200"),
            ("repeated", "cxone-15", ""),
            ("after", "cxone-6", "DELETED"),
        ],
    );
}

fn genesys(place: usize) {
    let mut world = world(place, &GENESYS, "genesys");
    let token_uri = format!("{}/oauth/token", world.simulator);
    world.set("OFFBOARDER_CXONE_TOKEN_URI", &token_uri);
    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "50/s");
    world.declare();
    assert_failures(&world, 0, &[]);

    world.set("OFFBOARDER_CXONE_WINDOW", "31d");
    let wrong = assert_failures(&world, 1, &["CXone API", "longest interval (genesys-1)"]);
    assert!(wrong["longest interval (genesys-1)"].contains("OFFBOARDER_CXONE_WINDOW=7d"));
    world.unset("OFFBOARDER_CXONE_WINDOW");
    withhold(&world, &["routing:skill:assign"]);
    let wrong = assert_failures(&world, 1, &["permissions and divisions (genesys-2)"]);
    assert!(wrong["permissions and divisions (genesys-2)"].contains("routing:skill:assign"));
    withhold(&world, &[]);

    assert_rehearsal(
        &world,
        &[
            ("before", "genesys-4", "2 of 3"),
            ("repeated", "genesys-5", "400"),
        ],
    );
}

/// Grants all rights that the simulator knows but these.
fn withhold(world: &World, missing: &[&str]) {
    let scopes = "/_simulator/scopes";
    let all = RIGHTS.iter().filter(|right| !missing.contains(right));
    let granted: Vec<&&str> = all.collect();
    http::request("PUT", &world.simulator, scopes, Some(&json!(granted)));
}

/// Of both profiles.
const RIGHTS: [&str; 20] = [
    "employees.view",
    "employees.edit",
    "agents.view",
    "agents.edit",
    "skills.edit",
    "groups.view",
    "groups.edit",
    "teams.view",
    "teams.all",
    "access-keys.view",
    "access-keys.edit",
    "reporting.view",
    "directory:user:edit",
    "directory:user:delete",
    "routing:queue:view",
    "routing:queueMember:manage",
    "routing:skill:assign",
    "groups:team:assign",
    "oauth:token:delete",
    "analytics:conversationDetail:view",
];

/// The user is read, off-boarded, and nothing in the file says who it was. The part, the question, and what the answer to
/// it says: none of them is unknown.
fn assert_rehearsal(world: &World, answered: &[(&str, &str, &str)]) {
    let user = world.users[0].id.as_str();
    let report = world.json(&["doctor", "--user", user], 0);
    let findings = list(&report["findings"]).iter();
    let of_user = findings.filter(|one| text(one, "check").starts_with("user: "));
    assert_eq!(of_user.count(), 3, "{report:#}");

    world.run(&["run", "--rehearsal", user]).expect(0);
    let files = std::fs::read_dir(world.directory.path()).expect("the directory is listed");
    let file = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("/rehearsal-"))
        .expect("a file of the rehearsal");
    let written = std::fs::read_to_string(file).expect("the file is read");
    let document: Value = serde_json::from_str(&written).expect("JSON");

    assert_eq!(document["end"], "DeactivatedOnly");
    let answer = |part: &str, question: &str| {
        let found = list(&document[part]).iter();
        let mut found = found.filter(|one| one["question"] == question);
        found.next().cloned().expect("the question is answered")
    };
    for (part, question, says) in answered {
        let answer = answer(part, question);
        assert_ne!(answer["seen"], "unknown", "{answer}");
        assert!(text(&answer, "detail").contains(says), "{answer}");
    }
    let now = world.user_now(user);
    let host = world.simulator.trim_start_matches("http://");
    let known = [user, host, "key-of-the-tests", "sim.example", "@"];
    let personal = known.iter().find(|one| written.contains(**one));
    assert_eq!(personal, None, "{written}");
    assert_eq!(now["active"], false);
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

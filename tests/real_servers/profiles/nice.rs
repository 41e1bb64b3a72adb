//! What only NICE's API has: employees whom an identity provider manages, agents with a number of their own, answers
//! that hide failures, and the employee as whom we call.

use serde_json::{Value, json};

use super::refused::manifest;
use super::{assert_well, files, row, run, scenario, user, users};
use crate::support::ledger::{self, Repetition};
use crate::support::profile::{Profile, SERVICE_EMPLOYEE};
use crate::support::world::World;
use crate::support::{http, servers, status};

scenario!(
    cxone,
    "an employee whom an identity provider manages is a dead letter with the advice, and is off-boarded once the provider deactivated it",
    managed_elsewhere
);

fn managed_elsewhere(profile: Profile, place: usize) {
    let users = (0..3)
        .map(|number| user(profile, place, number).with(&json!({ "externalIdentity": true })));
    let world = files(profile, place, users.collect(), &[]);
    for (user, value) in ["listed", "400", "403"].into_iter().enumerate() {
        world.set_unknown("deactivate_idp", value);
        let id = &world.users[user].id;
        let answer = world.json(&["run", id], 1);
        let row = row(&answer, &world.users[user]);
        assert_eq!(row["reason"], "api_rejected", "{value}: {row:#}");
        let why = row["detail"].as_str().expect("a text");
        assert!(why.contains("identity provider"), "{value}: {why}");
        assert_eq!(world.user_now(id)["active"], true, "{value}");

        // The provider deactivates it.
        let mut record = world.users[user].record();
        record["inactive"] = json!(true);
        world.put_user(id, &record);
    }
    let mut world = world;
    for user in &mut world.users {
        *user = user.clone().with(&json!({ "inactive": true }));
    }
    run(&world).expect(0);
    assert_well(&world, Repetition::AfterCrash);
}

scenario!(
    cxone,
    "a user without an agent has an empty history, and an agent that is not found while the account names one has not",
    without_an_agent
);

fn without_an_agent(profile: Profile, place: usize) {
    let no_agent = |number| user(profile, place, number).with(&json!({ "agent": false }));
    let mut world = files(profile, place, vec![], &[]);
    for (number, value) in ["404", "204", "200_empty"].into_iter().enumerate() {
        world.set_unknown("no_agent", value);
        let user = no_agent(number);
        world.put_user(&user.id, &user.record());
        world.run(&["run", &user.id]).expect(0);
        world.users.push(user);
    }
    assert_well(&world, Repetition::AfterCrash);

    let agent = [
        status(204),
        json!({ "kind": "status", "status": 404, "code": "not_found" }),
        json!({ "kind": "status", "status": 200, "body": r#"{"agents":[]}"# }),
        json!({ "kind": "status", "status": 200, "body": r#"{"agents":[{"agentId":1000000,"userId":"5e71ce00-5eed-4000-8000-000000000001"}]}"# }),
    ];
    for (number, answer) in agent.iter().enumerate() {
        let user = user(profile, place, 100 + number);
        world.put_user(&user.id, &user.record());
        world.users.push(user);
        let last = world.users.len() - 1;
        world.strike(last, "get_agent", 0, 10_000, answer);
        let id = world.users[last].id.clone();
        let ended = world.run(&["run", "--output", "json", &id]);
        let shown = format!("{answer}: {}\n{}", ended.output, ended.errors);
        assert!(matches!(ended.code, Some(1 | 3)), "{shown}");
        assert!(manifest(&world, last).is_none(), "{shown}");
        let pages = ledger::calls(&world.simulator);
        let pages = pages
            .iter()
            .filter(|call| call.user() == Some(id.as_str()) && call.is("list_completed_contacts"));
        assert_eq!(pages.count(), 0, "{shown}");
    }
    let service = world.user_now(SERVICE_EMPLOYEE);
    assert_eq!(service["active"], true, "{service}");
}

scenario!(
    cxone,
    "a user who was an agent before the deactivation has no empty history because no part names the agent after it",
    agent_of_before
);

fn agent_of_before(profile: Profile, place: usize) {
    let world = files(profile, place, vec![user(profile, place, 0)], &[]);
    let refused = json!({ "kind": "status", "status": 400, "code": "bad" });
    world.strike(0, "list_completed_contacts", 0, 10_000, &refused);
    run(&world).expect(1);
    let id = world.users[0].id.clone();
    assert_eq!(world.user_now(&id)["active"], false, "up to the archive");
    world.end_faults();

    // Another process, which has read no number.
    world.set_unknown("agent_of_inactive", "404_and_no_acd_info");
    let answer = world.json(&["run", &id], 1);
    let row = row(&answer, &world.users[0]);
    let why = row["detail"].as_str().expect("a text");
    assert!(why.contains("the user was agent"), "{why}");
    assert!(manifest(&world, 0).is_none());

    world.set_unknown("agent_of_inactive", "shown");
    run(&world).expect(0);
    assert_well(&world, Repetition::AfterCrash);
}

scenario!(
    cxone,
    "rows that the role may not see stop the work",
    hidden_agents
);

fn hidden_agents(profile: Profile, place: usize) {
    let hidden = user(profile, place, 0).with(&json!({ "hiddenAgents": 2 }));
    let world = files(profile, place, vec![hidden], &[]);
    let ended = run(&world);
    assert_eq!(ended.code, Some(3), "{}\n{}", ended.output, ended.errors);
    assert!(ended.errors.contains("permission"), "{}", ended.errors);
    assert!(manifest(&world, 0).is_none());
    assert_eq!(world.user_now(&world.users[0].id)["active"], true);
}

scenario!(
    cxone,
    "a failure inside a 200 is a failure: nobody counts as out of a skill, out of a group, or deactivated",
    failures_inside
);

fn failures_inside(profile: Profile, place: usize) {
    let skill = r#"{"resultSet":{"errorCount":1,"skillResults":[{"success":false,"skillId":4001,"error":"locked"}]}}"#;
    let silent =
        r#"{"resultSet":{"errorCount":0,"skillResults":[{"success":false,"skillId":4001}]}}"#;
    let groups = user(profile, place, 0);
    let group = json!({ "errorCount": 1, "agentResults": [{ "agentId": 1, "success": false, "error": "locked" }] });
    let id = &groups.id;
    let listed = json!({ "notDeletedUserIds": [id] });
    let cases: [(&str, String); 4] = [
        ("deactivate_users", listed.to_string()),
        ("remove_skill", skill.to_owned()),
        ("remove_skill", silent.to_owned()),
        ("remove_from_group", group.to_string()),
    ];
    let mut world = files(profile, place, users(profile, place, cases.len()), &[]);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    for (user, (operation, body)) in cases.iter().enumerate() {
        let answer = json!({ "kind": "status", "status": 200, "body": body });
        world.strike(user, operation, 0, 10_000, &answer);
    }

    let ended = run(&world);
    let shown = format!("{}\n{}", ended.output, ended.errors);
    assert_eq!(ended.code, Some(1), "{shown}");
    let answer: Value = ended.json();
    for (user, (operation, _)) in cases.iter().enumerate() {
        let row = row(&answer, &world.users[user]);
        let now = world.user_now(&world.users[user].id);
        let manifest = manifest(&world, user);
        let Some(manifest) = manifest else {
            assert_eq!(row["result"], "failed", "{operation}: {row:#}");
            continue;
        };
        assert_ne!(*operation, "deactivate_users", "{manifest:#}");
        assert_eq!(now["active"], false, "{operation}: {now:#}");
        assert_eq!(
            manifest["queueAssignmentsCleared"], false,
            "{operation}: {manifest:#}"
        );
    }
}

scenario!(
    cxone,
    "the employee who owns our access key is never touched, however it is asked for",
    own_employee
);

fn own_employee(profile: Profile, place: usize) {
    for claim in ["uuid", "prefixed"] {
        for number in ["number", "text"] {
            let world = World::of(
                profile,
                servers::shared(),
                place,
                users(profile, place, 1),
                &[],
            );
            let mut world = world;
            super::shorten_history(&mut world);
            world.use_file_stores();
            world.unset("OFFBOARDER_QUEUE_URL");
            world.set_unknown("claim_sub", claim);
            world.set_unknown("claim_ic_agent_id", number);
            let id = world.users[0].id.clone();
            for own in [SERVICE_EMPLOYEE.to_owned(), SERVICE_EMPLOYEE.to_uppercase()] {
                let ended = world.run(&["run", "--output", "json", &own, &id]);
                let shown = format!("{claim}, {number}: {}\n{}", ended.output, ended.errors);
                assert_eq!(ended.code, Some(1), "{shown}");
                assert!(shown.contains("protected_user"), "{shown}");
            }
            assert_well(&world, Repetition::AfterCrash);
        }
    }
}

scenario!(
    cxone,
    "a deletion that is asked for by a setting is refused before anything is done",
    deletion_by_setting
);

fn deletion_by_setting(profile: Profile, place: usize) {
    let mut world = files(profile, place, users(profile, place, 1), &[]);
    world.set("OFFBOARDER_GUARD_DELETE", "attempt");
    let ended = run(&world).expect(2);
    assert!(
        ended.errors.contains("OFFBOARDER_GUARD_DELETE"),
        "{}",
        ended.errors
    );
    let calls = http::request("GET", &world.simulator, "/_simulator/ledger", None);
    assert_eq!(calls["entries"], json!([]));
}

//! What each page shows.

use serde_json::json;

use super::{get, page, post};
use crate::admin_api::{OPERATOR, put_behind_proxy, with_dead_letters};
use crate::support::http::authorized as api;
use crate::support::population::user_id;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "every page of the console is there, says what it knows, and runs nothing that a message holds",
    every_page
);

fn every_page(place: usize) {
    let (world, worker) = with_dead_letters(place, 3, 1);
    let admin = worker.admin();
    let ask = |path: &str| {
        let bearer = format!("Bearer {OPERATOR}");
        let answer = get(&admin, path, &[("Authorization", &bearer)]);
        answer.expect_status(200);
        answer.text()
    };
    let hostile = "<script>alert(1)</script>\u{202e}";
    world.publish(&[json!({ "body": hostile })]);
    world.await_dead_letters(2);
    let listed = api(
        OPERATOR,
        "GET",
        &admin,
        "/api/v1/dead-letters?reason=malformed_message",
        None,
    );
    let listed = listed.expect(200);
    let malformed = listed["letters"][0]["id"]
        .as_str()
        .expect("an ID")
        .to_owned();
    let fingerprint = listed["letters"][0]["fingerprint"]
        .as_str()
        .expect("a fingerprint")
        .to_owned();
    let given_up = &world.users[0].id;
    let done = &world.users[1].id;

    for (path, expected) in [
        ("/".to_owned(), "1 user still has access"),
        ("/access".to_owned(), given_up.as_str()),
        ("/access?batch=b-1".to_owned(), given_up),
        ("/batches".to_owned(), "/batches/b-1"),
        ("/batches?state=finished".to_owned(), "/batches/b-1"),
        ("/batches/b-1".to_owned(), "1 user with access"),
        ("/batches/b-1/users".to_owned(), done),
        (
            "/batches/b-1/users?access=true&state=&q=".to_owned(),
            given_up,
        ),
        (format!("/users/{done}"), "Access removed"),
        (format!("/users/{given_up}"), "A person has to decide"),
        ("/dead-letters".to_owned(), "cxone_rejected"),
        (
            format!("/dead-letters/groups/{fingerprint}"),
            malformed.as_str(),
        ),
        (format!("/dead-letters/{malformed}"), "&lt;script&gt;"),
        ("/plans".to_owned(), "No plan is stored."),
        ("/holds".to_owned(), "Nobody is on hold."),
        ("/audit-log".to_owned(), "None."),
        (format!("/find?q={}", &done[..8]), done),
        ("/workers".to_owned(), "1 of 1 worker can take users"),
        ("/help".to_owned(), "id=\"cxone_rejected\""),
    ] {
        for path in [path.clone(), format!("/_{path}")] {
            let text = ask(&path);
            assert!(text.contains(expected), "{path}: {expected}: {text}");
            for never in ["<script>alert", "\u{202e}", " style=", OPERATOR] {
                assert!(!text.contains(never), "{path}: {never}: {text}");
            }
        }
    }
    assert_files_and_refusals(&admin, done);
    World::drain(worker);
}

fn assert_files_and_refusals(admin: &str, done: &str) {
    let bearer = format!("Bearer {OPERATOR}");
    let headers = [("Authorization", bearer.as_str())];
    let file = |path: &str| get(admin, path, &headers).text();
    assert!(file("/batches/b-1/report.csv").contains(done));
    assert!(file(&format!("/users/{done}/proof")).contains("log_is_off"));
    let checked = file(&format!("/users/{done}/evidence"));
    assert!(checked.contains("Nothing contradicts itself."), "{checked}");
    assert!(file("/evidence").contains("The evidence log is off."));
    assert!(file("/audit-log.csv").starts_with("at,who,what"));
    for (path, status) in [
        ("/users/00000000-0000-4000-8000-000000000000", 404),
        ("/batches/none", 404),
        ("/access?nonsense=1", 400),
        ("/users/x", 400),
    ] {
        let answer = get(admin, path, &headers);
        answer.expect_status(status);
        assert!(answer.text().contains("<h1>"), "{}", answer.text());
    }
}

trial!(
    "while Redis is away every page of the console says what is not known, and none says that there is nothing",
    pages_without_redis
);

fn pages_without_redis(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    let proxy = put_behind_proxy(&mut world, "OFFBOARDER_CHECKPOINTS_URL");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    drop(proxy);
    let user = user_id(place, 1);
    for path in [
        "/".to_owned(),
        "/access".to_owned(),
        "/access?batch=b-1".to_owned(),
        "/batches".to_owned(),
        "/batches/b-1".to_owned(),
        "/batches/b-1/users".to_owned(),
        "/workers/history".to_owned(),
        format!("/users/{user}"),
        "/find?q=3f1f".to_owned(),
        "/workers".to_owned(),
    ] {
        let answer = get(&admin, &path, &[]);
        let text = answer.text();
        assert!(
            answer.status == 200 || answer.status == 503,
            "{path}: {}",
            answer.status
        );
        assert!(
            text.contains("checkpoints_unreachable") || text.contains("timeout"),
            "{path}: {text}"
        );
        for never in [
            "Nobody.",
            "No batch yet",
            "Nobody who was asked for still has access",
            "ever submitted here",
        ] {
            assert!(!text.contains(never), "{path}: {never}: {text}");
        }
    }
    // What comes from the archive store and from RabbitMQ is there.
    assert!(page(&admin, "/holds").contains("Nobody is on hold."));
    assert!(page(&admin, "/plans").contains("No plan is stored."));
    assert!(page(&admin, "/evidence").contains("The evidence log is off."));
    page(&admin, "/dead-letters");
    page(&admin, "/operations");
    page(&admin, "/help");
    assert_forms_without_redis(&admin, &user);
    World::drain(worker);
}

trial!(
    "a batch that takes long to read says that it is being read, loads again by itself, and has its numbers then",
    a_batch_that_takes_long
);

fn a_batch_that_takes_long(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    let proxy = put_behind_proxy(&mut world, "OFFBOARDER_CHECKPOINTS_URL");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    let user = user_id(place, 1);
    world.run(&["submit", "--batch-id", "b-1", &user]).expect(0);
    proxy.stall(true);
    let answer = get(&admin, "/batches/b-1", &[]);
    answer.expect_status(200);
    let text = answer.text();
    assert!(text.contains("Not known yet"), "{text}");
    assert!(text.contains("data-every=\"1\""), "{text}");
    assert_eq!(answer.header("refresh").as_deref(), Some("1"));
    proxy.stall(false);
    let shown = eventually(PATIENCE, || {
        let answer = get(&admin, "/batches/b-1", &[]);
        let text = answer.text();
        let has_numbers = text.contains("Users by last step");
        let refreshes = answer.header("refresh").is_some();
        has_numbers.then_some(refreshes).ok_or(text)
    });
    assert!(!shown, "it is complete");
    World::drain(worker);
}

/// Forms open, and what needs Redis is refused with the words of the fault.
fn assert_forms_without_redis(admin: &str, user: &str) {
    let urgent = format!("/urgent?user={user}");
    let cancel = format!("/users/{user}/cancel");
    for path in [
        &urgent,
        &cancel,
        "/holds/add",
        "/pause",
        "/batches/b-1/cancel",
    ] {
        assert!(page(admin, path).contains("type=\"submit\""), "{path}");
    }
    let form = [("users", user), ("who", "ada"), ("why", "was dismissed")];
    let sent = post(admin, "/urgent", "", &form);
    sent.expect_status(503);
    let text = sent.text();
    assert!(text.contains("checkpoints_unreachable"), "{text}");
    assert!(text.contains("was dismissed"), "what was typed is kept");
    assert!(!text.contains("moved to the urgent lane."), "{text}");
}

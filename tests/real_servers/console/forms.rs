//! What forms do when somebody is not signed in any more, and with what people type.

use super::{get, post, sign_in, with_ada, with_ada_and};
use crate::admin_api::OPERATOR;
use crate::dead_letters::fail_calls;
use crate::support::http::authorized as api;
use crate::support::population::{deletable, user_id};
use crate::support::world::World;
use crate::support::{status, trial};

trial!(
    "a form of the console that is sent after its session ended does nothing, says so, and shows what was typed",
    ended
);

fn ended(place: usize) {
    let (world, key) = with_ada(place);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let ada = sign_in(&admin, "ada", &key);
    post(&admin, "/sign-out", &ada, &[]).expect_status(303);
    let user = user_id(place, 1);
    for path in [
        "/pause".to_owned(),
        "/resume".to_owned(),
        "/batches/b-1/pause".to_owned(),
        "/batches/b-1/cancel".to_owned(),
        "/holds/add".to_owned(),
        "/holds/lift".to_owned(),
        "/urgent".to_owned(),
        format!("/users/{user}/cancel"),
        format!("/users/{user}/reactivate"),
        "/operations/new?batch=b-1".to_owned(),
        "/operations/01890a5d-ac96-774b-bcce-b302099a8057/stop".to_owned(),
        "/dead-letters/groups/2d1f5436374b/ignore".to_owned(),
        "/dead-letters/groups/2d1f5436374b/owner".to_owned(),
        format!("/plans/{}/approve", "4f3a".repeat(16)),
    ] {
        let typed = [
            ("users", user.as_str()),
            ("why", "a long <b>reason</b>"),
            ("confirm", "1"),
            ("glass", "a second key"),
        ];
        let sent = post(&admin, &path, &ada, &typed);
        sent.expect_status(401);
        let text = sent.text();
        for expected in [
            "Your session has ended.",
            "Nothing was done.",
            "a long &lt;b&gt;reason",
            &user,
        ] {
            assert!(text.contains(expected), "{path}: {expected}: {text}");
        }
        assert!(!text.contains("a second key"), "{path}: {text}");
        let to: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let asked = get(&admin, &path, &[("Cookie", &ada)]);
        asked.expect_status(303);
        let location = asked.header("location");
        assert_eq!(location, Some(format!("/sign-in?to={to}")), "{path}");
    }
    let again = sign_in(&admin, "ada", &key);
    let log = get(&admin, "/audit-log", &[("Cookie", &again)]).text();
    // That she was added is the only change.
    assert!(!log.contains("a long"), "{log}");
    World::drain(worker);
}

trial!(
    "what operators type into forms of the console is text on each page that shows it, and reversed text is refused",
    typed
);

const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>";

fn typed(place: usize) {
    let (mut world, key) = with_ada_and(World::with_topology(place, deletable(place, 1, 1)));
    world.set("OFFBOARDER_ADMIN_TOKEN", OPERATOR);
    fail_calls(&world, 0, "get_routing_profile", &status(400));
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let user = world.users[0].id.clone();
    let message = serde_json::json!({ "userId": user, "batchId": "b-1" }).to_string();
    let header = format!("{SCRIPT}\u{202e}{}", "w".repeat(4_000));
    world.publish(&[serde_json::json!({ "body": message, "headers": { "note": header } })]);
    world.await_dead_letters(1);
    let listed = api(OPERATOR, "GET", &admin, "/api/v1/dead-letters", None).expect(200);
    let [dead_letter, group] = ["id", "fingerprint"].map(|name| {
        listed["letters"][0][name]
            .as_str()
            .expect("a text")
            .to_owned()
    });
    let group = format!("/dead-letters/groups/{group}");

    let ada = sign_in(&admin, "ada", &key);
    let reason = format!("{SCRIPT} {}", "w".repeat(900));
    let why = ("why", reason.as_str());
    for (path, field) in [
        ("/holds/add".to_owned(), ("users", user.as_str())),
        ("/batches/b-1/pause".to_owned(), ("for", "2h")),
        (format!("{group}/note"), ("note", SCRIPT)),
        (format!("{group}/owner"), ("owner", SCRIPT)),
        (format!("{group}/resolve"), ("release", "<b>1.4.2")),
        ("/pause".to_owned(), ("for", "2h")),
    ] {
        let sent = post(&admin, &path, &ada, &[field, why]);
        sent.expect_status(200);
        assert_only_text(&path, &sent.text());
        let reversed = post(&admin, &path, &ada, &[field, ("why", "\u{202e}reversed")]);
        assert!(reversed.status >= 400, "{path}: {}", reversed.status);
        assert!(reversed.status < 500, "{path}: {}", reversed.status);
    }
    let shown = [
        ("/", "&lt;script&gt;"),
        ("/holds", "&lt;script&gt;"),
        ("/workers", "&lt;script&gt;"),
        ("/dead-letters", "&lt;script&gt;"),
        ("/audit-log", "owner: "),
    ];
    let user = format!("/users/{user}");
    let dead_letter = format!("/dead-letters/{dead_letter}");
    let more = [
        (user.as_str(), "&lt;script&gt;"),
        (group.as_str(), "by <bdi>ada"),
        (dead_letter.as_str(), "&lt;img"),
        ("/batches/b-1", "&lt;script&gt;"),
    ];
    for (path, expected) in shown.into_iter().chain(more) {
        let answer = get(&admin, path, &[("Cookie", &ada)]);
        answer.expect_status(200);
        let text = answer.text();
        assert!(text.contains(expected), "{path}: {expected}: {text}");
        assert_only_text(path, &text);
    }
    World::drain(worker);
}

#[track_caller]
fn assert_only_text(path: &str, text: &str) {
    for never in ["<script>alert", "<img", "<b>1.4.2", "\u{202e}"] {
        assert!(!text.contains(never), "{path}: {never}: {text}");
    }
}

//! What operators change by forms.

use super::{get, post, sign_in, with_ada};
use crate::admin_api::{OPERATOR, await_end, with_dead_letters};
use crate::support::http::{Answer, exchange};
use crate::support::population::user_id;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "an operator pauses, holds and cancels by forms, the second of two is answered so, and a reader is refused",
    changing
);

fn changing(place: usize) {
    let (world, key) = with_ada(place);
    let bob = world.add_person("bob", "reader");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let ada = sign_in(&admin, "ada", &key);
    let bob = sign_in(&admin, "bob", &bob);
    let user = user_id(place, 1);

    let form = get(&admin, "/pause", &[("Cookie", &bob)]);
    assert!(
        form.text().contains("Needs the permission pause."),
        "{}",
        form.text()
    );
    let refused = post(&admin, "/pause", &bob, &[("why", "x")]);
    refused.expect_status(403);
    let foreign = exchange(
        "POST",
        &admin,
        "/pause",
        &[("Cookie", &ada), ("Origin", "http://evil.example")],
        b"why=x",
    );
    foreign.expect_status(403);
    assert!(!page_of(&admin, &ada, "/workers").contains("Paused by"));

    let why = [("why", "the tenant is being migrated"), ("for", "2h")];
    let paused = post(&admin, "/pause", &ada, &why);
    paused.expect_status(200);
    assert!(
        paused.text().contains("Paused. Workers follow"),
        "{}",
        paused.text()
    );
    let again = post(&admin, "/pause", &ada, &why);
    assert!(
        again.text().contains("somebody else was first"),
        "{}",
        again.text()
    );
    eventually(PATIENCE, || {
        let text = page_of(&admin, &ada, "/holds");
        if text.contains("Paused by") && text.contains("the tenant is being migrated") {
            Ok(())
        } else {
            Err(text)
        }
    });
    post(&admin, "/resume", &ada, &why).expect_status(200);

    assert_holds_and_cancels(&admin, &ada, &user);
    let log = page_of(&admin, &ada, "/audit-log");
    for expected in [
        "ada, by the admin API of",
        "(session)",
        "hold add",
        "pause",
        "cancel",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    World::drain(worker);
}

fn assert_holds_and_cancels(admin: &str, ada: &str, user: &str) {
    let users = [("users", user), ("why", "case 4711")];
    post(admin, "/holds/add", ada, &users).expect_status(200);
    assert!(page_of(admin, ada, "/holds").contains(user));
    let wrong = post(
        admin,
        "/holds/lift",
        ada,
        &[users[0], users[1], ("confirm", "2")],
    );
    wrong.expect_status(400);
    assert!(
        wrong
            .text()
            .contains("The number of users is 1; nothing was done."),
        "{}",
        wrong.text()
    );
    assert!(wrong.text().contains("case 4711"), "what was typed is kept");
    post(
        admin,
        "/holds/lift",
        ada,
        &[users[0], users[1], ("confirm", "1")],
    )
    .expect_status(200);
    assert!(page_of(admin, ada, "/holds").contains("Nobody is on hold."));

    let cancelled = post(admin, &format!("/users/{user}/cancel"), ada, &users[1..]);
    cancelled.expect_status(200);
    assert!(
        cancelled.text().contains("Nothing is stored of these"),
        "{}",
        cancelled.text()
    );
}

/// A page for somebody who is signed in.
fn page_of(admin: &str, cookie: &str, path: &str) -> String {
    let answer = get(admin, path, &[("Cookie", cookie)]);
    answer.expect_status(200);
    answer.text()
}

trial!(
    "a replay by the forms is that of the set that was seen, and one that moved is refused",
    replaying
);

fn replaying(place: usize) {
    let (world, worker) = with_dead_letters(place, 3, 2);
    let admin = worker.admin();
    let seen = operator(&admin, NEW_REPLAY);
    assert!(seen.contains("2 dead letters of 2 users"), "{seen}");
    let [set, newest] = ["set", "seen"].map(|name| field(&seen, name));

    let first = set.split(' ').next().expect("an ID");
    let moved = order(&admin, first, &newest);
    moved.expect_status(409);
    for expected in ["Since you looked, 1 more came", "1 dead letter of 1 user"] {
        assert!(moved.text().contains(expected), "{}", moved.text());
    }

    let begun = order(&admin, &set, &newest);
    begun.expect_status(303);
    let path = begun.header("location").expect("a location");
    assert!(path.starts_with("/operations/"), "{path}");
    eventually(PATIENCE, || {
        let shown = operator(&admin, &path);
        if shown.contains("Done: 2 of 2") {
            Ok(())
        } else {
            Err(shown)
        }
    });
    // The second of two operators, who looked before.
    let late = order(&admin, &set, &newest);
    late.expect_status(409);
    assert!(
        late.text().contains("began an operation at"),
        "{}",
        late.text()
    );
    for user in &world.users {
        await_end(&world, &user.id);
    }
    World::drain(worker);
}

const NEW_REPLAY: &str = "/operations/new?batch=b-1";

/// A page for the holder of the operator's token.
fn operator(admin: &str, path: &str) -> String {
    let bearer = format!("Bearer {OPERATOR}");
    let answer = get(admin, path, &[("Authorization", &bearer)]);
    answer.expect_status(200);
    answer.text()
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let rest = page
        .split(&marker)
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    rest.unwrap_or_else(|| panic!("{name}: {page}")).to_owned()
}

/// Orders the replay of a set that was seen when this operation was the newest.
fn order(admin: &str, set: &str, newest: &str) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let form = form.extend_pairs([
        ("set", set),
        ("seen", newest),
        ("rate", "5/s"),
        ("who", "ada"),
        ("why", "CXone is back"),
    ]);
    let bearer = format!("Bearer {OPERATOR}");
    let headers = [("Authorization", bearer.as_str())];
    exchange(
        "POST",
        admin,
        NEW_REPLAY,
        &headers,
        form.finish().as_bytes(),
    )
}

//! What lists lead to: the users of a bar, views that are saved, and acts on all that match.

use serde_json::Value;

use super::{get, post_as};
use crate::admin_api::{OPERATOR, with_dead_letters};
use crate::support::http::Answer;
use crate::support::population::user_id;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "a bar of the console leads to its users, on the page and as CSV, and a batch has its changes by operators over time",
    bars
);

fn bars(place: usize) {
    let (world, worker) = with_dead_letters(place, 3, 1);
    let admin = worker.admin();
    let bearer = format!("Bearer {OPERATOR}");
    let headers = [("Authorization", bearer.as_str())];
    let page = |path: &str| {
        let answer = get(&admin, path, &headers);
        answer.expect_status(200);
        answer.text()
    };
    let given_up = &world.users[0].id;
    let done = &world.users[1].id;

    let batch = page("/batches/b-1");
    for expected in [
        "class=\"target\"",
        "target 15 min",
        "Within the target of 15 min: 2 of 2",
    ] {
        assert!(batch.contains(expected), "{expected}: {batch}");
    }
    let bar = batch.split("href=\"/batches/b-1/users?removed").nth(1);
    let bar = bar.and_then(|rest| rest.split('"').next()).expect("a bar");
    let query = format!("removed{bar}").replace("&amp;", "&");
    for path in ["/batches/b-1/users", "/batches/b-1/report.csv"] {
        let found = page(&format!("{path}?{query}"));
        assert!(found.contains(done), "{path}?{query}: {found}");
        assert!(!found.contains(given_up), "{path}?{query}: {found}");
        let none = page(&format!("{path}?removedAfterSeconds=86400"));
        assert!(!none.contains(done), "{none}");
    }

    let sent = post_as(
        &admin,
        "/batches/b-1/pause",
        headers[0],
        &[("who", "ada"), ("why", "a wrong list")],
    );
    sent.expect_status(200);
    // Readers share a document for some seconds.
    eventually(PATIENCE, || {
        let history = get(&admin, "/api/v1/batches/b-1/history", &headers);
        history.expect_status(200);
        let history: Value = serde_json::from_str(&history.text()).expect("JSON");
        let removed = history["periods"].as_array().expect("periods").iter();
        let removed: u64 = removed
            .filter_map(|one| one["accessRemoved"].as_u64())
            .sum();
        assert_eq!(removed, 2, "{history}");
        if history["auditLog"]["known"][0]["what"] == "batch pause" {
            Ok(())
        } else {
            Err(history.to_string())
        }
    });
    World::drain(worker);
}

trial!(
    "all who match the filters of the console are put on hold as they were seen, and not if others match since",
    all_who_match
);

fn all_who_match(place: usize) {
    let (world, worker) = with_dead_letters(place, 3, 1);
    let admin = worker.admin();
    let bearer = format!("Bearer {OPERATOR}");
    let who = ("Authorization", bearer.as_str());
    let given_up = &world.users[0].id;

    let users = get(&admin, "/batches/b-1/users?access=true", &[who]).text();
    assert!(users.contains("/batches/b-1/hold?access=true"), "{users}");
    let form = get(&admin, "/batches/b-1/hold?access=true", &[who]);
    form.expect_status(200);
    assert!(
        form.text().contains("1 user</strong> on hold"),
        "{}",
        form.text()
    );
    let hold = |path: &str, set: &str, still: &str| -> Answer {
        let fields = [
            ("set", set),
            ("seen", "03:12:07 UTC"),
            ("still", still),
            ("who", "ada"),
            ("why", "case 4711"),
        ];
        post_as(&admin, path, who, &fields)
    };
    // Without the filter the other two match, too.
    let grown = hold("/batches/b-1/hold", given_up, "");
    grown.expect_status(409);
    assert!(
        grown.text().contains("2 more came. Nothing was done."),
        "{}",
        grown.text()
    );
    assert!(
        get(&admin, "/holds", &[who])
            .text()
            .contains("Nobody is on hold.")
    );
    hold("/batches/b-1/hold?access=true", given_up, "").expect_status(200);
    assert!(
        get(&admin, "/holds", &[who])
            .text()
            .contains(given_up.as_str())
    );
    let one = user_id(place, 2);
    hold("/batches/b-1/hold", &one, "true").expect_status(200);
    assert!(get(&admin, "/holds", &[who]).text().contains(&one));

    let replay = |filters: &str| {
        let path = format!("/operations/new?batch=b-1&matching=%3F{filters}");
        let answer = get(&admin, &path, &[who]);
        answer.expect_status(200);
        answer.text()
    };
    assert!(
        replay("").contains("1 dead letter of 1 user"),
        "{}",
        replay("")
    );
    let none = replay("state%3DDeleted");
    assert!(none.contains("Nothing to replay"), "{none}");
    World::drain(worker);
}

trial!(
    "a view of the console is saved under the name of its page, at most fifty of them, and removed, and a token has none",
    views
);

fn views(place: usize) {
    let (world, key) = super::with_ada(place);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let ada = super::sign_in(&admin, "ada", &key);
    let cookie = ("Cookie", ada.as_str());
    let save =
        |name: &str, to: &str| post_as(&admin, "/views", cookie, &[("name", name), ("to", to)]);

    let saved = save("stuck <ones>", "/batches?state=stuck");
    saved.expect_status(303);
    assert_eq!(
        saved.header("location").as_deref(),
        Some("/batches?state=stuck")
    );
    let link = "<a href=\"/batches?state=stuck\"><bdi>stuck &lt;ones&gt;</bdi></a>";
    let page = get(&admin, "/holds", &[cookie]).text();
    assert!(page.contains(link), "on every page: {page}");
    let fragment = get(&admin, "/_/holds", &[cookie]).text();
    assert!(
        !fragment.contains(link),
        "what is fetched again and again has none"
    );

    for (name, to) in [
        ("x", "//evil.example/batches"),
        ("x", "/holds/lift?user=x"),
        ("", "/batches"),
    ] {
        save(name, to).expect_status(400);
    }
    let foreign = [cookie, ("Origin", "http://evil.example")];
    super::exchange("POST", &admin, "/views", &foreign, b"name=x&to=/batches").expect_status(403);

    for number in 1..50 {
        save(&format!("view {number}"), "/access").expect_status(303);
    }
    save("one more", "/access").expect_status(409);
    save("view 7", "/holds").expect_status(303);
    let remove = [("name", "stuck <ones>"), ("to", "/batches")];
    post_as(&admin, "/views/remove", cookie, &remove).expect_status(303);
    assert!(!get(&admin, "/holds", &[cookie]).text().contains(link));
    save("one more", "/access").expect_status(303);
    World::drain(worker);
}

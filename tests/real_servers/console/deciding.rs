//! What operators decide about groups of dead letters, and about the rows that they tick.

use serde_json::Value;

use super::{get, post_as};
use crate::admin_api::{OPERATOR, with_dead_letters};
use crate::support::http::{Answer, authorized as api};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "a group is never ignored while its users have access, is resolved and opened again, and a discard wants its number",
    deciding
);

fn deciding(place: usize) {
    let (world, worker) = with_dead_letters(place, 3, 2);
    let admin = worker.admin();
    let listed = api(OPERATOR, "GET", &admin, "/api/v1/dead-letters", None).expect(200);
    let group = text_of(&listed["letters"][0]["fingerprint"]);
    let path = format!("/dead-letters/groups/{group}");
    let shown = page(&admin, &path);
    assert!(
        shown.contains("2 of these still have access; such a group cannot be ignored."),
        "{shown}"
    );
    for id in [&listed["letters"][0]["id"], &listed["letters"][1]["id"]] {
        let tick = format!("name=\"letter\" value=\"{}\"", text_of(id));
        assert!(shown.contains(&tick), "{tick}: {shown}");
    }

    let ignored = send(&admin, &format!("{path}/ignore"), &[("until", "7d")]);
    ignored.expect_status(409);
    assert!(
        ignored.text().contains("2 in it still have access")
            && ignored.text().contains("value=\"7d\""),
        "{}",
        ignored.text()
    );
    let release = [("release", "0.3.0")];
    let resolved = send(&admin, &format!("{path}/resolve"), &release);
    resolved.expect_status(200);
    assert!(
        resolved.text().contains("Resolved, in release"),
        "{}",
        resolved.text()
    );
    let note = [("note", "<b>ticket</b> 4711")];
    send(&admin, &format!("{path}/note"), &note).expect_status(200);
    let shown = page(&admin, &path);
    assert!(shown.contains("&lt;b&gt;ticket&lt;/b&gt; 4711"), "{shown}");
    send(&admin, &format!("{path}/reopen"), &[]).expect_status(200);
    assert!(page(&admin, &path).contains("<dd>Open</dd>"));

    assert_ticks_and_filters(&admin, &world);
    assert_discard(&admin, &group);
    World::drain(worker);
}

fn assert_ticks_and_filters(admin: &str, world: &World) {
    let [first, second] = [0, 1].map(|user| world.users[user].id.as_str());
    // Both are "older" a second after they were asked for, and not before.
    eventually(PATIENCE, || {
        let access = page(admin, "/access?deadLetter=true&older=1s");
        let has = |user: &str| access.contains(&format!("name=\"user\" value=\"{user}\""));
        (has(first) && has(second)).then_some(()).ok_or(access)
    });
    assert!(page(admin, "/access?older=1h").contains("None matches."));
    assert!(page(admin, "/access?why=cxone_rejected").contains("None matches."));
    let holds = page(admin, &format!("/holds/add?user={first}&user={second}"));
    assert!(holds.contains(&format!("{first}\n{second}")), "{holds}");
    let replay = page(
        admin,
        &format!("/operations/new?user={first}&user={second}"),
    );
    assert!(replay.contains("2 dead letters of 2 users"), "{replay}");
}

fn assert_discard(admin: &str, group: &str) {
    let path = format!("/operations/discard?group={group}");
    let form = page(admin, &path);
    assert!(form.contains("Type 2 to confirm"), "{form}");
    let field = |name: &str| {
        let marker = format!("name=\"{name}\" value=\"");
        let rest = form
            .split(&marker)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        rest.expect("a field").to_owned()
    };
    let [set, seen] = [field("set"), field("seen")];
    let fields = |confirm| {
        [
            ("set", set.as_str()),
            ("seen", seen.as_str()),
            ("rate", "50/s"),
            ("confirm", confirm),
        ]
    };
    let wrong = send(admin, &path, &fields("3"));
    wrong.expect_status(400);
    assert!(
        wrong.text().contains("nothing was done"),
        "{}",
        wrong.text()
    );
    let begun = send(admin, &path, &fields("2"));
    begun.expect_status(303);
    let operation = begun.header("location").expect("a location");
    eventually(PATIENCE, || {
        let shown = page(admin, &operation);
        let is_done = shown.contains("Done: 2 of 2") && shown.contains("discarded, with a copy");
        is_done.then_some(()).ok_or(shown)
    });
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn page(admin: &str, path: &str) -> String {
    let bearer = format!("Bearer {OPERATOR}");
    let answer = get(admin, path, &[("Authorization", &bearer)]);
    answer.expect_status(200);
    answer.text()
}

fn send(admin: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {OPERATOR}");
    let mut fields = vec![("who", "ada"), ("why", "the vendor fixed it")];
    fields.extend(form);
    post_as(admin, path, ("Authorization", &bearer), &fields)
}

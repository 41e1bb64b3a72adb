//! The web console: its pages over HTTP, with and without the services.

mod browser;
mod changing;
mod deciding;
mod forms;
mod lists;
mod pages;
mod planning;
mod proving;
mod roles;
mod signing_in;

use crate::support::http::{Answer, exchange};
use crate::support::trial;
use crate::support::world::World;

/// What keeps scripts, styles and frames of others out, without any `unsafe-` word.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn get(admin: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    exchange("GET", admin, path, headers, b"")
}

/// A page, which has to be there.
#[track_caller]
fn page(admin: &str, path: &str) -> String {
    let answer = get(admin, path, &[]);
    answer.expect_status(200);
    assert_eq!(
        answer.header("content-security-policy").as_deref(),
        Some(POLICY)
    );
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("text/html; charset=utf-8")
    );
    answer.text()
}

trial!(
    "a page of the console is one document with files of its own, and its fragment is sent once",
    pages
);

fn pages(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    world.set("OFFBOARDER_ADMIN_NAME", "staging");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();

    let help = page(&admin, "/help");
    assert!(
        help.contains("id=\"cxone_timeout\""),
        "the runbook is built in"
    );
    let workers = page(&admin, "/workers");
    assert!(
        workers.contains("<title>Workers – staging – offboarder</title>"),
        "{workers}"
    );
    for (name, kind) in [("href", "text/css"), ("src", "text/javascript")] {
        let marker = format!("{name}=\"/assets/");
        let file = workers
            .split(&marker)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let path = format!("/assets/{}", file.expect("the page names its files"));
        let file = get(&admin, &path, &[]);
        file.expect_status(200);
        assert_eq!(file.header("content-type").as_deref(), Some(kind));
        let kept = file.header("cache-control").expect("it may be kept");
        assert!(kept.contains("immutable"), "{kept}");
    }

    let fragment = get(&admin, "/_/help", &[]);
    fragment.expect_status(200);
    assert!(!fragment.text().contains("<html"), "{}", fragment.text());
    let tag = fragment.header("etag").expect("a tag");
    get(&admin, "/_/help", &[("If-None-Match", &tag)]).expect_status(304);

    // A page of another name that points at this address (DNS rebinding).
    let foreign = get(&admin, "/workers", &[("Host", "evil.example")]);
    foreign.expect_status(403);
    assert!(!foreign.text().contains("Quotas"), "{}", foreign.text());
    World::drain(worker);
}

/// What a form of a page of this console sends.
fn post(admin: &str, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
    post_as(admin, path, ("Cookie", cookie), form)
}

/// The same, for somebody whom this header names.
fn post_as(admin: &str, path: &str, who: (&str, &str), form: &[(&str, &str)]) -> Answer {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    let body = body.extend_pairs(form).finish();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", admin),
        who,
    ];
    exchange("POST", admin, path, &headers, body.as_bytes())
}

/// Signs in with the form; the cookie.
fn sign_in(admin: &str, name: &str, key: &str) -> String {
    let form = [("name", name), ("key", key), ("to", "/workers")];
    let answer = post(admin, "/sign-in", "", &form);
    answer.expect_status(303);
    assert_eq!(answer.header("location").as_deref(), Some("/workers"));
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a pair").to_owned()
}

/// A world with people, of whom `ada` is an admin; her key.
fn with_ada(place: usize) -> (World, String) {
    with_ada_and(World::with_topology(place, Vec::new()))
}

/// The same, in a world that has users.
fn with_ada_and(mut world: World) -> (World, String) {
    let file = world.directory.path().join("people.toml");
    world.set("OFFBOARDER_ADMIN_PEOPLE", &file.display().to_string());
    let key = world.add_person("ada", "admin");
    world.set("OFFBOARDER_PERSON_KEY", &key);
    (world, key)
}

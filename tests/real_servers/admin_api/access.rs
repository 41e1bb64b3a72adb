//! Who may use the admin API.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    AUDIT_LOG, NO_DEAD_LETTER, OPERATIONS, OPERATOR, READER, ask, audit_log, code, with_tokens,
};
use crate::support::http::{self, exchange};
use crate::support::population::user_id;
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "tokens let in whom they are for, and every refusal is a problem document",
    tokens
);

fn tokens(place: usize) {
    let mut world = with_tokens(World::with_topology(place, Vec::new()));
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let user = user_id(place, 1);
    assert_token_is_needed(&admin);
    assert_reader_only_reads(&admin, &user);
    assert_wrong_reads(&admin, &user);
    assert_wrong_writes(&admin);
    assert_unsigned_is_refused(&admin, &user);
    assert!(audit_log(&admin, "").is_empty(), "nothing was done");

    let errors = worker.errors();
    assert!(errors.contains("wrong tokens"), "{}", tail(&errors));
    assert!(
        !errors.contains(OPERATOR) && !errors.contains("Bearer"),
        "{}",
        tail(&errors)
    );
    let wrong_tokens = "offboarder_admin_refused_total{reason=\"wrong_token\"}";
    assert_eq!(http::sample(&admin, wrong_tokens), Some(4.0));
    World::drain(worker);

    // Both tokens are the same one.
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", OPERATOR);
    let ended = world.run(&["worker"]).expect(2);
    assert!(
        ended.errors.contains("OFFBOARDER_ADMIN_READ_TOKEN") && !ended.errors.contains(OPERATOR),
        "{}",
        ended.errors
    );
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", READER);
    assert_reader_without_operator(&mut world);
}

fn assert_token_is_needed(admin: &str) {
    for path in ["/api/v1/pause", "/api/v1/nowhere", "/api/v1", "/api/v1/"] {
        let none = exchange("GET", admin, path, &[], b"");
        assert_eq!(code(&none, 401), "unauthorized", "{path}");
        let scheme = none.header("www-authenticate").expect("a scheme");
        assert!(scheme.starts_with("Bearer"), "{scheme}");

        let another = ask("another", "GET", admin, path, None);
        assert_eq!(code(&another, 401), "unauthorized");
    }
    for open in ["/healthz", "/metrics", "/api/v1/openapi.json"] {
        exchange("GET", admin, open, &[], b"").expect_status(200);
    }
    for token in [READER, OPERATOR] {
        let pause = ask(token, "GET", admin, "/api/v1/pause", None).expect(200);
        assert_eq!(pause["paused"], false);
    }
}

fn assert_reader_only_reads(admin: &str, user: &str) {
    for (path, body) in [
        ("/api/v1/pause", json!({})),
        ("/api/v1/resume", json!({})),
        ("/api/v1/holds", json!({ "users": [user] })),
        ("/api/v1/holds/remove", json!({ "users": [user] })),
        (OPERATIONS, json!({ "letter": [NO_DEAD_LETTER] })),
    ] {
        let refused = ask(READER, "POST", admin, path, Some(&body));
        assert_eq!(code(&refused, 403), "forbidden", "{path}");
    }
    assert!(audit_log(admin, "").is_empty(), "nothing was done");
}

fn assert_wrong_reads(admin: &str, user: &str) {
    for (path, status, expected) in [
        ("nowhere", 404, "not_found"),
        (&format!("users/{user}"), 404, "no_such_user"),
        ("batches/none", 404, "no_such_batch"),
        (
            &format!("dead-letters/{NO_DEAD_LETTER}"),
            404,
            "no_such_letter",
        ),
        (&format!("holds/{user}"), 404, "not_on_hold"),
        (
            "operations/019ac000-0000-7000-8000-000000000000",
            404,
            "no_such_operation",
        ),
        ("operations/x", 400, "bad_request"),
        ("users/ada", 400, "bad_request"),
        ("users/%ff", 400, "bad_request"),
        ("batches?limit=0", 400, "bad_request"),
    ] {
        let path = format!("/api/v1/{path}");
        let refused = ask(OPERATOR, "GET", admin, &path, None);
        assert_eq!(code(&refused, status), expected, "{path}");
    }

    let unknown = format!("{AUDIT_LOG}?sincee=x");
    let refused = ask(OPERATOR, "GET", admin, &unknown, None);
    assert_eq!(code(&refused, 400), "bad_request");
}

fn assert_wrong_writes(admin: &str) {
    let json = "application/json";
    let large = vec![b' '; 300 * 1024];
    for (path, kind, body, status, expected) in [
        ("pause", json, &b"{"[..], 400, "bad_request"),
        ("pause", "text/plain", b"{}", 415, "unsupported_media_type"),
        (
            "pause",
            json,
            br#"{"who":"ada","why":7}"#,
            422,
            "unprocessable",
        ),
        ("pause", json, br#"{"wy":"x"}"#, 422, "unprocessable"),
        ("pause", json, b"[null,null]", 422, "unprocessable"),
        ("holds", json, b"", 422, "unprocessable"),
        ("holds", json, &large, 413, "payload_too_large"),
    ] {
        let bearer = format!("Bearer {OPERATOR}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        let path = format!("/api/v1/{path}");
        let refused = exchange("POST", admin, &path, &headers, body);
        assert_eq!(code(&refused, status), expected, "{path}");
    }

    let delete = ask(OPERATOR, "DELETE", admin, "/api/v1/pause", None);
    assert_eq!(code(&delete, 405), "method_not_allowed");
    let allow = delete.header("allow").expect("Allow");
    let mut allowed: Vec<&str> = allow.split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

/// Whatever is done needs who does it and why, both printable.
fn assert_unsigned_is_refused(admin: &str, user: &str) {
    for (path, request) in [
        ("/api/v1/pause", json!({})),
        ("/api/v1/resume", json!({ "who": "ada" })),
        (
            "/api/v1/holds",
            json!({ "users": [user], "who": "ada", "why": " " }),
        ),
        (
            OPERATIONS,
            json!({ "kind": "replay", "all": true, "who": "\u{202e}ada", "why": "fixed" }),
        ),
        (
            OPERATIONS,
            json!({ "kind": "discard", "letter": [NO_DEAD_LETTER], "who": "ada" }),
        ),
    ] {
        let unsigned = ask(OPERATOR, "POST", admin, path, Some(&request));
        assert_eq!(code(&unsigned, 422), "unprocessable", "{path}");
        let text = unsigned.text();
        let names_it = text.contains("`why`") || text.contains("`who`");
        assert!(names_it, "{text}");
    }

    // A token does not say who it is.
    let request = json!({ "users": [user], "why": "closed" });
    let path = "/api/v1/holds/remove";
    let nameless = ask(OPERATOR, "POST", admin, path, Some(&request));
    assert_eq!(code(&nameless, 403), "forbidden");
    assert!(nameless.text().contains("`who`"), "{}", nameless.text());
}

/// The read token is enough to serve other machines, and still only reads.
fn assert_reader_without_operator(world: &mut World) {
    world.unset("OFFBOARDER_ADMIN_TOKEN");
    world.set("OFFBOARDER_ADMIN_LISTEN", "0.0.0.0:0");
    let worker = world.start(&["worker"]);
    let admin = worker.admin().replace("0.0.0.0", "127.0.0.1");

    ask(READER, "GET", &admin, "/api/v1/pause", None).expect(200);
    let refused = ask(READER, "POST", &admin, "/api/v1/pause", None);
    assert_eq!(code(&refused, 403), "forbidden");
    let unknown = exchange("POST", &admin, "/api/v1/pause", &[], b"");
    assert_eq!(code(&unknown, 401), "unauthorized");
    World::drain(worker);
}

trial!(
    "without a token no page of another host is served, and slow clients hold nothing up",
    loopback
);

fn loopback(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let of = |method: &str, headers: &[(&str, &str)]| {
        exchange(method, &admin, "/api/v1/pause", headers, b"")
    };
    of("GET", &[]).expect(200);
    of("GET", &[("Host", "localhost")]).expect(200);
    for (method, foreign) in [
        ("GET", ("Host", "attacker.example")),
        ("POST", ("Host", "attacker.example")),
        ("POST", ("Origin", "http://attacker.example")),
    ] {
        assert_eq!(code(&of(method, &[foreign]), 403), "foreign_host");
    }
    assert_eq!(of("GET", &[]).expect(200)["paused"], false);
    assert_probes_may_name_an_address(&admin);

    // More clients than there are connections, each of which never ends its head: they are closed.
    let host = admin.strip_prefix("http://").expect("plain HTTP");
    let slow = (0..300).map(|_| {
        let mut client = TcpStream::connect(host).expect("the worker listens");
        client
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .expect("it goes out");
        client
    });
    let slow: Vec<TcpStream> = slow.collect();
    let since = Instant::now();
    of("GET", &[]).expect(200);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(45), "{took:?}");
    drop(slow);
    World::drain(worker);
}

/// A probe names an address. A name is that of a page whose name was pointed at this machine.
fn assert_probes_may_name_an_address(admin: &str) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = eventually(PATIENCE, || {
            match exchange("GET", admin, path, &[("Host", "10.0.0.7")], b"") {
                answer if answer.status == 200 => Ok(answer),
                answer => Err(answer.text()),
            }
        });
        let header = |name: &str| answer.header(name).expect("the header");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");

        let foreign = exchange("GET", admin, path, &[("Host", "attacker.example")], b"");
        assert_eq!(code(&foreign, 403), "foreign_host", "{path}");
    }
}

//! `/api/v1` of the admin HTTP: who may, what it does, and what it says of what it cannot.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::replaying::{DEAD, await_letters, json_of, mend, spoil, status};
use crate::support::http::{Answer, exchange};
use crate::support::population::{Outcome, User, user_id};
use crate::support::process::{Process, command, tail};
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, repository, trial};

const OPERATOR: &str = "operators-token-0123456789abcdef";
const READER: &str = "readers-token-0123456789abcdef01";

/// With both tokens.
fn with_tokens(mut world: World) -> World {
    world.set("OFFBOARDER_ADMIN_TOKEN", OPERATOR);
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", READER);
    world
}

/// Asks with a token, and with a JSON body if there is one.
fn ask(token: &str, method: &str, admin: &str, path: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(body.map(|_| ("Content-Type", "application/json")));
    let body = body.map(Value::to_string).unwrap_or_default();
    exchange(method, admin, path, &headers, body.as_bytes())
}

fn get(admin: &str, path: &str) -> Value {
    ask(OPERATOR, "GET", admin, path, None).expect(200)
}

fn post(admin: &str, path: &str, body: &Value) -> Value {
    ask(OPERATOR, "POST", admin, path, Some(body)).expect(200)
}

/// An act, and who does it, and why.
fn signed(mut act: Value) -> Value {
    act["who"] = json!("ada");
    act["why"] = json!("mended");
    act
}

/// Asserts that an answer is a problem after RFC 9457; gives its code.
fn code(answer: &Answer, status: u16) -> String {
    let problem = answer.expect(status);
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/problem+json"),
        "{problem}"
    );
    assert_eq!(
        (&problem["type"], &problem["status"]),
        (&json!("about:blank"), &json!(status)),
        "{problem}"
    );
    assert!(
        problem["title"].is_string() && problem["detail"].is_string(),
        "{problem}"
    );
    problem["code"].as_str().expect("a code").to_owned()
}

/// Users of whom the first ones are dead letters, refused at their first step; the worker runs.
fn with_letters(place: usize, users: usize, letters: usize) -> (World, Process) {
    let users: Vec<User> = (0..users)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let world = with_tokens(World::with_topology(place, users));
    (0..letters).for_each(|user| spoil(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    let users = world.users.iter();
    let messages = users
        .map(|user| json!({ "body": json!({ "userId": user.id, "batchId": "b-1" }).to_string() }));
    world.publish(&messages.collect::<Vec<_>>());
    await_letters(&world, letters as u64);
    world.users[letters..]
        .iter()
        .for_each(|user| await_end(&world, &user.id));
    mend(&world);
    (world, worker)
}

/// Waits until a user is off board, and its status says so.
fn await_end(world: &World, user: &str) {
    eventually(PATIENCE, || {
        let status = world.run(&["status", user, "--output", "json"]).output;
        if status.contains("\"finished\": true") {
            Ok(())
        } else {
            Err(status)
        }
    });
}

fn ids(letters: &Value) -> Vec<String> {
    let letters = letters.as_array().expect("letters").iter();
    letters
        .map(|letter| letter["id"].as_str().expect("an ID").to_owned())
        .collect()
}

trial!("schemathesis finds no answer of the admin API that its document does not describe", schemathesis);

/// A run of it is the same each time: one seed, and no time as a bound.
fn schemathesis(place: usize) {
    let (world, worker) = with_letters(place, 6, 4);
    let admin = worker.admin();
    // The user was deleted before; the hold is there all the same, and the command says so.
    let late = world
        .run(&["hold", "add", &world.users[5].id, "--why", "case 4711"])
        .expect(1)
        .output;
    assert!(late.contains("too late"), "{late}");
    let letters = ids(&get(&admin, "/api/v1/dead-letters")["letters"]);

    // What is there is asked for, too: the IDs stand in the document as examples.
    let mut document = get(&admin, "/api/v1/openapi.json");
    let file = world.directory.path().join("openapi.json");
    for (path, example) in [
        ("/api/v1/users/{userId}", &world.users[5].id),
        ("/api/v1/holds/{userId}", &world.users[5].id),
        ("/api/v1/batches/{batchId}", &"b-1".to_owned()),
        ("/api/v1/dead-letters/{letterId}", &letters[0]),
    ] {
        document["paths"][path]["get"]["parameters"][0]["example"] = json!(example);
    }
    for (path, name, example) in [
        ("/api/v1/dead-letters/replay", "letters", &letters[1]),
        ("/api/v1/dead-letters/discard", "letters", &letters[2]),
        ("/api/v1/holds", "users", &world.users[4].id),
        ("/api/v1/holds/remove", "users", &world.users[4].id),
    ] {
        let example = json!({ name: [example], "who": "ada", "why": "schemathesis" });
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] =
            example;
    }
    std::fs::write(&file, document.to_string()).expect("the document is written");

    let mut check = command(&repository(".venv/bin/python"));
    check
        .args(["-m", "openapi_spec_validator", "--schema", "3.1.0"])
        .arg(&file);
    finish(check);
    let mut run = command(&repository(".venv/bin/schemathesis"));
    run.current_dir(world.directory.path());
    run.args([
        "run",
        "--url",
        &admin,
        "--header",
        &format!("Authorization: Bearer {OPERATOR}"),
    ]);
    run.args([
        "--checks",
        "all",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "20",
    ]);
    run.args([
        "--seed",
        "20261101",
        "--generation-deterministic",
        "--continue-on-failure",
    ]);
    run.args([
        "--max-response-time",
        "60",
        "--request-timeout",
        "60",
        "--warnings",
        "off",
    ])
    .arg(&file);
    finish(run);
    // It was reached.
    let acts = get(&admin, "/api/v1/acts?limit=1000");
    let done = |what: &str| {
        acts["acts"]
            .as_array()
            .expect("acts")
            .iter()
            .any(|act| act["what"] == what)
    };
    for what in [
        "hold add",
        "hold remove",
        "pause",
        "resume",
        "dead-letters replay",
        "dead-letters discard",
    ] {
        assert!(done(what), "no {what} in the log of acts");
    }
    let errors = worker.errors();
    assert!(!errors.contains("panicked"), "{}", tail(&errors));
    post(&admin, "/api/v1/resume", &signed(json!({})));
    World::drain(worker);
}

/// Runs a tool to its end, which has to be a good one.
fn finish(mut tool: std::process::Command) {
    let ended = tool
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect("the tool runs");
    let told = [ended.stdout, ended.stderr]
        .map(|told| String::from_utf8_lossy(&told).into_owned())
        .concat();
    assert!(
        ended.status.success(),
        "{tool:?} ended with {}:\n{told}",
        ended.status
    );
}

trial!("a replay over HTTP goes on though its client hangs up, and a second one is refused meanwhile", hanging_up);

fn hanging_up(place: usize) {
    let (world, worker) = with_letters(place, 4, 4);
    let admin = worker.admin();
    let body = signed(json!({ "rate": 1, "anyway": true })).to_string();
    let host = admin.strip_prefix("http://").expect("plain HTTP");
    let mut client = TcpStream::connect(host).expect("somebody listens");
    write!(
        client,
        "POST /api/v1/dead-letters/replay HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request goes out");
    // It is at work: there is an act of it. Then nobody waits for it any more.
    let began = || {
        let acts = get(&admin, "/api/v1/acts");
        if acts["acts"][0]["what"] == "dead-letters replay" {
            Ok(())
        } else {
            Err(acts.to_string())
        }
    };
    eventually(PATIENCE, began);
    drop(client);
    let another = ask(
        OPERATOR,
        "POST",
        &admin,
        "/api/v1/dead-letters/replay",
        Some(&signed(json!({}))),
    );
    assert_eq!(code(&another, 409), "busy");
    assert!(another.header("retry-after").is_some());
    let discard = signed(json!({ "letters": ["0123456789abcdef"] }));
    let discard = ask(
        OPERATOR,
        "POST",
        &admin,
        "/api/v1/dead-letters/discard",
        Some(&discard),
    );
    assert_eq!(code(&discard, 409), "busy");
    await_letters(&world, 0);
    let ended = || {
        let acts = get(&admin, "/api/v1/acts");
        let [last, first] = [&acts["acts"][0], &acts["acts"][1]];
        let told = [
            &last["what"],
            &last["count"],
            &first["what"],
            &first["count"],
        ];
        let whole = [
            json!("dead-letters replay ended"),
            json!(4),
            json!("dead-letters replay"),
            json!(4),
        ];
        if told == whole.each_ref() {
            Ok(())
        } else {
            Err(acts.to_string())
        }
    };
    eventually(PATIENCE, ended);
    world
        .users
        .iter()
        .for_each(|user| await_end(&world, &user.id));
    World::drain(worker);
}

/// Between the world and one of its services.
fn behind(world: &mut World, setting: &str) -> Proxy {
    let url = url::Url::parse(world.setting(setting)).expect("a URL");
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, url.port().expect("a port")).into());
    let mut there = url;
    there.set_port(Some(proxy.port)).expect("a port");
    world.set(setting, there.as_str());
    proxy
}

trial!("a service that is away or frozen is a 503 of the admin API, in time and with its code", services_away);

fn services_away(place: usize) {
    let mut world = with_tokens(World::with_topology(place, Vec::new()));
    let proxies = [
        (
            behind(&mut world, "OFFBOARDER_CHECKPOINTS_URL"),
            "checkpoints_unreachable",
        ),
        (
            behind(&mut world, "OFFBOARDER_QUEUE_URL"),
            "queue_unreachable",
        ),
        (
            behind(&mut world, "AWS_ENDPOINT_URL_S3"),
            "archive_unreachable",
        ),
    ];
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    let paths = ["/api/v1/batches", "/api/v1/dead-letters", "/api/v1/pause"];
    for ((proxy, unreachable), path) in proxies.iter().zip(paths) {
        ask(READER, "GET", &admin, path, None).expect(200);
        // Frozen: nothing says that it is away.
        proxy.stall(true);
        let since = Instant::now();
        let frozen = ask(READER, "GET", &admin, path, None);
        let (code, took) = (code(&frozen, 503), since.elapsed());
        assert!(code == *unreachable || code == "timeout", "{path}: {code}");
        assert!(took < Duration::from_secs(35), "{path}: {took:?}");
        assert!(frozen.header("retry-after").is_some());
        assert!(!frozen.text().contains("secret"), "{}", frozen.text());
        assert_eq!(http::status(&admin, "/healthz"), 200);
        // And it goes on by itself.
        proxy.stall(false);
        proxy.cut();
        eventually(PATIENCE, || match ask(READER, "GET", &admin, path, None) {
            answer if answer.status == 200 => Ok(()),
            answer => Err(answer.text()),
        });
    }
    // Away: nobody listens there.
    for ((proxy, unreachable), path) in proxies.into_iter().zip(paths) {
        drop(proxy);
        let away = ask(READER, "GET", &admin, path, None);
        let code = code(&away, 503);
        assert!(code == unreachable || code == "timeout", "{path}: {code}");
    }
    World::drain(worker);
}

trial!("tokens let in whom they are for, and every refusal is a problem document", tokens);

fn tokens(place: usize) {
    let mut world = with_tokens(World::with_topology(place, Vec::new()));
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let user = user_id(place, 1);
    for path in ["/api/v1/pause", "/api/v1/nowhere", "/api/v1", "/api/v1/"] {
        let none = exchange("GET", &admin, path, &[], b"");
        assert_eq!(code(&none, 401), "unauthorized", "{path}");
        assert!(
            none.header("www-authenticate")
                .is_some_and(|scheme| scheme.starts_with("Bearer"))
        );
        assert_eq!(
            code(&ask("another", "GET", &admin, path, None), 401),
            "unauthorized"
        );
    }
    for open in ["/healthz", "/metrics", "/api/v1/openapi.json"] {
        exchange("GET", &admin, open, &[], b"").expect_status(200);
    }
    for token in [READER, OPERATOR] {
        assert_eq!(
            ask(token, "GET", &admin, "/api/v1/pause", None).expect(200)["paused"],
            false
        );
    }
    for (path, body) in [
        ("pause", json!({})),
        ("resume", json!({})),
        ("holds", json!({ "users": [user] })),
        ("holds/remove", json!({ "users": [user] })),
        ("dead-letters/replay", json!({})),
        (
            "dead-letters/discard",
            json!({ "letters": ["0123456789abcdef"] }),
        ),
    ] {
        let refused = ask(
            READER,
            "POST",
            &admin,
            &format!("/api/v1/{path}"),
            Some(&body),
        );
        assert_eq!(code(&refused, 403), "forbidden", "{path}");
    }
    assert_eq!(
        get(&admin, "/api/v1/acts")["acts"],
        json!([]),
        "nothing was done"
    );

    // What is asked wrongly.
    let wrong = |method: &str, path: &str, kind: &str, body: &[u8], status: u16| {
        let bearer = format!("Bearer {OPERATOR}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        code(
            &exchange(method, &admin, &format!("/api/v1/{path}"), &headers, body),
            status,
        )
    };
    let json = "application/json";
    assert_eq!(wrong("GET", "nowhere", json, b"", 404), "not_found");
    assert_eq!(
        wrong("GET", &format!("users/{user}"), json, b"", 404),
        "no_such_user"
    );
    assert_eq!(
        wrong("GET", "batches/none", json, b"", 404),
        "no_such_batch"
    );
    assert_eq!(
        wrong("GET", "dead-letters/0123456789abcdef", json, b"", 404),
        "no_such_letter"
    );
    assert_eq!(
        wrong("GET", &format!("holds/{user}"), json, b"", 404),
        "not_on_hold"
    );
    assert_eq!(wrong("GET", "users/ada", json, b"", 400), "bad_request");
    assert_eq!(wrong("GET", "users/%ff", json, b"", 400), "bad_request");
    assert_eq!(
        wrong("GET", "batches?limit=0", json, b"", 400),
        "bad_request"
    );
    assert_eq!(wrong("GET", "acts?sincee=x", json, b"", 400), "bad_request");
    assert_eq!(wrong("POST", "pause", json, b"{", 400), "bad_request");
    assert_eq!(
        wrong("POST", "pause", "text/plain", b"{}", 415),
        "unsupported_media_type"
    );
    assert_eq!(
        wrong("POST", "pause", json, br#"{"who":"ada","why":7}"#, 422),
        "unprocessable"
    );
    for (path, act) in [
        ("pause", json!({})),
        ("resume", json!({ "who": "ada" })),
        (
            "holds",
            json!({ "users": [user], "who": "ada", "why": " " }),
        ),
        ("holds/remove", json!({ "users": [user], "why": "closed" })),
        (
            "dead-letters/replay",
            json!({ "who": "\u{202e}ada", "why": "mended" }),
        ),
        (
            "dead-letters/discard",
            json!({ "letters": ["0123456789abcdef"], "who": "ada" }),
        ),
    ] {
        let unsigned = ask(
            OPERATOR,
            "POST",
            &admin,
            &format!("/api/v1/{path}"),
            Some(&act),
        );
        assert_eq!(code(&unsigned, 422), "unprocessable", "{path}");
        assert!(unsigned.text().contains("`why`"), "{}", unsigned.text());
    }
    assert_eq!(
        get(&admin, "/api/v1/acts")["acts"],
        json!([]),
        "nothing was done"
    );
    let errors = worker.errors();
    assert!(
        errors.contains("the admin API was given wrong tokens"),
        "{}",
        tail(&errors)
    );
    assert!(
        !errors.contains(OPERATOR) && !errors.contains("Bearer"),
        "{}",
        tail(&errors)
    );
    assert_eq!(
        http::sample(
            &admin,
            "offboarder_admin_refused_total{reason=\"wrong_token\"}"
        ),
        Some(4.0)
    );
    assert_eq!(
        wrong("POST", "pause", json, br#"{"wy":"x"}"#, 422),
        "unprocessable"
    );
    assert_eq!(
        wrong("POST", "pause", json, b"[null,null]", 422),
        "unprocessable"
    );
    assert_eq!(wrong("POST", "holds", json, b"", 422), "unprocessable");
    assert_eq!(
        wrong("POST", "holds", json, &vec![b' '; 300 * 1024], 413),
        "payload_too_large"
    );
    let delete = ask(OPERATOR, "DELETE", &admin, "/api/v1/pause", None);
    assert_eq!(code(&delete, 405), "method_not_allowed");
    let mut allowed: Vec<_> = delete
        .header("allow")
        .expect("Allow")
        .split(',')
        .map(str::to_owned)
        .collect();
    allowed.sort();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    World::drain(worker);

    // Tokens of which one is the other; and one token alone, that reads.
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", OPERATOR);
    let ended = world.run(&["worker"]).expect(2);
    assert!(
        ended.errors.contains("OFFBOARDER_ADMIN_READ_TOKEN") && !ended.errors.contains(OPERATOR)
    );
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", READER);
    world.unset("OFFBOARDER_ADMIN_TOKEN");
    world.set("OFFBOARDER_ADMIN_LISTEN", "0.0.0.0:0");
    let worker = world.start(&["worker"]);
    let admin = worker.admin().replace("0.0.0.0", "127.0.0.1");
    ask(READER, "GET", &admin, "/api/v1/pause", None).expect(200);
    assert_eq!(
        code(&ask(READER, "POST", &admin, "/api/v1/pause", None), 403),
        "forbidden"
    );
    assert_eq!(
        code(&exchange("POST", &admin, "/api/v1/pause", &[], b""), 401),
        "unauthorized"
    );
    World::drain(worker);
}

trial!("without a token no page of another host is served, and slow clients hold nothing up", loopback);

fn loopback(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let of = |method: &str, headers: &[(&str, &str)]| {
        exchange(method, &admin, "/api/v1/pause", headers, b"")
    };
    of("GET", &[]).expect(200);
    of("GET", &[("Host", "localhost")]).expect(200);
    assert_eq!(
        code(&of("GET", &[("Host", "attacker.example")]), 403),
        "foreign_host"
    );
    assert_eq!(
        code(&of("POST", &[("Host", "attacker.example")]), 403),
        "foreign_host"
    );
    assert_eq!(
        code(&of("POST", &[("Origin", "http://attacker.example")]), 403),
        "foreign_host"
    );
    assert_eq!(of("GET", &[]).expect(200)["paused"], false);
    // Probes name an address. A name is that of a page whose name was turned to this machine.
    for path in ["/healthz", "/readyz", "/metrics"] {
        eventually(PATIENCE, || {
            match exchange("GET", &admin, path, &[("Host", "10.0.0.7")], b"") {
                answer if answer.status == 200 => {
                    assert_eq!(
                        answer.header("x-content-type-options").as_deref(),
                        Some("nosniff")
                    );
                    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
                    Ok(())
                }
                answer => Err(answer.text()),
            }
        });
        let foreign = exchange("GET", &admin, path, &[("Host", "attacker.example")], b"");
        assert_eq!(code(&foreign, 403), "foreign_host", "{path}");
    }

    // More clients than there are places, each of which never ends its head: they are left.
    let host = admin.strip_prefix("http://").expect("plain HTTP");
    let slow: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut client = TcpStream::connect(host).expect("somebody listens");
            client
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                .expect("it goes out");
            client
        })
        .collect();
    let since = Instant::now();
    of("GET", &[]).expect(200);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(45), "{took:?}");
    drop(slow);
    World::drain(worker);
}

/// The log of acts as a command shows it.
fn acts(world: &World) -> Vec<Value> {
    let acts = json_of(&world.run(&["acts", "list", "--output", "json"]).expect(0));
    acts["acts"].as_array().expect("acts").clone()
}

trial!("what is done over HTTP is what the commands do, and is in the log of acts", the_acts);

fn the_acts(place: usize) {
    let (world, worker) = with_letters(place, 5, 3);
    let admin = worker.admin();
    let same = |path: &str, command: &[&str]| {
        let told = json_of(
            &world
                .run(&[command, &["--output", "json"]].concat())
                .expect(0),
        );
        assert_eq!(get(&admin, path), told, "{path}");
    };

    // What is looked at is what the commands show.
    let user = &world.users[4].id;
    let shown = json_of(&world.run(&["status", user, "--output", "json"]).expect(0));
    assert_eq!(
        get(&admin, &format!("/api/v1/users/{user}")),
        shown["users"][0]
    );
    same("/api/v1/batches", &["batch", "list"]);
    same("/api/v1/dead-letters", &["dead-letters", "list"]);
    // Such as one of the group had it, whichever comes first.
    let mut groups = [
        get(&admin, "/api/v1/dead-letters/groups?reasons=api_rejected"),
        json_of(
            &world
                .run(&["dead-letters", "groups", "--output", "json"])
                .expect(0),
        ),
    ];
    for groups in &mut groups {
        groups["groups"][0]["error"] = Value::Null;
    }
    assert_eq!(groups[0], groups[1]);
    let mut batch = [
        get(&admin, "/api/v1/batches/b-1"),
        json_of(
            &world
                .run(&["batch", "show", "b-1", "--output", "json"])
                .expect(0),
        ),
    ];
    for batch in &mut batch {
        for passes in ["asOf", "finishedPerMinute"] {
            batch[passes] = Value::Null;
        }
    }
    assert_eq!(batch[0], batch[1]);
    let letters = ids(&get(&admin, "/api/v1/dead-letters")["letters"]);
    let whole = get(&admin, &format!("/api/v1/dead-letters/{}", letters[0]));
    assert_eq!(whole["headers"]["x-offboarder-reason"], "api_rejected");
    assert_eq!(
        ids(&get(
            &admin,
            &format!(
                "/api/v1/dead-letters?letters={}&letters={}",
                letters[0], letters[1]
            )
        )["letters"])
        .len(),
        2
    );

    // Pause and resume.
    let paused = post(
        &admin,
        "/api/v1/pause",
        &json!({ "who": "ada", "why": "a migration" }),
    );
    assert_eq!(
        (&paused["paused"], &paused["why"]),
        (&json!(true), &json!("a migration"))
    );
    assert_eq!(get(&admin, "/api/v1/pause"), paused);
    worker.await_not_ready("a migration");
    post(
        &admin,
        "/api/v1/resume",
        &json!({ "who": "ada", "why": "done" }),
    );
    worker.await_ready();

    // Holds.
    let held = json!({ "users": [world.users[0].id, world.users[1].id], "who": "ada", "why": "case 4711" });
    assert_eq!(post(&admin, "/api/v1/holds", &held)["held"], true);
    same("/api/v1/holds", &["hold", "list"]);
    let told = get(&admin, &format!("/api/v1/holds/{}", world.users[1].id));
    assert_eq!(
        (&told["userId"], &told["why"]),
        (&json!(world.users[1].id), &json!("case 4711"))
    );
    let lifted = json!({ "users": [world.users[1].id], "who": "ada", "why": "closed" });
    assert_eq!(post(&admin, "/api/v1/holds/remove", &lifted)["held"], false);
    let path = format!("/api/v1/holds/{}", world.users[1].id);
    assert_eq!(
        code(&ask(OPERATOR, "GET", &admin, &path, None), 404),
        "not_on_hold"
    );
    world.run(&["hold", "list", &world.users[1].id]).expect(1);

    // Discard and replay: first as a rehearsal.
    let gone = signed(json!({ "letters": [letters[2]], "dryRun": true }));
    assert_eq!(
        post(&admin, "/api/v1/dead-letters/discard", &gone)["discarded"][0]["letter"]["id"],
        letters[2]
    );
    let all = signed(json!({ "batch": "b-1", "anyway": true, "dryRun": true }));
    assert_eq!(
        post(&admin, "/api/v1/dead-letters/replay", &all)["moved"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    assert_eq!(world.depth(DEAD), Some(3));
    // A refusal is nothing that a probe could show to be mended.
    let careful = post(
        &admin,
        "/api/v1/dead-letters/replay",
        &signed(json!({ "letters": [letters[0]] })),
    );
    assert_eq!(
        (&careful["moved"], &careful["skipped"][0]["letter"]["id"]),
        (&json!([]), &json!(letters[0]))
    );
    let gone = json!({ "letters": [letters[2]], "who": "ada", "why": "a test" });
    let gone = post(&admin, "/api/v1/dead-letters/discard", &gone);
    assert!(
        gone["discarded"][0]["copy"]
            .as_str()
            .is_some_and(|copy| copy.contains(&letters[2])),
        "{gone}"
    );
    let again = ask(
        OPERATOR,
        "POST",
        &admin,
        "/api/v1/dead-letters/discard",
        Some(&signed(json!({ "letters": [letters[2]] }))),
    );
    assert_eq!(code(&again, 404), "no_such_letter");
    let mended =
        json!({ "reasons": ["api_rejected"], "anyway": true, "who": "ada", "why": "mended" });
    let moved = post(&admin, "/api/v1/dead-letters/replay", &mended);
    assert_eq!(moved["moved"].as_array().map(Vec::len), Some(2), "{moved}");
    for letter in moved["moved"].as_array().expect("letters") {
        await_end(&world, letter["userId"].as_str().expect("an ID"));
    }
    assert_eq!(world.depth(DEAD), Some(0));

    let acts = acts(&world);
    let told: Vec<_> = acts
        .iter()
        .map(|act| [&act["what"], &act["count"], &act["why"]])
        .collect();
    let expected = [
        ("dead-letters replay ended", 2, Some("mended")),
        ("dead-letters replay", 2, Some("mended")),
        ("dead-letters discard", 1, Some("a test")),
        ("hold remove", 1, Some("closed")),
        ("hold add", 2, Some("case 4711")),
        ("resume", 1, Some("done")),
        ("pause", 1, Some("a migration")),
    ]
    .map(|(what, count, why)| [json!(what), json!(count), json!(why)]);
    assert_eq!(told, expected.each_ref().map(<[Value; 3]>::each_ref));
    for act in &acts {
        let who = act["who"].as_str().expect("who");
        assert!(
            who.starts_with("ada, ") && who.ends_with("(operator token)"),
            "{who}"
        );
        assert!(who.contains("by the admin API of "), "{who}");
    }
    assert_eq!(get(&admin, "/api/v1/acts")["acts"], json!(acts));
    World::drain(worker);
}

trial!("every worker is listed while it lives, and one that was killed soon is not", workers);

fn workers(place: usize) {
    let world = with_tokens(World::with_topology(place, Vec::new()));
    let living = world.start(&["worker"]);
    let mut dying = world.start(&["worker"]);
    let admin = living.admin();
    let listed = || {
        get(&admin, "/api/v1/workers")["workers"]
            .as_array()
            .expect("workers")
            .clone()
    };
    let both = eventually(PATIENCE, || {
        let listed = listed();
        let ready = listed.len() == 2 && listed.iter().all(|worker| worker["ready"] == true);
        if ready {
            Ok(listed)
        } else {
            Err(json!(listed).to_string())
        }
    });
    for worker in &both {
        assert_eq!(
            (&worker["concurrency"], &worker["inFlight"]),
            (&json!(16), &json!(0)),
            "{worker}"
        );
        assert_eq!(
            (&worker["draining"], &worker["causes"]),
            (&json!(false), &json!([])),
            "{worker}"
        );
        assert_eq!(worker["version"], env!("CARGO_PKG_VERSION"));
    }
    let listens: Vec<_> = both
        .iter()
        .map(|worker| format!("http://{}", worker["listen"].as_str().expect("an address")))
        .collect();
    assert!(
        listens.contains(&admin) && listens.contains(&dying.admin()),
        "{listens:?}"
    );
    dying.signal("KILL");
    dying.end(PATIENCE);
    eventually(Duration::from_secs(20), || match listed().as_slice() {
        [one]
            if one["listen"] != Value::Null
                && format!("http://{}", one["listen"].as_str().unwrap_or_default()) == admin =>
        {
            Ok(())
        }
        listed => Err(json!(listed).to_string()),
    });
    World::drain(living);
}

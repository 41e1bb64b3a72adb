//! The admin API when its services are away, its clients hang up, or another request is at work.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use url::Url;

use super::{
    DISCARD, NO_DEAD_LETTER, OPERATOR, READER, REPLAY, ask, audit_log, await_end, code, signed,
    with_dead_letters, with_tokens,
};
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, trial};

trial!(
    "a replay over HTTP continues though its client hangs up, and a second one is refused until then",
    hanging_up
);

fn hanging_up(place: usize) {
    let (world, worker) = with_dead_letters(place, 4, 4);
    let admin = worker.admin();
    let client = begin_slow_replay(&admin);
    // It is at work: it is in the audit log. Then its client goes away.
    await_audit_log(&admin, &[("dead-letters replay", None)]);
    drop(client);

    let replay = signed(json!({ "all": true }));
    let another = ask(OPERATOR, "POST", &admin, REPLAY, Some(&replay));
    assert_eq!(code(&another, 409), "busy");
    assert!(another.header("retry-after").is_some());
    let discard = signed(json!({ "letter": [NO_DEAD_LETTER] }));
    let discard = ask(OPERATOR, "POST", &admin, DISCARD, Some(&discard));
    assert_eq!(code(&discard, 409), "busy");

    world.await_dead_letters(0);
    let ended = [
        ("dead-letters replay ended", Some(4)),
        ("dead-letters replay", Some(4)),
    ];
    await_audit_log(&admin, &ended);
    for user in &world.users {
        await_end(&world, &user.id);
    }
    World::drain(worker);
}

/// One dead letter a second.
fn begin_slow_replay(admin: &str) -> TcpStream {
    let body = signed(json!({ "all": true, "rate": "1/s", "anyway": true })).to_string();
    let host = admin.strip_prefix("http://").expect("plain HTTP");
    let mut client = TcpStream::connect(host).expect("the worker listens");
    write!(
        client,
        "POST {REPLAY} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request goes out");
    client
}

/// Waits until these are the newest entries of the audit log, the newest first.
fn await_audit_log(admin: &str, expected: &[(&str, Option<u64>)]) {
    eventually(PATIENCE, || {
        let entries = audit_log(admin, "");
        let is_there = entries.len() >= expected.len()
            && entries.iter().zip(expected).all(|(entry, (what, count))| {
                entry["what"] == *what && count.is_none_or(|count| entry["count"] == count)
            });
        if is_there {
            Ok(())
        } else {
            Err(format!("{entries:?}"))
        }
    });
}

trial!(
    "a service that is away or frozen is a 503 of the admin API, in time and with its code",
    services_away
);

fn services_away(place: usize) {
    let mut world = with_tokens(World::with_topology(place, Vec::new()));
    let services = [
        (
            "OFFBOARDER_CHECKPOINTS_URL",
            "/api/v1/batches",
            "checkpoints_unreachable",
        ),
        (
            "OFFBOARDER_QUEUE_URL",
            "/api/v1/dead-letters",
            "queue_unreachable",
        ),
        (
            "AWS_ENDPOINT_URL_S3",
            "/api/v1/pause",
            "archive_unreachable",
        ),
    ];
    let services = services.map(|(setting, path, unreachable)| {
        let proxy = put_behind_proxy(&mut world, setting);
        (proxy, path, unreachable)
    });
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();

    for (proxy, path, unreachable) in &services {
        assert_frozen_is_503(&admin, proxy, path, unreachable);
    }
    for (proxy, path, unreachable) in services {
        // Away: the port is closed.
        drop(proxy);
        let away = ask(READER, "GET", &admin, path, None);
        let code = code(&away, 503);
        assert!(code == unreachable || code == "timeout", "{path}: {code}");
    }
    World::drain(worker);
}

/// Puts a proxy between the world and one of its services.
pub(super) fn put_behind_proxy(world: &mut World, setting: &str) -> Proxy {
    let mut url = Url::parse(world.setting(setting)).expect("a URL");
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, url.port().expect("a port")).into());
    url.set_port(Some(proxy.port)).expect("a port");
    world.set(setting, url.as_str());
    proxy
}

/// A frozen service does not close its connections: only a timeout shows that it is away.
fn assert_frozen_is_503(admin: &str, proxy: &Proxy, path: &str, unreachable: &str) {
    ask(READER, "GET", admin, path, None).expect(200);
    proxy.stall(true);
    let since = Instant::now();
    let frozen = ask(READER, "GET", admin, path, None);
    let took = since.elapsed();
    let code = code(&frozen, 503);
    assert!(code == unreachable || code == "timeout", "{path}: {code}");
    assert!(took < Duration::from_secs(35), "{path}: {took:?}");
    assert!(frozen.header("retry-after").is_some());
    assert!(!frozen.text().contains("secret"), "{}", frozen.text());
    assert_eq!(http::status(admin, "/healthz"), 200);

    // And it recovers by itself.
    proxy.stall(false);
    proxy.cut();
    eventually(PATIENCE, || match ask(READER, "GET", admin, path, None) {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    });
}

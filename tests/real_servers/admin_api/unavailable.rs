//! The admin API when its services are away, or an operation is in progress.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;
use url::Url;

use super::{
    NO_DEAD_LETTER, OPERATIONS, OPERATOR, READER, ask, audit_log, await_operation, begin, code,
    get, signed, with_dead_letters, with_tokens,
};
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, trial};

trial!(
    "an operation over HTTP is slowed and stopped over HTTP, and a verify does not wait for it",
    stopping
);

fn stopping(place: usize) {
    let (_world, worker) = with_dead_letters(place, 5, 4);
    let admin = worker.admin();
    let slow = json!({ "kind": "replay", "all": true, "rate": "1/m", "anyway": true });
    let path = begin(&admin, &signed(slow));
    let moved = |count: u64| {
        eventually(PATIENCE, || match get(&admin, &path) {
            shown if shown["counts"]["moved"] == count => Ok(()),
            shown => Err(shown.to_string()),
        });
    };
    moved(1);
    let verify = begin(&admin, &signed(json!({ "kind": "verify", "all": true })));
    assert_eq!(
        await_operation(&admin, &verify)["state"],
        "done",
        "it has a line of its own"
    );
    let next = json!({ "kind": "discard", "letter": [NO_DEAD_LETTER] });
    let next = ask(OPERATOR, "POST", &admin, OPERATIONS, Some(&signed(next)));
    assert_eq!(code(&next, 404), "no_such_letter");

    let rate = signed(json!({ "rate": "2/s" }));
    let answer = ask(
        OPERATOR,
        "POST",
        &admin,
        &format!("{path}/rate"),
        Some(&rate),
    );
    assert_eq!(answer.expect(202)["rate"], "2/s");
    let stop = format!("{path}/stop");
    let answer = ask(OPERATOR, "POST", &admin, &stop, Some(&signed(json!({}))));
    answer.expect(202);
    let stopped = await_operation(&admin, &path);
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    assert_eq!(stopped["done"], 4, "{stopped}");
    let again = ask(OPERATOR, "POST", &admin, &stop, Some(&signed(json!({}))));
    assert_eq!(code(&again, 409), "has_ended");
    let entries = audit_log(&admin, "?limit=3");
    let what: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["what"].as_str())
        .collect();
    let expected = [
        "dead-letters replay ended",
        "operations stop",
        "operations rate",
    ];
    assert_eq!(what, expected);
    World::drain(worker);
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
pub(crate) fn put_behind_proxy(world: &mut World, setting: &str) -> Proxy {
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

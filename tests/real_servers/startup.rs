//! A worker that starts while services are away.

use std::net::Ipv4Addr;
use std::time::Duration;

use url::Url;

use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, ledger, promises, servers, trial};

const SERVICES: [&str; 4] = [
    "OFFBOARDER_QUEUE_URL",
    "OFFBOARDER_CHECKPOINTS_URL",
    "AWS_ENDPOINT_URL_S3",
    "OFFBOARDER_CXONE_BASE_URI",
];

/// Puts a proxy between the worker and a service, which is away at first.
fn away(world: &mut World, name: &str) -> Proxy {
    let mut url = Url::parse(world.setting(name)).expect("a URL");
    let port = url.port().expect("a port");
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, port).into());
    proxy.be_away(true);
    url.set_port(Some(proxy.port)).expect("a port");
    world.set(name, url.as_str().trim_end_matches('/'));
    proxy
}

trial!(
    "a worker that starts while every service is away waits, names each, takes nobody, and continues by itself",
    every_service_away,
    seconds = 60
);

/// What the worker says of each service that is away, and of the protected list.
const CAUSES: [&str; 5] = [
    "queue_unreachable",
    "checkpoints_unreachable",
    "archive_unreachable",
    "cxone_unreachable",
    "settings_unreadable",
];

fn every_service_away(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    world.publish_all();
    let protected = world.directory.path().join("protected.txt");
    let protected = protected.display().to_string();
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    let before = SERVICES.map(|name| world.setting(name).to_owned());
    let proxies = SERVICES.map(|name| away(&mut world, name));
    assert_ends_at_once(&world);

    let mut worker = world.start(&["worker"]);
    for cause in CAUSES {
        worker.await_not_ready(cause);
    }
    let healthz = http::status(&worker.admin(), "/healthz");
    assert_eq!(healthz, 200, "a restart would not help");
    bring_back(&worker, &proxies);
    let causes = http::not_ready_because(&worker.admin()).expect("the list is missing");
    let named = causes.contains("check OFFBOARDER_GUARD_PROTECTED");
    assert!(named, "{causes}");
    assert!(worker.ended().is_none());
    let writes = ledger::writes_of(&world.simulator, &world.users[0].id);
    assert_eq!(writes, 0, "nobody is taken before");

    world.write("protected.txt", "# nobody\n");
    worker.await_ready();
    for (name, value) in SERVICES.iter().zip(&before) {
        world.set(name, value);
    }
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

/// A worker that still waits for its services ends at once when it is asked to.
fn assert_ends_at_once(world: &World) {
    let mut worker = world.start(&["worker"]);
    worker.await_not_ready("checkpoints_unreachable");
    worker.signal("TERM");
    let ended = worker.end(Duration::from_secs(10));
    assert_eq!(ended.code(), Some(0), "{}", tail(&worker.errors()));
}

/// One service after the other comes back; the others are named until then.
fn bring_back(worker: &Process, proxies: &[Proxy]) {
    let admin = worker.admin();
    for (number, proxy) in proxies.iter().enumerate() {
        proxy.be_away(false);
        let back = CAUSES[number];
        let causes = eventually(PATIENCE, || match http::not_ready_because(&admin) {
            Some(causes) if !causes.contains(back) => Ok(causes),
            causes => Err(format!("{back} in {causes:?}; {}", tail(&worker.errors()))),
        });
        for away in &CAUSES[number + 1..] {
            assert!(causes.contains(away), "{causes}");
        }
    }
}

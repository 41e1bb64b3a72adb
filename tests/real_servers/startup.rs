//! A worker that starts while services are away.

use std::net::Ipv4Addr;
use std::time::Duration;

use url::Url;

use crate::support::population::{Outcome, User};
use crate::support::process::tail;
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, ledger, promises, servers, trial};

const SERVICES: [&str; 4] = [
    "OFFBOARDER_QUEUE_URL",
    "OFFBOARDER_CHECKPOINTS_URL",
    "AWS_ENDPOINT_URL_S3",
    "OFFBOARDER_CXONE_BASE_URI",
];

/// Puts a network between the worker and a service, which is away at first.
fn away(world: &mut World, name: &str) -> Proxy {
    let mut url = Url::parse(world.setting(name)).expect("a URL");
    let port = url.port().expect("a port");
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, port).into());
    proxy.be_away(true);
    url.set_port(Some(proxy.port)).expect("a port");
    world.set(name, url.as_str().trim_end_matches('/'));
    proxy
}

trial!("a worker that starts while every service is away waits, names each, takes nobody, and goes on by itself", every_service_away);

fn every_service_away(place: usize) {
    let users = vec![User::new(place, 0, Outcome::Deleted, 4)];
    let mut world = World::with_topology(place, users);
    world.publish_all();
    let list = world.directory.path().join("protected.txt");
    world.set("OFFBOARDER_GUARD_PROTECTED", &list.display().to_string());
    let before = SERVICES.map(|name| world.setting(name).to_owned());
    let proxies = SERVICES.map(|name| away(&mut world, name));
    let causes = [
        "queue_unreachable",
        "checkpoints_unreachable",
        "archive_unreachable",
        "cxone_unreachable",
        "settings_unreadable",
    ];

    // Asked to end meanwhile, it does so at once.
    let mut worker = world.start(&["worker"]);
    worker.await_not_ready(causes[1]);
    worker.signal("TERM");
    assert_eq!(
        worker.end(Duration::from_secs(10)).code(),
        Some(0),
        "{}",
        tail(&worker.errors())
    );

    let mut worker = world.start(&["worker"]);
    for cause in causes {
        worker.await_not_ready(cause);
    }
    let admin = worker.admin();
    assert_eq!(
        http::status(&admin, "/healthz"),
        200,
        "a restart would not help"
    );
    // One after the other comes back.
    for (back, proxy) in proxies.iter().enumerate() {
        proxy.be_away(false);
        let gone = causes[back];
        eventually(PATIENCE, || match http::not_ready_because(&admin) {
            Some(told) if !told.contains(gone) => {
                assert!(
                    causes[back + 1..].iter().all(|cause| told.contains(cause)),
                    "{told}"
                );
                Ok(())
            }
            told => Err(format!("{gone} in {told:?}; {}", tail(&worker.errors()))),
        });
    }
    let told = http::not_ready_because(&admin).expect("the list is missing");
    assert!(told.contains("check OFFBOARDER_GUARD_PROTECTED"), "{told}");
    assert!(worker.ended().is_none());
    assert_eq!(
        ledger::writes_of(&world.simulator, &world.users[0].id),
        0,
        "nobody is taken before"
    );
    std::fs::write(&list, "# nobody\n").expect("the list is written");
    worker.await_ready();
    for (name, value) in SERVICES.iter().zip(&before) {
        world.set(name, value);
    }
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

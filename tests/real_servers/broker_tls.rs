//! TLS to the broker: certificates of both ends, and what is said when the two ends do not match.

use serde_json::json;

use crate::broker_faults::broker_address;
use crate::support::certificates::Authority;
use crate::support::population::deletable;
use crate::support::servers::vhost;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{promises, servers, throttle, trial};

const CA: &str = "OFFBOARDER_QUEUE_CA_FILE";
const CERTIFICATE: &str = "OFFBOARDER_QUEUE_CLIENT_CERT_FILE";
const KEY: &str = "OFFBOARDER_QUEUE_CLIENT_KEY_FILE";
/// What a RabbitMQ needs to ask for certificates of clients.
const WANTS_ONE: &str = ", {verify, verify_peer}, {fail_if_no_peer_cert, true}";

/// `topology` fails with this status, and says all of this.
#[track_caller]
fn assert_fails(world: &World, code: i32, says: &[&str]) {
    let ended = world.run(&["topology"]).expect(code);
    for text in says {
        assert!(
            ended.errors.contains(text),
            "no {text:?} in: {}",
            ended.errors
        );
    }
}

trial!(
    "TLS that does not match is named: a plain port, a TLS port, a certificate that is missing on either end, a file without one",
    what_does_not_match
);

fn what_does_not_match(place: usize) {
    let mut world = World::new(place, Vec::new());
    let vhost = vhost(place);
    let authority = Authority::new();
    let port = authority.listen(&servers::shared(), WANTS_ONE);
    let plain = broker_address(&world);
    let url = |scheme: &str, address: &str| format!("{scheme}://guest:guest@{address}/{vhost}");
    let tls = format!("localhost:{port}");

    world.set("OFFBOARDER_QUEUE_URL", &url("amqps", &plain));
    assert_fails(
        &world,
        3,
        &["this port speaks no TLS", "amqp:// with the plain one"],
    );
    world.set("OFFBOARDER_QUEUE_URL", &url("amqp", &tls));
    assert_fails(&world, 3, &["this port wants TLS", "an amqps:// URL"]);

    world.set("OFFBOARDER_QUEUE_URL", &url("amqps", &tls));
    assert_fails(&world, 3, &["unknown issuer", CA]);
    let script = world.write("ca.sh", "#!/bin/sh\n");
    world.set(CA, &script);
    assert_fails(&world, 2, &[CA, "holds no certificate"]);
    world.set(CA, &authority.file("ca.pem"));
    assert_fails(&world, 3, &["wants a client certificate", CERTIFICATE, KEY]);

    authority.certify("worker", "worker");
    world.set(CERTIFICATE, &authority.file("worker.pem"));
    assert_fails(
        &world,
        2,
        &[CERTIFICATE, "needs OFFBOARDER_QUEUE_CLIENT_KEY_FILE"],
    );
    world.set(KEY, &authority.file("localhost.key"));
    assert_fails(&world, 2, &[KEY, "is not the key of the certificate"]);
    world.set(KEY, &authority.file("worker.key"));
    world.run(&["topology"]).expect(0);
    world.set("OFFBOARDER_QUEUE_URL", &url("amqp", &plain));
    assert_fails(&world, 2, &[CERTIFICATE, "of no use without TLS"]);
}

trial!(
    "a worker logs in by its certificate alone, and believes what it publishes itself",
    by_certificate
);

fn by_certificate(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    let servers = servers::shared();
    let authority = Authority::new();
    let port = authority.listen(&servers, WANTS_ONE);
    let subject = format!("worker-{place}");
    let name = format!("CN={subject}");
    authority.certify("worker", &subject);
    let vhost = vhost(place);
    servers.rabbitmqctl(&["add_user", &name, "unused"]);
    servers.rabbitmqctl(&["clear_password", &name]);
    let all_of_ours = ["^offboarding.*"; 3];
    servers.rabbitmqctl(&[&["set_permissions", "-p", &vhost, &name], &all_of_ours[..]].concat());

    world.set(
        "OFFBOARDER_QUEUE_URL",
        &format!("amqps://localhost:{port}/{vhost}"),
    );
    world.set(CA, &authority.file("ca.pem"));
    world.set(CERTIFICATE, &authority.file("worker.pem"));
    world.set(KEY, &authority.file("worker.key"));
    for user in 0..3 {
        world.strike(user, "get_user", 0, 2, &throttle(1));
    }
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_all();
    world.publish(&[json!({ "body": "nobody" })]);
    promises::await_quiet(&world, PATIENCE);

    let dead = &world.await_dead_letters(1)[0];
    assert_eq!(dead["properties"]["user_id"], json!(name), "{dead:#}");
    assert!(
        !worker.errors().contains("not believed"),
        "{}",
        worker.errors()
    );
    World::drain(worker);
    promises::assert_manifests(&world, &servers);
    assert_eq!(world.depth(DEAD), Some(1));
}

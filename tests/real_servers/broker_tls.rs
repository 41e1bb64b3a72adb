//! TLS to the broker: certificates of both ends, and what is said when the two ends do not match.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::broker_faults::broker_address;
use crate::support::certificates::Authority;
use crate::support::population::deletable;
use crate::support::process::tail;
use crate::support::servers::{Servers, vhost};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, promises, repository, servers, throttle, trial};

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

/// Certificates, and a port that lets in only who has one.
struct Entrance {
    authority: Authority,
    servers: Arc<Servers>,
    port: u16,
}

impl Entrance {
    fn of(servers: Arc<Servers>) -> Self {
        let authority = Authority::new();
        let port = authority.listen(&servers, WANTS_ONE);
        Self {
            authority,
            servers,
            port,
        }
    }

    /// Makes a certificate in the files `NAME.pem` and `NAME.key`, and its user with these rights: its name.
    fn admit(&self, place: usize, file: &str, subject: &str, rights: &[&str; 3]) -> String {
        self.authority.certify(file, subject);
        let name = format!("CN={subject}");
        self.servers.rabbitmqctl(&["add_user", &name, "unused"]);
        self.servers.rabbitmqctl(&["clear_password", &name]);
        let vhost = vhost(place);
        let set = ["set_permissions", "-p", &vhost, &name];
        self.servers.rabbitmqctl(&[&set[..], rights].concat());
        name
    }

    /// Lets the commands of a world log in by this certificate alone.
    fn use_in(&self, world: &mut World, place: usize, file: &str) {
        let url = format!("amqps://localhost:{}/{}", self.port, vhost(place));
        world.set("OFFBOARDER_QUEUE_URL", &url);
        world.set(CA, &self.authority.file("ca.pem"));
        world.set(CERTIFICATE, &self.authority.file(&format!("{file}.pem")));
        world.set(KEY, &self.authority.file(&format!("{file}.key")));
    }
}

const ALL_OF_OURS: [&str; 3] = ["^offboarding.*"; 3];

fn by_certificate(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    let servers = servers::shared();
    let entrance = Entrance::of(Arc::clone(&servers));
    let subject = format!("worker-{place}");
    let name = entrance.admit(place, "worker", &subject, &ALL_OF_OURS);
    entrance.use_in(&mut world, place, "worker");
    for user in 0..3 {
        world.strike(user, "get_routing_profile", 0, 2, &throttle(1));
    }
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_all();
    world.publish(&[json!({ "body": "nobody" })]);
    promises::await_quiet(&world, PATIENCE);

    let dead = &world.await_dead_letters(1)[0];
    assert_eq!(dead["properties"]["user_id"], json!(name), "{dead:#}");

    // The certificate is renewed, and has another name.
    let subject = format!("renewed-{place}");
    let renewed = entrance.admit(place, "worker", &subject, &ALL_OF_OURS);
    eventually(PATIENCE, || {
        world.rabbitmqctl("close_all_connections", &["the operator says so"]);
        if worker.errors().contains("the intake broke") {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    worker.await_readyz(200);
    world.publish(&[json!({ "body": "nobody else" })]);
    let dead = world.await_dead_letters(2);
    let by_it = |dead: &&Value| dead["properties"]["user_id"] == json!(renewed);
    assert_eq!(dead.iter().filter(by_it).count(), 1, "{dead:#?}");

    assert!(
        !worker.errors().contains("not believed"),
        "{}",
        worker.errors()
    );
    World::drain(worker);
    promises::assert_manifests(&world, &servers);
    assert_eq!(world.depth(DEAD), Some(2));
}

trial!(
    "with a certificate and the rights of a publisher `submit` works, and so does reading dead letters with the right to read",
    with_few_rights
);

fn with_few_rights(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 3, 4));
    let entrance = Entrance::of(servers::shared());
    let publisher = format!("publisher-{place}");
    let name = entrance.admit(
        place,
        "publisher",
        &publisher,
        &["^$", "^offboarding$", "^$"],
    );
    let shipped = repository("deploy/rabbitmq/topic-permissions.json");
    let shipped = std::fs::read_to_string(shipped).expect("the file");
    let shipped: Value = serde_json::from_str(&shipped).expect("JSON");
    let keys = shipped["topic_permissions"][0]["write"].as_str();
    let keys = keys.expect("the keys of a publisher");
    world.rabbitmqctl("set_topic_permissions", &[&name, "offboarding", keys, "^$"]);

    entrance.use_in(&mut world, place, "publisher");
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.run(&[&["submit"], &ids[..]].concat()).expect(0);
    assert_eq!(world.depth("offboarding.users"), Some(3));

    let reader = format!("reader-{place}");
    entrance.admit(
        place,
        "reader",
        &reader,
        &["^$", "^$", "^offboarding[.]dead$"],
    );
    entrance.use_in(&mut world, place, "reader");
    world.run(&["dead-letters", "list"]).expect(0);
}

trial!(
    "a worker with a certificate that starts in an alarm of the broker takes jobs, and learns its name when the alarm is over",
    in_an_alarm
);

fn in_an_alarm(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let users = deletable(place, 4, 4);
    let mut world = World::on(Arc::clone(&servers), place, users, &[]);
    world.declare();
    world.publish_all();
    world.publish(&[json!({ "body": "nobody" })]);
    let entrance = Entrance::of(Arc::clone(&servers));
    let name = entrance.admit(place, "worker", "worker", &ALL_OF_OURS);
    entrance.use_in(&mut world, place, "worker");

    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]);
    eventually(PATIENCE, || {
        let alarms = servers.eval("io:format(\"~p\", [rabbit_alarm:get_alarms()]).");
        if alarms.contains("resource_limit") {
            Ok(())
        } else {
            Err(alarms)
        }
    });
    let worker = world.start(&["worker"]);
    worker.await_not_ready("RabbitMQ takes no messages (low on memory)");
    world.await_calls("put_scim_user", 4);
    let listed = servers.rabbitmqctl(&["list_connections", "client_properties"]);
    let asking = listed.matches(" login\"").count();
    // RabbitMQ may answer the first question before the connection learns of its alarm.
    assert!(asking <= 1, "{listed}");

    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0.8"]);
    worker.await_ready();
    promises::await_quiet(&world, PATIENCE);
    world.publish(&[json!({ "body": "nobody else" })]);
    let dead = world.await_dead_letters(2);
    let by_it = |dead: &&Value| dead["properties"]["user_id"] == json!(name);
    assert!(dead.iter().any(|dead| by_it(&dead)), "{dead:#?}");
    World::drain(worker);
    promises::assert_manifests(&world, &servers);
    servers.stop();
}

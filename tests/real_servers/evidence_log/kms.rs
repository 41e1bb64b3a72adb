//! A key in a KMS, that of `MiniStack`, signs the log. `make test-kms` runs these.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ORIGIN, await_logged, logged, manifests, name_log, switch_on};
use crate::support::population::deletable;
use crate::support::process::{Process, command};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, repository, trial};

const KEY: &str = "OFFBOARDER_EVIDENCE_KMS_KEY";
const ED25519: &str = "ECC_NIST_EDWARDS25519";

/// It keeps its keys in memory only: it is frozen, and not killed, where they are needed again.
struct Kms {
    process: Process,
    origin: String,
    region: String,
}

impl Kms {
    /// What is started in the world from now on finds it.
    fn start(world: &mut World) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|one| one.local_addr());
        let port = port.expect("a free port").port();
        let mut server = command(&repository("tests/s3_server.sh"));
        server
            .args(["ministack", &port.to_string()])
            .env("SERVICES", "kms")
            .current_dir(world.directory.path());
        let kms = Self {
            process: Process::start(server, world.directory.path(), "ministack"),
            origin: format!("http://127.0.0.1:{port}"),
            region: world.setting("AWS_REGION").to_owned(),
        };
        eventually(Duration::from_mins(1), || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .map_err(|error| format!("{error}; {}", kms.process.errors()))
        });
        world.set("AWS_ENDPOINT_URL_KMS", &kms.origin);
        kms
    }

    fn call(&self, operation: &str, body: &Value) -> http::Answer {
        let target = format!("TrentService.{operation}");
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=trial/20260101/{}/kms/aws4_request, SignedHeaders=host, Signature=0",
            self.region
        );
        let headers = [
            ("X-Amz-Target", target.as_str()),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Authorization", signed.as_str()),
        ];
        let body = body.to_string();
        http::exchange("POST", &self.origin, "/", &headers, body.as_bytes())
    }

    /// A new key, by its ARN.
    fn create(&self, spec: &str) -> String {
        let wanted = json!({ "KeySpec": spec, "KeyUsage": "SIGN_VERIFY" });
        let key = self.call("CreateKey", &wanted).expect(200);
        let arn = key["KeyMetadata"]["Arn"].as_str();
        arn.expect("an ARN").to_owned()
    }

    /// Points an alias to a key.
    fn alias(&self, name: &str, key: &str) {
        let body = json!({ "AliasName": name, "TargetKeyId": key });
        self.call("CreateAlias", &body).expect_status(200);
    }
}

/// What `evidence key --kms` prints.
fn printed(world: &World, key: &str) -> String {
    let printed = world.run(&["evidence", "key", ORIGIN, "--kms", key]);
    let verifier = printed.expect(0).output.trim().to_owned();
    assert!(verifier.starts_with(&format!("{ORIGIN}+")), "{verifier}");
    verifier
}

fn off_board(world: &World, users: std::ops::Range<usize>) {
    world.publish_users(&world.users[users]);
    promises::await_quiet(world, PATIENCE);
}

/// A user leaves the deployment with a proof, and the whole log is right, for who knows these keys.
fn assert_proved(world: &World, user: usize, verifiers: &[&str]) {
    let known: Vec<&str> = verifiers
        .iter()
        .flat_map(|key| ["--evidence-key", *key])
        .collect();
    let verified = world.run(&[&["verify", "--all"][..], &known].concat());
    let output = verified.expect(0).output;
    assert!(output.contains(" 0 findings"), "{output}");

    let id = world.users[user].id.as_str();
    let exported = world.run(&[&["evidence", "export", id][..], &known].concat());
    let file = world.write("leaver.json", &exported.expect(0).output);
    let logs: Vec<String> = verifiers.iter().map(|key| format!("log {key}\n")).collect();
    let logs = logs.concat();
    let policy = world.write("policy", &format!("{logs}quorum none\n"));
    let verify = ["evidence", "verify", &file, "--policy", &policy];
    let proved = world.run_under(&["env", "--ignore-environment"], &verify);
    let proved = proved.expect(0).output;
    assert!(proved.contains("Deleted"), "{proved}");
}

trial!(
    "kms: a key in AWS KMS signs the evidence log, and no user waits for a KMS that does not answer",
    signed_in_kms
);

fn signed_in_kms(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    let kms = Kms::start(&mut world);
    kms.alias("alias/log", &kms.create(ED25519));
    name_log(&mut world);
    let verifier = printed(&world, "alias/log");
    world.set(KEY, "alias/log");
    let worker = world.start(&["worker"]);
    off_board(&world, 0..2);
    await_logged(&world, &manifests(&world)[..2]);

    kms.process.signal("STOP");
    off_board(&world, 2..4);
    worker.await_log("evidence_key_unreachable");
    // A worker that starts now takes users as well.
    let late = world.start(&["worker"]);
    late.await_ready();
    late.await_log("the key of the evidence log cannot be used yet");
    off_board(&world, 4..5);
    let waits = logged(&world).expect("steps that follow");
    for manifest in &manifests(&world)[2..5] {
        assert!(!waits.contains_key(manifest), "{manifest}");
    }
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.output.contains("AWS_ENDPOINT_URL_KMS"),
        "{}",
        doctor.output
    );

    kms.process.signal("CONT");
    off_board(&world, 5..6);
    await_logged(&world, &manifests(&world));
    let admin = late.admin();
    eventually(PATIENCE, || {
        let shown = http::text(&admin, "/api/v1/evidence-log");
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        match shown["verifierKey"].as_str() {
            Some(key) if key == verifier => Ok(()),
            _ => Err(format!("{shown:#}")),
        }
    });
    World::drain(worker);
    World::drain(late);
    assert_proved(&world, 3, &[&verifier]);
}

trial!(
    "kms: a key in AWS KMS replaces one in a file, without a gap in the evidence log",
    from_file_to_kms
);

fn from_file_to_kms(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    let old = switch_on(&mut world);
    let kms = Kms::start(&mut world);
    let key = kms.create(ED25519);
    let new = printed(&world, &key);
    let off_board = |world: &World, users: std::ops::Range<usize>| {
        let worker = world.start(&["worker"]);
        off_board(world, users);
        worker
    };
    let worker = off_board(&world, 0..2);
    await_logged(&world, &manifests(&world)[..2]);
    World::drain(worker);

    world.set(KEY, &key);
    let worker = off_board(&world, 2..4);
    await_logged(&world, &manifests(&world)[..4]);
    World::drain(worker);

    // Within an hour of the first step that both signed a record may come in again.
    world.unset("OFFBOARDER_EVIDENCE_KEY_FILE");
    let worker = off_board(&world, 4..6);
    let id = world.users[5].id.as_str();
    let export = ["evidence", "export", id, "--evidence-key", &old];
    eventually(PATIENCE, || match world.run(&export) {
        ended if ended.code == Some(0) => Ok(()),
        ended => Err(ended.errors),
    });
    World::drain(worker);

    // Who knows the old key only learns of the new one.
    let verify = ["verify", "--all", "--evidence-key", &old];
    let output = world.run(&verify).expect(0).output;
    assert!(output.contains(" 0 findings"), "{output}");
    assert_proved(&world, 5, &[&old, &new]);
}

trial!(
    "kms: a key of AWS KMS that cannot sign the evidence log is refused with what to do",
    refused
);

fn refused(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    let mut kms = Kms::start(&mut world);
    name_log(&mut world);
    let rsa = kms.create("RSA_2048");
    for (key, says) in [
        (rsa.as_str(), "RSA_2048 for SIGN_VERIFY"),
        ("alias/none", "knows no such key"),
    ] {
        let printed = world.run(&["evidence", "key", ORIGIN, "--kms", key]);
        assert!(printed.expect(3).errors.contains(says), "{key}");
        world.set(KEY, key);
        let worker = world.run(&["worker"]).expect(2);
        assert!(worker.errors.contains(says), "{}", worker.errors);
        let doctor = world.run(&["doctor"]);
        assert_eq!(doctor.code, Some(1), "{}", doctor.output);
        assert!(doctor.output.contains(says), "{}", doctor.output);
    }
    let remedy = "--key-spec ECC_NIST_EDWARDS25519 --key-usage SIGN_VERIFY";
    let printed = world.run(&["evidence", "key", ORIGIN, "--kms", &rsa]);
    assert!(printed.errors.contains(remedy), "{}", printed.errors);

    let key = kms.create(ED25519);
    kms.process.signal("KILL");
    kms.process.end(Duration::from_mins(1));
    let printed = world.run(&["evidence", "key", ORIGIN, "--kms", &key]);
    let errors = printed.expect(3).errors;
    assert!(errors.contains("cannot reach AWS KMS"), "{errors}");
}

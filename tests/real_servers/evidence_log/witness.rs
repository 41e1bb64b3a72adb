//! A witness, and a verifier that this project did not write: both are made of aics-tlog.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{await_logged, manifests, switch_on};
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, list, promises, python, trial};

/// The process, its verifier key and its URL.
struct Witness {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    key: String,
    url: String,
}

impl Witness {
    fn start(log: &str) -> Self {
        let mut command = python::script("witness.py");
        command
            .arg(log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("the witness starts");
        let mut witness = Self {
            input: process.stdin.take().expect("a pipe"),
            output: BufReader::new(process.stdout.take().expect("a pipe")),
            process,
            key: String::new(),
            url: String::new(),
        };
        witness.key = witness.line();
        witness.url = witness.line();
        witness
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// `away` or `here`.
    fn be(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it reads");
        assert_eq!(self.line(), "ok");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

trial!(
    "a witness cosigns the evidence log, also after it was away, and a verifier of others proves a leaver with it",
    cosigned
);

fn cosigned(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 5, 4));
    let log = switch_on(&mut world);
    let mut witness = Witness::start(&log);
    let setting = format!("{} {}", witness.key, witness.url);
    world.set("OFFBOARDER_EVIDENCE_WITNESSES", &setting);
    let text = format!("log {log}\nwitness w1 {}\nquorum w1\n", witness.key);
    let policy = world.write("policy", &text);
    let none = ["verify", "--all", "--policy", &policy];
    world.run(&none).expect(1);

    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[..2]);
    promises::await_quiet(&world, PATIENCE);
    await_logged(&world, &manifests(&world)[..2]);
    await_witnessed(&world, &policy);

    witness.be("away");
    for user in 2..4 {
        world.publish_users(&world.users[user..=user]);
        promises::await_quiet(&world, PATIENCE);
        await_logged(&world, &manifests(&world)[..=user]);
    }
    worker.await_log("nothing waits for it");
    witness.be("here");
    world.publish_users(&world.users[4..]);
    promises::await_quiet(&world, PATIENCE);
    await_logged(&world, &manifests(&world));
    await_witnessed(&world, &policy);
    assert_proved(&world, &log, &witness.key, &policy);

    let kept = world.run(&["evidence", "checkpoint", "--evidence-key", &log]);
    let kept = world.write("kept", &kept.expect(0).output);
    World::drain(worker);
    assert_cut_is_found(&world, &policy, &kept);
}

/// Waits until the witness has seen all leaves.
fn await_witnessed(world: &World, policy: &str) {
    eventually(PATIENCE, || {
        let verify = ["verify", "--all", "--policy", policy, "--output", "json"];
        let ended = world.run(&verify);
        let report = &ended.json()["evidenceLog"];
        let seen = &report["witnesses"][0]["leaves"];
        match (ended.code, *seen == report["leaves"]) {
            (Some(0), true) => Ok(()),
            _ => Err(format!("{report:#}")),
        }
    });
}

fn assert_proved(world: &World, log: &str, witness: &str, policy: &str) {
    let id = world.users[1].id.as_str();
    let export = ["evidence", "export", id, "--evidence-key", log];
    let bundle: Value = world.run(&export).expect(0).json();
    let key = format!("{id}_audit.json");
    let judged = |bundle: &Value| {
        let file = world.write("leaver.json", &bundle.to_string());
        let ours = world.run(&["evidence", "verify", &file, "--policy", policy]);
        let environment = world.environment();
        let arguments = [file.as_str(), log, witness];
        let theirs = python::answer("check_proof.py", &arguments, &environment, "");
        assert_eq!(theirs[&key], json!(ours.code == Some(0)), "{}", ours.output);
        theirs[&key] == true
    };
    assert!(judged(&bundle));

    let forged = |member: &str, from: &str, to: &str| {
        let mut bundle = bundle.clone();
        let text = bundle["records"][0][member].as_str().expect("a text");
        let new = text.replacen(from, to, 1);
        assert_ne!(new, text, "{member}");
        bundle["records"][0][member] = new.into();
        bundle
    };
    let proof = bundle["records"][0]["proof"].as_str().expect("a proof");
    let cosignature = proof.lines().last().expect("a line");
    for forged in [
        forged("record", "DELETED", "DEACTIVATED_ONLY"),
        forged("leaf", "\"sha256\":\"", "\"sha256\":\"0"),
        forged("proof", "\nindex ", "\nindex 1"),
        forged("proof", &format!("{cosignature}\n"), ""),
    ] {
        assert!(!judged(&forged), "{forged:#}");
    }
}

/// The last steps are removed with all that belongs to them: a kept checkpoint shows it, and the witness stops the writer.
fn assert_cut_is_found(world: &World, policy: &str, kept: &str) {
    let objects = world.objects();
    let steps = (1..).take_while(|number| objects.exists(&format!("_log_step_{number}.json")));
    let last = steps.last().expect("a step");
    for name in objects.first_written().keys() {
        let of_last = name.starts_with(&format!("_log_cosignature_{last}."));
        if of_last || *name == format!("_log_step_{last}.json") {
            objects.destroy(name);
        }
    }
    let verify = ["verify", "--all", "--policy", policy, "--checkpoint", kept];
    let report = world.json(&verify, 1);
    let findings = list(&report["evidenceLog"]["findings"]);
    let says = |text: &str| {
        let mut findings = findings.iter();
        findings.any(|finding| finding["text"].as_str().is_some_and(|of| of.contains(text)))
    };
    assert!(
        says("it was cut off at its end, or rolled back"),
        "{findings:#?}"
    );

    let worker = world.start(&["worker"]);
    worker.await_log("it was cut off at its end");
    eventually(Duration::from_secs(30), || {
        let stalled = http::sample(&worker.admin(), "offboarder_evidence_log_stalled_seconds");
        match stalled {
            Some(seconds) if seconds > 0.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(!objects.exists(&format!("_log_step_{last}.json")));
    World::drain(worker);
}

//! What somebody does to a file of evidence, or to the log, so that it says something else.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    AnnouncingStore, Bundle, Erased, LogReport, NotExported, Policy, Writer, check_log, export,
};
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::job::{Request, UserId};
use crate::machine::{Checkpoint, Recording, samples};
use crate::manifest::{Actor, Manifest, audit_key};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::signed_note::SigningKey;

const ORIGIN: &str = "example.com/leavers";

struct Place {
    directory: tempfile::TempDir,
    key: SigningKey,
    clock: Clock,
}

fn key() -> SigningKey {
    SigningKey::generate(ORIGIN.parse().unwrap()).unwrap()
}

fn policy(key: &SigningKey) -> Policy {
    let text = format!("log {}\nquorum none\n", key.verifier());
    text.parse().unwrap()
}

impl Place {
    /// A log with the manifests of these users.
    async fn with(users: u8) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
            key: key(),
            // So that what an attacker writes now comes after the log began.
            clock: Clock::starting_at(Clock::system().now() - SignedDuration::from_hours(1)),
        };
        let store = place.store();
        let mut writer = place.writer(place.key.clone());
        for number in 0..users {
            let body = Bytes::from(manifest(user(number)).to_bytes().unwrap());
            let key = audit_key(user(number), 1);
            store.put_once(&key, body, None).await.unwrap();
            place.clock.jump(SignedDuration::from_mins(2));
            assert_eq!(writer.write().await.unwrap(), 1);
        }
        place
    }

    fn store(&self) -> Arc<dyn ArchiveStore> {
        let store = DirectoryStore::open(self.directory.path()).unwrap();
        Arc::new(AnnouncingStore::new(Arc::new(store), self.clock.clone()))
    }

    fn writer(&self, key: SigningKey) -> Writer {
        Writer::new(self.store(), key.into(), self.clock.clone(), "w".to_owned())
    }

    async fn export(&self, number: u8) -> Result<Bundle, NotExported> {
        export(&*self.store(), &[self.key.verifier().clone()], user(number)).await
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{name}");
        self.put(name, &changed);
    }
}

fn audit(number: u8) -> String {
    format!("{}_audit.json", user(number))
}

fn user(number: u8) -> UserId {
    let id = format!("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c{number:02x}");
    id.parse().unwrap()
}

fn manifest(user_id: UserId) -> Manifest {
    let at = Timestamp::UNIX_EPOCH;
    let mut checkpoint = Checkpoint::new(user_id, Request::default(), at);
    checkpoint.state = samples::deleted(at, Recording::Unrecorded);
    Manifest::of(&checkpoint, &Actor::new("w")).unwrap()
}

/// What the check of a changed file says.
fn faults(bundle: &Value, policy: &Policy) -> Vec<String> {
    let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
    let checked = bundle.check(policy).into_iter();
    checked.filter_map(Result::err).collect()
}

fn json(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.to_json().unwrap()).unwrap()
}

#[tokio::test]
async fn every_user_of_a_log_has_a_file_that_anybody_checks_and_that_is_small() {
    let place = Place::with(9).await;
    for number in 0..9 {
        let bundle = place.export(number).await.unwrap();
        let checked = bundle.check(&policy(&place.key));
        let [Ok(checked)] = &checked[..] else {
            panic!("{checked:?}");
        };
        assert_eq!(checked.manifest, manifest(user(number)));
        assert_eq!(checked.size, 18, "a heading for each step");
        let proof = json(&bundle)["records"][0]["proof"].to_string();
        assert!(proof.len() < 4_000, "{proof}");
    }
    let nobody = place.export(99).await.unwrap_err();
    assert!(matches!(nobody, NotExported::Nothing), "{nobody:?}");
}

#[tokio::test]
async fn a_file_that_was_changed_anywhere_proves_nothing() {
    let place = Place::with(5).await;
    let trusted = policy(&place.key);
    let ours = json(&place.export(2).await.unwrap());
    let others = json(&place.export(3).await.unwrap());
    assert_eq!(faults(&ours, &trusted), Vec::<String>::new());

    let changed = |member: &str, from: &str, to: &str| {
        let mut bundle = ours.clone();
        let text = bundle["records"][0][member].as_str().unwrap();
        let new = text.replace(from, to);
        assert_ne!(new, text, "{member}");
        bundle["records"][0][member] = new.into();
        bundle
    };
    let taken = |members: &[&str]| {
        let mut bundle = ours.clone();
        for member in members {
            bundle["records"][0][*member] = others["records"][0][*member].clone();
        }
        bundle
    };
    let mut renamed = others.clone();
    renamed["userId"] = ours["userId"].clone();

    let mut found = BTreeSet::new();
    for (bundle, says) in [
        (
            changed("record", "\"DELETED\"", "\"DEACTIVATED_ONLY\""),
            "another digest",
        ),
        (changed("leaf", "\"same\"", "\"other\""), "something else"),
        (changed("leaf", "\"same\"", "\"same\" "), "another root"),
        (changed("proof", "index 5", "index 3"), "another root"),
        (changed("proof", "\n10\n", "\n9\n"), "not signed"),
        (taken(&["record"]), "another digest"),
        (taken(&["proof"]), "another root"),
        (taken(&["record", "leaf", "proof"]), "another name"),
        (taken(&["key", "record", "leaf", "proof"]), "another name"),
        (renamed, "another name"),
    ] {
        let faults = faults(&bundle, &trusted);
        assert_eq!(faults.len(), 1, "{says}: {bundle}");
        assert!(faults[0].contains(says), "{says}: {faults:?}");
        found.insert(says);
    }
    assert_eq!(found.len(), 5);
}

#[tokio::test]
async fn a_log_that_somebody_else_signed_under_the_same_name_proves_nothing() {
    let place = Place::with(2).await;
    let bundle = json(&place.export(1).await.unwrap());
    let faults = faults(&bundle, &policy(&key()));
    assert!(
        faults[0].contains("not signed by a log of the policy"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn a_manifest_that_was_forged_or_changed_in_the_store_is_not_exported() {
    let place = Place::with(3).await;
    place.replace(&audit(1), "DELETED", "DEACTIVATED_ONLY");
    let forged = manifest(user(7)).to_bytes().unwrap();
    place.put(&audit(7), &String::from_utf8(forged).unwrap());
    for number in [1, 7] {
        let refused = place.export(number).await.unwrap_err();
        assert!(matches!(refused, NotExported::NotInLog(_)), "{refused:?}");
    }
    assert!(place.export(2).await.is_ok());
}

#[tokio::test]
async fn a_log_in_which_a_step_was_changed_moved_or_removed_is_not_exported() {
    type Attack = fn(&Place);
    let attacks: [Attack; 4] = [
        |place| place.replace("_log_step_2.json", "7c01", "7c09"),
        |place| place.replace("_log_step_2.json", "\"same\"", "\"other\""),
        |place| place.put("_log_step_2.json", "{}"),
        |place| {
            let path = |number: u8| place.path(&format!("_log_step_{number}.json"));
            std::fs::rename(path(2), path(9)).unwrap();
            std::fs::rename(path(3), path(2)).unwrap();
            std::fs::rename(path(9), path(3)).unwrap();
        },
    ];
    for attack in attacks {
        let place = Place::with(4).await;
        attack(&place);
        let refused = place.export(3).await.unwrap_err();
        assert!(matches!(refused, NotExported::Broken(_)), "{refused:?}");
    }
}

async fn check(place: &Place, erased: &Erased, now: Timestamp) -> LogReport {
    let policy = policy(&place.key);
    let report = check_log(&*place.store(), &policy, &[], erased, now).await;
    report.unwrap()
}

/// What the check of a log finds an hour later: the names of the objects, and what is wrong with them.
async fn findings(place: &Place) -> Vec<(String, String)> {
    let now = Clock::system().now() + SignedDuration::from_hours(1);
    let report = check(place, &Erased::new(), now).await;
    let name = |object: &str| object.rsplit('/').next().unwrap().to_owned();
    let findings = report.findings.into_iter();
    findings
        .map(|finding| (name(&finding.object), finding.text))
        .collect()
}

#[tokio::test]
async fn the_check_of_the_log_names_each_object_that_was_changed_removed_or_invented() {
    type Attack = fn(&Place);
    let attacks: [(Attack, String, &str); 8] = [
        (
            |place| place.replace(&audit(1), "DELETED", "DEACTIVATED_ONLY"),
            audit(1),
            "it was changed",
        ),
        (|place| place.remove(&audit(1)), audit(1), "it was removed"),
        (
            |place| {
                let invented = manifest(user(7)).to_bytes().unwrap();
                place.put(&audit(7), &String::from_utf8(invented).unwrap());
            },
            audit(7),
            "it is not in the log",
        ),
        (
            |place| place.put("_act_forged.json", "{}"),
            "_act_forged.json".to_owned(),
            "it is not in the log",
        ),
        (
            |place| place.remove("_log_step_1.json"),
            "_log_step_1.json".to_owned(),
            "this step is missing",
        ),
        (
            |place| place.put("_log_step_2.json", "{}"),
            "_log_step_2.json".to_owned(),
            "not signed",
        ),
        (
            |place| place.replace("_log_step_2.json", "7c01", "7c09"),
            "_log_step_2.json".to_owned(),
            "does not follow",
        ),
        (
            |place| (1..=3).for_each(|number| place.remove(&format!("_log_step_{number}.json"))),
            "_log_step_1.json".to_owned(),
            "there is no log",
        ),
    ];
    for (attack, name, says) in attacks {
        let place = Place::with(3).await;
        assert_eq!(findings(&place).await, [], "before the attack");
        assert!(place.path("_log_step_3.json").exists());
        attack(&place);
        let found = findings(&place).await;
        let named = found
            .iter()
            .any(|found| found.0 == name && found.1.contains(says));
        assert!(named, "{name}: {says}: {found:#?}");
    }
}

#[tokio::test]
async fn records_from_before_the_log_are_counted_and_those_of_the_last_minutes_are_waited_for() {
    let place = Place::with(1).await;
    place.put("_act_new.json", "{}");
    let before = std::fs::File::create(place.path("_act_before.json")).unwrap();
    before.set_modified(std::time::UNIX_EPOCH).unwrap();

    let now = Clock::system().now();
    let report = check(&place, &Erased::new(), now).await;
    assert_eq!((report.records, report.before), (1, 1));
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn an_erasure_explains_what_came_into_the_log_before_it_and_nothing_else() {
    let place = Place::with(3).await;
    let key = |name: String| ObjectKey(name);
    let record = key(format!("_erasure_{}_1.json", user(1)));
    let named = vec![key(audit(1)), key(audit(2))];
    let erased = Erased::from([(record.clone(), named)]);
    let found = async || {
        let now = Clock::system().now() + SignedDuration::from_hours(1);
        let report = check(&place, &erased, now).await;
        (report.erased, report.findings.len())
    };
    let write = async |key: &ObjectKey, body: &'static [u8]| {
        let put = place.store();
        let put = put.put_once(key, Bytes::from_static(body), None);
        put.await.unwrap();
        place.clock.jump(SignedDuration::from_mins(2));
        let written = place.writer(place.key.clone()).write().await;
        assert_eq!(written.unwrap(), 1);
    };
    place.remove(&audit(1));
    assert_eq!(found().await, (0, 1), "the record is not in the log");
    write(&record, b"{}").await;
    assert_eq!(found().await, (1, 0));
    place.remove(&audit(0));
    assert_eq!(found().await, (1, 1), "it names another one");

    // The user came back, left again, and somebody removed that.
    write(&key(audit(1)), b"another").await;
    place.remove(&audit(1));
    assert_eq!(found().await, (0, 2));
}

//! Changing the people file, and what is refused.

use std::sync::Arc;

use super::*;
use crate::adapters::directory::{DirectoryStore, FileDocument};
use crate::clock::Clock;
use crate::registers::{PeopleRegister, Place};

struct Bench {
    directory: tempfile::TempDir,
    document: FileDocument,
    log: AuditLog,
    ada: Operator,
}

impl Bench {
    fn new(file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(&directory.path().join("archive")).unwrap();
        Self {
            document: FileDocument::new(directory.path().join(file)),
            log: AuditLog::new(Arc::new(store), Clock::system()),
            ada: Operator {
                who: "ada".to_owned(),
                why: Some("a new colleague".to_owned()),
            },
            directory,
        }
    }

    async fn read(&self) -> PeopleFile<'_> {
        PeopleFile::read(&self.document).await.unwrap()
    }

    async fn add(&self, name: &str, role: Role) -> Result<Option<Secret>, PeopleError> {
        let new = NewPerson {
            name: name.to_owned(),
            role,
            has_key: true,
            breaks_glass: false,
            replace: false,
        };
        let added = self.read().await.add(new, &self.log, &self.ada).await;
        added.map(|keys| keys.key)
    }

    async fn remove(&self, name: &str) -> Result<(), PeopleError> {
        self.read().await.remove(name, &self.log, &self.ada).await
    }

    async fn entries(&self) -> Vec<String> {
        let entries = self.log.list(None, 100).await.unwrap();
        let entries = entries.into_iter();
        entries
            .map(|entry| format!("{} {} {}", entry.who, entry.what, entry.details["name"]))
            .collect()
    }
}

fn refused<T: std::fmt::Debug>(changed: Result<T, PeopleError>) -> String {
    match changed.unwrap_err() {
        PeopleError::Refused(why) => why,
        PeopleError::Failed(failure) => panic!("{failure}"),
    }
}

#[tokio::test]
async fn the_key_of_a_person_is_shown_once_and_only_its_digest_is_stored() {
    for file in ["people.toml", "people.json"] {
        let bench = Bench::new(file);
        let key = bench.add("ada", Role::Admin).await.unwrap().unwrap();
        assert_eq!(key.expose().len(), KEY_PREFIX.len() + 64);
        let stored = std::fs::read_to_string(bench.directory.path().join(file)).unwrap();
        assert!(!stored.contains(key.expose()), "{stored}");

        let other = bench.add("bob", Role::Operator).await.unwrap().unwrap();
        assert_ne!(key.expose(), other.expose());
        let place = Place::File(bench.directory.path().join(file));
        let people = PeopleRegister::at(place).load().await.unwrap();
        assert_eq!(people.with_key(key.expose()).unwrap().name, "ada");
        assert_eq!(people.with_key(other.expose()).unwrap().name, "bob");
        let format = if file.ends_with("json") {
            Format::Json
        } else {
            Format::Toml
        };
        assert_eq!(Format::of(&stored), format);

        bench.remove("bob").await.unwrap();
        assert!(bench.read().await.people.named("bob").is_none());
        assert_eq!(
            bench.entries().await,
            [
                "ada people remove \"bob\"",
                "ada people add \"bob\"",
                "ada people add \"ada\""
            ]
        );
    }
}

#[tokio::test]
async fn there_is_always_an_admin_with_a_key() {
    let bench = Bench::new("people.toml");
    let first = refused(bench.add("bob", Role::Operator).await);
    assert!(first.contains("an admin with a key comes first"), "{first}");
    assert!(!bench.read().await.has_admin());
    bench.add("ada", Role::Admin).await.unwrap();
    assert!(bench.read().await.has_admin());
    assert!(refused(bench.remove("ada").await).contains("an admin"));
    let keyless = NewPerson {
        name: "ada".to_owned(),
        role: Role::Admin,
        has_key: false,
        breaks_glass: false,
        replace: true,
    };
    let file = bench.read().await;
    refused(file.add(keyless, &bench.log, &bench.ada).await);
    assert_eq!(
        bench.entries().await.len(),
        1,
        "what is refused is not recorded as done"
    );

    assert!(refused(bench.add("ADA", Role::Reader).await).contains("--replace"));
    assert!(refused(bench.remove("eve").await).contains("not in the people file"));
}

#[tokio::test]
async fn of_two_changes_at_once_none_is_lost() {
    let bench = Bench::new("people.toml");
    bench.add("ada", Role::Admin).await.unwrap();
    let early = bench.read().await;
    bench.add("bob", Role::Reader).await.unwrap();
    let new = NewPerson {
        name: "eve".to_owned(),
        role: Role::Reader,
        has_key: true,
        breaks_glass: false,
        replace: false,
    };
    let late = refused(early.add(new, &bench.log, &bench.ada).await);
    assert!(late.contains("at the same time"), "{late}");
    assert!(bench.read().await.people.named("bob").is_some());
    bench.add("eve", Role::Reader).await.unwrap();
    assert_eq!(bench.read().await.people.iter().count(), 3);
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one() {
    let bench = Bench::new("people.toml");
    let old = bench.add("ada", Role::Admin).await.unwrap().unwrap();
    let new = NewPerson {
        name: "ada".to_owned(),
        role: Role::Admin,
        has_key: true,
        breaks_glass: false,
        replace: true,
    };
    let file = bench.read().await;
    let new = file.add(new, &bench.log, &bench.ada).await.unwrap();
    let new = new.key.unwrap();
    let people = bench.read().await.people;
    assert!(people.with_key(old.expose()).is_none());
    assert!(people.with_key(new.expose()).is_some());
}

#[tokio::test]
async fn an_admin_has_a_second_key_to_break_the_glass_and_nobody_else_has() {
    let bench = Bench::new("people.toml");
    let add = async |role| {
        let new = NewPerson {
            name: "ada".to_owned(),
            role,
            has_key: true,
            breaks_glass: true,
            replace: false,
        };
        bench.read().await.add(new, &bench.log, &bench.ada).await
    };
    assert!(refused(add(Role::Approver).await).contains("only an admin"));
    let keys = add(Role::Admin).await.unwrap();
    let second = keys.break_glass.unwrap();
    assert_ne!(keys.key.unwrap().expose(), second.expose());
    let people = bench.read().await.people;
    assert!(people.breaks_glass("ada", second.expose()));
    assert!(people.with_key(second.expose()).is_none());
}

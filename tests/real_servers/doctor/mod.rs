//! What `doctor` finds, and that it finds nothing else.

mod broker;
mod profiles;
mod services;
mod tenant;

use std::collections::BTreeMap;

use crate::support::list;
use crate::support::world::World;

/// A port on which no program listens.
const CLOSED: &str = "127.0.0.1:9";

/// What failed, by the check's name: what is wrong and how to fix it. Several of one name are
/// joined.
type Failures = BTreeMap<String, String>;

/// The member of a finding that says how to fix it.
const FIX: &str = "mend";

/// Runs `doctor`, which has to end with this status; what failed.
#[track_caller]
fn failures(world: &World, code: i32) -> Failures {
    let report = world.json(&["doctor"], code);
    let mut failures = Failures::new();
    for finding in list(&report["findings"]) {
        let text = |member: &str| finding[member].as_str().unwrap_or_default();
        if finding["ok"] == false {
            assert_ne!(text(FIX), "", "it says how to fix it: {finding:#}");
            let failure = failures.entry(text("check").to_owned()).or_default();
            *failure = format!("{failure}{}; {}\n", text("detail"), text(FIX));
        }
    }
    failures
}

/// Only these checks fail.
#[track_caller]
fn assert_failures(world: &World, code: i32, checks: &[&str]) -> Failures {
    let failures = failures(world, code);
    let names: Vec<&str> = failures.keys().map(String::as_str).collect();
    assert_eq!(names, checks, "{failures:#?}");
    failures
}

/// Only this check fails, and says this.
#[track_caller]
fn assert_failure(world: &World, code: i32, check: &str, says: &[&str]) {
    let failures = assert_failures(world, code, &[check]);
    for text in says {
        assert!(failures[check].contains(text), "{text} in {failures:#?}");
    }
}

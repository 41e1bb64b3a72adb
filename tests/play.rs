//! `make play` for people who see this program for the first time: it starts servers, and its commands work.
#![expect(
    clippy::expect_used,
    reason = "the whole crate is a test: what is unexpected ends it, with the place"
)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_playground_starts_and_its_commands_work_and_it_leaves_nothing_running() {
    let directory = tempfile::tempdir().expect("a directory");
    let play = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/local/play.sh");
    let mut command = Command::new(play);
    command
        .arg("try")
        .arg(directory.path())
        .arg(env!("CARGO_BIN_EXE_offboarder"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OFFBOARDER_")) {
        command.env_remove(name);
    }
    let ended = command.output().expect("it starts");
    let output = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);

    assert!(ended.status.success(), "{output}{errors}");
    for text in [
        "finished",
        "4 api_rejected",
        "user_not_found",
        "profile_locked",
        "dead letter api_rejected",
        "archives read",
    ] {
        assert!(output.contains(text), "{text} in {output}{errors}");
    }
    assert!(!directory.path().join("pid").exists());
    let leftovers = running_below(directory.path());
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

/// The command lines of processes that name this directory.
fn running_below(directory: &Path) -> Vec<String> {
    let name = directory.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|line| line.contains(&name))
        .collect()
}

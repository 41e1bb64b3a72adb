//! The command line as a user sees it: what each command prints, and its exit status. The pages are
//! `tests/cli/*.trycmd`; after a change of a text, `TRYCMD=overwrite cargo test --test cli` writes
//! them again, and `git diff` shows what changed.

use std::path::Path;
use std::process::Command;

#[test]
fn the_command_line() {
    trycmd::TestCases::new()
        .register_bin("offboarder", Path::new(env!("CARGO_BIN_EXE_offboarder")))
        .insert_var("[VERSION]", env!("CARGO_PKG_VERSION"))
        .expect("a variable")
        // The width of the help, and no setting of the machine that the test runs on.
        .env("COLUMNS", "100")
        .case("tests/cli/*.trycmd");
}

/// The commands that the demo ends with are copied by people who see this program for the first time.
#[test]
fn the_next_steps_of_the_demo_work_as_they_are_printed() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |command: &mut Command| {
        let ended = command
            .current_dir(directory.path())
            .output()
            .expect("it starts");
        let output = String::from_utf8_lossy(&ended.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{command:?}: {output}{errors}");
        output
    };

    let demo = run(Command::new(env!("CARGO_BIN_EXE_offboarder")).arg("demo"));
    let steps: Vec<&str> = demo
        .lines()
        .skip_while(|line| *line != "Next steps:")
        .skip(1)
        .collect();
    assert_eq!(steps.len(), 3, "{demo}");
    for step in steps {
        let output = run(Command::new("sh").args(["-c", &step.replace("less ", "cat ")]));
        assert!(
            output.contains("00000001-de30-4000-8000-00000000000c"),
            "{step}: {output}"
        );
    }
}

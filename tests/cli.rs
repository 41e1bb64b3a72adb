//! The command line as a user sees it: what each command prints, and its exit status. The pages are
//! `tests/cli/*.trycmd`; after a change of a text, `TRYCMD=overwrite cargo test --test cli` writes
//! them again, and `git diff` shows what changed.

use std::path::Path;

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

//! The rules of this repository that no compiler checks: which room may use which, no circles
//! between files, plain words, short functions and files. A failure names the rule, the place and
//! how to fix it. There are no exceptions, and none should be added: change the code instead.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the whole crate is a test: what is unexpected ends it, with the place"
)]

mod arrows;
mod circles;
mod imports;
mod lengths;
mod settings;
mod source;
mod tuple_lets;
mod words;

/// Ends the test with every fault that was found, and how to fix it.
fn no_faults(rule: &str, fix: &str, faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{rule}: {} faults\n{}\nHow to fix it: {fix}\n",
        faults.len(),
        faults.join("\n")
    );
}

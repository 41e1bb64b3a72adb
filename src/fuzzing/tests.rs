//! The fuzz targets over their corpus and over mutations of it.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::mutation::mutations;
use super::*;

/// Mutations for each target; `PROPTEST_CASES` sets another number.
const CASES: u32 = 3000;
/// The same mutations every time, so that a failure can be repeated; `PROPTEST_RNG_SEED` sets
/// another seed.
const SEED: u64 = 20_261_124;

#[test]
fn a_message() {
    run("message", message);
}

#[test]
fn the_headers() {
    run("headers", headers);
}

#[test]
fn a_page() {
    run("page", page);
}

#[test]
fn a_retry_after() {
    run("retry_after", retry_after);
}

#[test]
fn a_next_link() {
    run("next_link", next_link);
}

#[test]
fn a_checkpoint() {
    run("checkpoint", checkpoint);
}

#[test]
fn what_stores_return() {
    run("stored", stored);
}

#[test]
fn the_settings() {
    run("settings", settings);
}

#[test]
fn depth_exhausts_no_stack() {
    let deep = |begin: &str, level: &str| format!("{begin}{}", level.repeat(30_000)).into_bytes();
    for level in ["[", "{\"a\":", "[{\"a\":"] {
        message(&deep("{\"userId\":", level));
        message(&deep("{\"unknown\":", level));
        page(&deep("{\"details\":[{\"a\":", level));
        page(&deep("{\"nextPageUri\":", level));
        checkpoint(&deep("{\"state\":{\"name\":\"Received\",\"a\":", level));
        checkpoint(&deep("", level));
        stored(&deep("{\"details\":", level));
        stored(&deep("", level));
    }
    for (begin, level) in [
        ("x = ", "["),
        ("x = ", "{ a = "),
        ("", "a."),
        ("[", "a."),
        ("x = ", "{ a."),
    ] {
        settings(&deep(&format!("---\n{begin}"), level));
        settings(&[deep(&format!("---\n{begin}"), level), b"a = 1".to_vec()].concat());
    }
    settings(
        &deep("---\n[", "a.")
            .into_iter()
            .chain(*b"a]\nb = 1\n")
            .collect::<Vec<_>>(),
    );
}

fn run(target: &str, check: fn(&[u8]) -> bool) {
    let corpus = corpus(target);
    let accepted = corpus.iter().filter(|(path, seed)| {
        catch_unwind(|| check(seed))
            .unwrap_or_else(|_| panic!("{}: the panic is above", path.display()))
    });
    let accepted = accepted.count();
    assert!(
        0 < accepted && accepted < corpus.len(),
        "{target}: {accepted} of the corpus are accepted"
    );

    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, seed)| seed).collect();
    let checked = TestRunner::new(config()).run(&mutations(inputs), |input| {
        check(&input.0);
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{target}: {failure}");
    }
}

fn config() -> Config {
    // `default` reads the variables.
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    config
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let seed = std::fs::read(&path).unwrap();
        (path, seed)
    };
    paths.into_iter().map(read).collect()
}

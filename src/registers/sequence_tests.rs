//! Which number counts, and which objects put a sequence in doubt.

use super::*;

#[tokio::test]
async fn a_record_that_is_too_large_is_in_doubt_and_is_not_an_error() {
    use crate::adapters::directory::DirectoryStore;
    use crate::registers::PauseRecord;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("_pause.1.json"),
        " ".repeat(MAX_RECORD_BYTES + 1),
    )
    .unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let latest = Sequence::list(&store, "_pause.")
        .await
        .unwrap()
        .latest::<PauseRecord>(&store)
        .await
        .unwrap();
    assert!(
        matches!(&latest, Latest::Doubtful(why) if why.contains("too large")),
        "{latest:?}"
    );
}

fn keys(names: &[&str]) -> Vec<ObjectKey> {
    names
        .iter()
        .map(|name| ObjectKey(format!("_pause.{name}")))
        .collect()
}

fn sequence(names: &[&str], hidden: &[&str]) -> (u32, Vec<String>) {
    let sequence = Sequence::of("_pause.", &keys(names), &keys(hidden));
    let odd = sequence
        .odd
        .iter()
        .map(|odd| odd.trim_start_matches("_pause.").to_owned())
        .collect();
    (sequence.last, odd)
}

#[test]
fn the_last_number_of_an_unbroken_line_counts() {
    assert_eq!(sequence(&[], &[]), (0, vec![]));
    assert_eq!(sequence(&["2.json", "1.json", "3.json"], &[]), (3, vec![]));
    let ten: Vec<String> = (1..=10).map(|number| format!("{number}.json")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    assert_eq!(sequence(&ten, &[]), (10, vec![]));
}

#[test]
fn an_object_that_we_would_not_have_written_is_odd() {
    assert_eq!(
        sequence(&["1.json", "4294967295.json"], &[]),
        (1, vec!["4294967295.json".to_owned()])
    );
    assert_eq!(
        sequence(&["1.json", "3.json"], &[]),
        (1, vec!["3.json".to_owned()]),
        "2 vanished"
    );
    assert_eq!(
        sequence(&["2.json"], &[]),
        (0, vec!["2.json".to_owned()]),
        "1 vanished"
    );
    assert_eq!(
        sequence(&[], &["1.json"]),
        (0, vec!["1.json".to_owned()]),
        "1 is hidden"
    );
    for odd in [
        "011.json",
        "0.json",
        "x.json",
        "+1.json",
        "4294967296.json",
        "1.txt",
        "1.json.bak",
    ] {
        assert_eq!(sequence(&[odd], &[]), (0, vec![odd.to_owned()]), "{odd}");
    }
}

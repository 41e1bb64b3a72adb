//! Reading the protected list from a file that changes.

use super::*;
use crate::guards::NOBODY;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

#[tokio::test]
async fn a_list_that_lost_a_fifth_stops_the_work_until_it_is_back() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = ProtectedSource::at(Place::File(file.path().to_owned()));
    let entries: Vec<String> = (0..10)
        .map(|number| format!("user-{number}@example.com"))
        .collect();
    let write = |entries: &[String]| std::fs::write(file.path(), entries.join("\n")).unwrap();
    write(&entries);
    assert_eq!(source.load().await.unwrap().counts(), "0 IDs, 10 patterns");
    let others: Vec<String> = entries
        .iter()
        .map(|entry| format!("other-{entry}"))
        .collect();
    for few in [&entries[..8], &entries[..1], &others] {
        write(few);
        let failure = source.clone().load().await.unwrap_err();
        assert_eq!(
            (failure.class, failure.code),
            (Class::Systemic, Code::SettingsUnreadable)
        );
        assert!(
            failure.text.contains("of 10 entries are gone"),
            "{}",
            failure.text
        );
    }
    write(&entries[..9]);
    assert!(source.load().await.is_ok(), "one of ten may go");
    write(&entries[..1]);
    assert!(source.load().await.is_err());
    assert!(
        ProtectedSource::at(Place::File(file.path().to_owned()))
            .load()
            .await
            .is_ok(),
        "a new process takes it"
    );
    std::fs::write(file.path(), NOBODY).unwrap();
    assert!(
        source.load().await.is_ok(),
        "a person wrote that no user is meant"
    );
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let whole = (0..6)
        .map(|number| ID.replace('3', &number.to_string()) + "\n")
        .collect::<String>();
    for cut in 0..whole.trim_end().len() {
        std::fs::write(file.path(), &whole).unwrap();
        let source = ProtectedSource::at(Place::File(file.path().to_owned()));
        source.load().await.unwrap();
        std::fs::write(file.path(), &whole[..cut]).unwrap();
        // Only one entry of six, cut at the end of a line, is less than a fifth.
        let is_at_line = cut == 5 * 37 || cut == 5 * 37 - 1;
        assert_eq!(source.load().await.is_ok(), is_at_line, "{cut}");
    }
}

#[tokio::test]
async fn a_list_that_is_not_a_regular_file_or_too_large_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let failure = ProtectedSource::at(Place::File(directory.path().to_owned()))
        .load()
        .await
        .unwrap_err();
    assert!(
        failure.text.contains("not a regular file"),
        "{}",
        failure.text
    );
    let path = directory.path().join("large");
    assert!(
        ProtectedSource::at(Place::File(path.clone()))
            .load()
            .await
            .is_err(),
        "there is none"
    );
    std::fs::File::create(&path)
        .unwrap()
        .set_len(MAX_LIST_BYTES as u64 + 1)
        .unwrap();
    let failure = ProtectedSource::at(Place::File(path))
        .load()
        .await
        .unwrap_err();
    assert!(failure.text.contains("more than"), "{}", failure.text);
}

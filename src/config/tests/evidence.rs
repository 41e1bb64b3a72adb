use super::{only_fault, sources};
use crate::config::Settings;
use crate::signed_note::SigningKey;

const KEY: &str = "OFFBOARDER_EVIDENCE_KEY";
const ORIGIN: &str = "OFFBOARDER_EVIDENCE_ORIGIN";

fn key() -> String {
    let key = SigningKey::generate("example.com/log".parse().unwrap());
    key.unwrap().to_secret_text()
}

#[test]
fn the_log_is_on_where_it_has_a_name_and_is_written_with_its_key() {
    let evidence = |settings: &[(&str, &str)]| {
        let settings = Settings::read(&sources(settings)).unwrap();
        settings.evidence.map(|evidence| evidence.keys.is_some())
    };
    assert_eq!(evidence(&[]), None);
    assert_eq!(evidence(&[(ORIGIN, "example.com/log")]), Some(false));
    let both = [(ORIGIN, "example.com/log"), (KEY, &key())];
    assert_eq!(evidence(&both), Some(true));
}

#[test]
fn a_key_of_another_log_is_refused_and_not_repeated() {
    let key = key();
    for (settings, says) in [
        (vec![(KEY, key.as_str())], "without a log"),
        (
            vec![(KEY, &key), (ORIGIN, "example.com/other")],
            "another log",
        ),
        (
            vec![(KEY, "hunter2"), (ORIGIN, "example.com/log")],
            "no private key",
        ),
    ] {
        let fault = only_fault(&sources(&settings));
        assert!(fault.contains(says), "{fault}");
        assert!(
            !fault.contains("hunter2") && !fault.contains(&key),
            "{fault}"
        );
    }
}

use super::{only_fault, sources};
use crate::config::{LogKeys, Settings};
use crate::signed_note::SigningKey;

const KEY: &str = "OFFBOARDER_EVIDENCE_KEY";
const KMS_KEY: &str = "OFFBOARDER_EVIDENCE_KMS_KEY";
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
fn a_file_has_the_key_and_in_a_second_line_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    std::fs::write(&file, format!("{}\n{}\n", key(), key())).unwrap();
    let file = file.to_str().unwrap();
    let settings = [
        (ORIGIN, "example.com/log"),
        ("OFFBOARDER_EVIDENCE_KEY_FILE", file),
    ];
    let settings = Settings::read(&sources(&settings)).unwrap();
    let keys = settings.evidence.unwrap().keys;
    assert!(matches!(keys, Some(LogKeys::Local(keys)) if keys.verifiers().count() == 2));
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

#[cfg(feature = "kms")]
#[test]
fn a_key_in_kms_signs_alone_or_while_it_replaces_another_or_is_replaced() {
    let log = (ORIGIN, "example.com/log");
    let keys = |settings: &[(&str, &str)]| {
        let settings = Settings::read(&sources(settings)).unwrap();
        settings.evidence.and_then(|evidence| evidence.keys)
    };
    let alone = keys(&[log, (KMS_KEY, "alias/log")]);
    assert!(matches!(alone, Some(LogKeys::Kms(key)) if key == "alias/log"));
    let file = key();
    let both = keys(&[log, (KMS_KEY, "alias/log"), (KEY, &file)]);
    assert!(matches!(both, Some(LogKeys::Both(_, key)) if key == "alias/log"));

    let directory = tempfile::tempdir().unwrap();
    let two = directory.path().join("two-keys");
    std::fs::write(&two, [key(), key()].join("\n")).unwrap();
    let two = two.to_str().unwrap();
    for (settings, says) in [
        (vec![(KMS_KEY, "alias/log")], "without a log"),
        (vec![log, (KMS_KEY, "a b")], "is no KMS key"),
        (
            vec![
                log,
                (KMS_KEY, "alias/log"),
                ("OFFBOARDER_EVIDENCE_KEY_FILE", two),
            ],
            "a third key",
        ),
    ] {
        let fault = only_fault(&sources(&settings));
        assert!(
            fault.starts_with(KMS_KEY) && fault.contains(says),
            "{fault}"
        );
    }
}

#[cfg(not(feature = "kms"))]
#[test]
fn a_key_in_kms_is_refused_by_a_binary_without_kms() {
    for settings in [
        vec![(KMS_KEY, "alias/log")],
        vec![
            (ORIGIN, "example.com/log"),
            (KMS_KEY, "alias/log"),
            (KEY, &key()),
        ],
    ] {
        let fault = only_fault(&sources(&settings));
        let says = "build with `--features kms`";
        assert!(
            fault.starts_with(KMS_KEY) && fault.contains(says),
            "{fault}"
        );
    }
    let local = sources(&[(ORIGIN, "example.com/log"), (KEY, &key())]);
    let keys = Settings::read(&local).unwrap().evidence.unwrap().keys;
    assert!(matches!(keys, Some(LogKeys::Local(_))));
}

use super::{faults, only_fault, sources};
use crate::config::Settings;

#[test]
fn only_loopback_may_listen_without_a_token() {
    let open = ("OFFBOARDER_ADMIN_LISTEN", "0.0.0.0:9464");
    assert!(only_fault(&sources(&[open])).contains("set OFFBOARDER_ADMIN_TOKEN"));
    let long = "0123456789abcdef0123456789abcdef";
    assert!(faults(&sources(&[open, ("OFFBOARDER_ADMIN_TOKEN", long)])).is_empty());
    assert!(faults(&sources(&[("OFFBOARDER_ADMIN_LISTEN", "[::1]:9464")])).is_empty());
    let misspelt = sources(&[open, ("OFFBOARDER_ADMIN_TOKEN", "two words")]);
    assert!(!only_fault(&misspelt).contains("words"));
}

#[test]
fn a_token_that_other_hosts_can_guess_at_is_long() {
    let open = ("OFFBOARDER_ADMIN_LISTEN", "[::]:9464");
    for setting in ["OFFBOARDER_ADMIN_TOKEN", "OFFBOARDER_ADMIN_READ_TOKEN"] {
        let short = "0123456789abcdef0123456789abcde";
        let fault = only_fault(&sources(&[open, (setting, short)]));
        assert!(
            fault.starts_with(setting) && fault.contains("32 characters"),
            "{fault}"
        );
        assert!(!fault.contains(short), "{fault}");
        assert!(
            faults(&sources(&[
                ("OFFBOARDER_ADMIN_LISTEN", "127.0.0.1:1"),
                (setting, "t")
            ]))
            .is_empty()
        );
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let cap = only_fault(&sources(&[("OFFBOARDER_WORKER_RETRY_BASE", "16m")]));
    assert!(
        cap.starts_with("OFFBOARDER_WORKER_RETRY_CAP (by default): \"15m\" is less than"),
        "{cap}"
    );
    let retention = ("OFFBOARDER_ARCHIVE_RETENTION", "compliance:7y");
    assert!(only_fault(&sources(&[retention])).contains("cannot be kept by a directory"));
    assert!(
        faults(&sources(&[
            retention,
            ("OFFBOARDER_ARCHIVE_URL", "s3://b/")
        ]))
        .is_empty()
    );
}

#[test]
fn checkpoints_of_finished_users_are_kept_for_an_hour_or_more_or_for_ever() {
    let with = |value| sources(&[("OFFBOARDER_CHECKPOINTS_RETENTION", value)]);
    for good in ["1h", "90d", "off"] {
        assert!(faults(&with(good)).is_empty(), "{good}");
    }
    for bad in ["59m", "0s", "never", "101y", "-1d"] {
        assert!(
            only_fault(&with(bad)).starts_with("OFFBOARDER_CHECKPOINTS_RETENTION"),
            "{bad}"
        );
    }
}

#[test]
fn the_readme_shows_the_table_of_settings() {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let table = crate::config::markdown_table();
    assert!(readme.contains(&table), "put this into README.md:\n{table}");
}

#[test]
fn a_ca_or_a_kms_key_without_a_use_is_refused() {
    let simulator = ("OFFBOARDER_CXONE_BASE_URI", "http://127.0.0.1:8080");
    let files = ("OFFBOARDER_ARCHIVE_URL", "file:./archive");
    let bucket = ("OFFBOARDER_ARCHIVE_URL", "s3://bucket/");
    for (place, setting, says) in [
        (simulator, "OFFBOARDER_CXONE_CA_FILE", "an https:// URL"),
        (files, "OFFBOARDER_ARCHIVE_CA_FILE", "an s3:// URL"),
        (files, "OFFBOARDER_ARCHIVE_KMS_KEY", "an s3:// URL"),
    ] {
        let fault = only_fault(&sources(&[place, (setting, "ca.pem")]));
        assert!(fault.contains(setting) && fault.contains(says), "{fault}");
    }

    let archive = [
        bucket,
        ("OFFBOARDER_ARCHIVE_CA_FILE", "ca.pem"),
        ("OFFBOARDER_ARCHIVE_KMS_KEY", "alias/k"),
    ];
    let archive = Settings::read(&sources(&archive)).unwrap().archive;
    assert_eq!(archive.ca.unwrap().setting, "OFFBOARDER_ARCHIVE_CA_FILE");
    assert_eq!(archive.kms_key.as_deref(), Some("alias/k"));
}

#[test]
fn the_management_api_gets_no_login_that_it_must_not_have() {
    let with = |queue, management, certificate: bool| {
        let files = ["CERT", "KEY"].map(|file| format!("OFFBOARDER_QUEUE_CLIENT_{file}_FILE"));
        let mut given = vec![
            ("OFFBOARDER_QUEUE_URL", queue),
            ("OFFBOARDER_QUEUE_MANAGEMENT_URL", management),
        ];
        if certificate {
            given.extend(files.iter().map(|file| (file.as_str(), "/nowhere.pem")));
        }
        faults(&sources(&given))
    };
    for queue in ["amqps://u:hunter2@mq-1", "amqp://u:hunter2@mq-1"] {
        let refused = with(queue, "http://mq-1", false);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(
            refused[0].contains("another host without TLS") && !refused[0].contains("hunter2"),
            "{refused:?}"
        );
        for good in ["https://mq-1", "http://[::1]", "http://m:p@mq-1"] {
            assert!(with(queue, good, false).is_empty(), "{good}");
        }
    }

    let refused = with("amqps://mq-1", "https://mq-1", true);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("names no user"), "{refused:?}");
    assert!(with("amqps://mq-1", "https://m:p@mq-1", true).is_empty());
    assert!(with("amqps://u:p@mq-1", "https://mq-1", true).is_empty());
}

#[test]
fn a_private_ca_may_be_of_the_management_api_alone() {
    let with = |management| {
        faults(&sources(&[
            ("OFFBOARDER_QUEUE_URL", "amqp://localhost"),
            ("OFFBOARDER_QUEUE_CA_FILE", "/nowhere/ca.pem"),
            ("OFFBOARDER_QUEUE_MANAGEMENT_URL", management),
        ]))
    };
    assert!(with("https://localhost").is_empty());
    assert!(with("http://localhost")[0].contains("of no use without TLS"));
}

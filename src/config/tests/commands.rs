use std::path::PathBuf;

use super::{WORKER, only_fault, sources, with_toml, worker_and};
use crate::config::{
    ArchiveLocation, BrokerSettings, CheckpointsUrl, Faults, Settings, Sources, TenantSettings,
    WorkerSettings,
};
use crate::limits::{DeletePolicy, Rate};

#[test]
fn nothing_set_is_enough_for_commands_that_need_nothing() {
    let settings = Settings::read(&Sources::default()).unwrap();
    let CheckpointsUrl::Embedded(path) = settings.checkpoints else {
        panic!("{:?}", settings.checkpoints);
    };
    assert_eq!(path, PathBuf::from("./offboarder-data"));
    assert_eq!(
        settings.archive.location,
        ArchiveLocation::Directory(PathBuf::from("./offboarder-data/archive"))
    );
    assert_eq!(settings.worker.concurrency, 16);
    assert_eq!(settings.guard.delete, DeletePolicy::Attempt);
    assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:9464");
}

#[test]
fn a_worker_gets_every_group_without_asking() {
    let settings = WorkerSettings::read(&worker_and(&[]), false).unwrap();
    assert_eq!(
        settings.cxone.token_uri.as_str(),
        "https://api-na1.niceincontact.com/api/v2/oauth/token"
    );
    assert_eq!(settings.cxone.client_secret.expose(), "hunter2");
    assert_eq!(settings.cxone.rate_analytics, Rate::parse("5/s").ok());
    assert_eq!(
        settings.queue.url.login.as_ref().unwrap().1.expose(),
        "hunter2"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn every_command_names_all_that_it_misses_and_nothing_else() {
    let missing = |faults: Faults| {
        faults
            .iter()
            .map(|fault| {
                fault
                    .to_string()
                    .split(": is not set")
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let cxone = [
        "OFFBOARDER_CXONE_BASE_URI",
        "OFFBOARDER_CXONE_CLIENT_ID",
        "OFFBOARDER_CXONE_CLIENT_SECRET",
    ];
    assert_eq!(
        missing(TenantSettings::read(&Sources::default()).unwrap_err()),
        cxone
    );
    assert_eq!(
        missing(BrokerSettings::read(&Sources::default()).unwrap_err()),
        ["OFFBOARDER_QUEUE_URL"]
    );
    let stores = sources(&WORKER[4..]);
    let worker = missing(WorkerSettings::read(&stores, false).unwrap_err());
    assert_eq!(worker, [&cxone[..], &["OFFBOARDER_QUEUE_URL"]].concat());
}

#[test]
fn a_setting_that_is_missing_is_missed_by_the_command_that_was_typed() {
    let typed = |command: &str| Sources {
        command: command.to_owned(),
        ..Sources::default()
    };
    let says = |faults: Faults, variable: &str, command: &str| {
        let expected = format!(
            "{variable}: is not set, and {command} cannot work without it; set it, or {variable}_FILE"
        );
        let faults = faults.to_string();
        assert!(faults.contains(&expected), "{faults}");
    };
    for command in ["run", "plan", "doctor"] {
        let faults = TenantSettings::read(&typed(command)).unwrap_err();
        says(faults, "OFFBOARDER_CXONE_BASE_URI", command);
    }
    for command in ["submit", "topology", "dead-letters list"] {
        let faults = BrokerSettings::read(&typed(command)).unwrap_err();
        says(faults, "OFFBOARDER_QUEUE_URL", command);
    }
    let replay = typed("dead-letters replay");
    for variable in ["OFFBOARDER_CXONE_BASE_URI", "OFFBOARDER_QUEUE_URL"] {
        let faults = WorkerSettings::read_for_replay(&replay).unwrap_err();
        says(faults, variable, "dead-letters replay");
    }
}

#[test]
fn half_a_group_is_no_fault_for_who_does_not_need_it() {
    assert!(Settings::read(&sources(&WORKER[..1])).is_ok());
    assert!(BrokerSettings::read(&sources(&WORKER[1..4])).is_ok());
}

#[test]
fn a_fault_in_a_group_that_is_not_needed_is_still_one() {
    let fault = only_fault(&sources(&[("OFFBOARDER_QUEUE_URL", "http://u:hunter2@h")]));
    assert!(
        fault.starts_with(
            "OFFBOARDER_QUEUE_URL (from environment): \"http://u:***@h\" is not an amqp"
        ),
        "{fault}"
    );
}

#[test]
fn all_faults_come_at_once() {
    let bad = sources(&[
        ("OFFBOARDER_CXONE_BASE_URI", "ftp://x"),
        ("OFFBOARDER_CXONE_PAGE_SIZE", "501"),
        ("OFFBOARDER_CXONE_RATE_SCIM", "fast"),
        ("OFFBOARDER_WORKER_CONCURRENCY", "0"),
        ("OFFBOARDER_GUARD_DELETE", "nevr"),
        ("OFFBOARDER_ADMIN_LISTEN", "0.0.0.0:1"),
        ("OFFBOARDER_NONSENSE", "1"),
    ]);
    let bad = with_toml(bad, "[archive]\nretention = 'forever'\n");
    let text = WorkerSettings::read(&bad, false).unwrap_err().to_string();
    // Eight above, client ID and secret and queue missing, two stores of this host.
    assert!(text.starts_with("13 faults in the settings:\n"), "{text}");
    assert_eq!(text.lines().count(), 14);
    assert!(
        text.contains(
            "\n  OFFBOARDER_CXONE_BASE_URI (from environment): \"ftp://x\" is not an https URL; "
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "\n  OFFBOARDER_ARCHIVE_RETENTION (from o.toml, line 2): \"forever\" is not "
        ),
        "{text}"
    );
}

#[test]
fn a_worker_refuses_stores_of_this_host() {
    let local = worker_and(&[
        ("OFFBOARDER_ARCHIVE_URL", "file:./a"),
        ("OFFBOARDER_CHECKPOINTS_URL", "file:./c"),
    ]);
    let both = WorkerSettings::read(&local, false).unwrap_err().to_string();
    assert!(
        both.contains("OFFBOARDER_CHECKPOINTS_URL") && both.contains("--allow-local-archive"),
        "{both}"
    );
    let allowed = WorkerSettings::read(&local, true).unwrap_err();
    assert_eq!(allowed.iter().count(), 1);
    assert!(TenantSettings::read(&local).is_ok());
    assert!(
        WorkerSettings::read(&worker_and(&[("OFFBOARDER_ARCHIVE_URL", "file:./a")]), true).is_ok()
    );
}

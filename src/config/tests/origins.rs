use std::path::PathBuf;

use super::{faults, only_fault, sources, with_flag, with_toml, worker_and};
use crate::config::{BrokerSettings, Sources, TenantSettings, WorkerSettings};

fn page_size(sources: &Sources) -> u16 {
    TenantSettings::read(sources).unwrap().cxone.page_size
}

#[test]
fn a_flag_beats_the_environment_beats_a_file_beats_toml_beats_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("size");
    std::fs::write(&path, "3\n").unwrap();
    let path = path.to_str().unwrap();
    let toml = |sources| with_toml(sources, "[cxone]\npage_size = 2\n");
    assert_eq!(page_size(&worker_and(&[])), 500);
    assert_eq!(page_size(&toml(worker_and(&[]))), 2);
    let named_in_toml = format!("[cxone]\npage_size_file = '{path}'\n");
    assert_eq!(page_size(&with_toml(worker_and(&[]), &named_in_toml)), 3);
    let file = worker_and(&[("OFFBOARDER_CXONE_PAGE_SIZE_FILE", path)]);
    assert_eq!(page_size(&toml(file.clone())), 3);
    let environment = worker_and(&[("OFFBOARDER_CXONE_PAGE_SIZE", "4")]);
    assert_eq!(
        page_size(&with_toml(environment.clone(), &named_in_toml)),
        4
    );
    assert_eq!(page_size(&with_flag(file, "cxone.page_size", "5")), 5);
    assert_eq!(
        page_size(&with_flag(toml(environment), "cxone.page_size", "5")),
        5
    );
}

#[test]
fn a_value_that_is_overruled_is_not_judged() {
    let overruled = worker_and(&[("OFFBOARDER_CXONE_PAGE_SIZE", "0")]);
    assert_eq!(page_size(&with_flag(overruled, "cxone.page_size", "5")), 5);
}

#[test]
fn a_value_and_its_file_contradict_each_other() {
    let both = sources(&[
        ("OFFBOARDER_ADMIN_TOKEN", "x"),
        ("OFFBOARDER_ADMIN_TOKEN_FILE", "/nowhere"),
    ]);
    let fault = only_fault(&both);
    assert_eq!(
        fault,
        "OFFBOARDER_ADMIN_TOKEN (from environment): OFFBOARDER_ADMIN_TOKEN_FILE is set too; remove one of them"
    );
    let both = with_toml(
        Sources::default(),
        "[admin]\ntoken = 'x'\ntoken_file = '/nowhere'\n",
    );
    assert!(only_fault(&both).contains("admin.token_file is set too"));
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_and_not_also_a_missing_setting() {
    let sources = worker_and(&[]);
    let mut sources = Sources {
        env: sources
            .env
            .into_iter()
            .filter(|(name, _)| !name.ends_with("SECRET"))
            .collect(),
        ..sources
    };
    sources.env.push((
        "OFFBOARDER_CXONE_CLIENT_SECRET_FILE".to_owned(),
        "/nowhere/s".to_owned(),
    ));
    let faults = TenantSettings::read(&sources).unwrap_err().to_string();
    let start = "1 fault in the settings:\n  OFFBOARDER_CXONE_CLIENT_SECRET \
                 (from /nowhere/s, named by OFFBOARDER_CXONE_CLIENT_SECRET_FILE): the file cannot be read: No such file";
    assert!(faults.starts_with(start), "{faults}");
}

#[test]
fn a_file_of_several_lines_is_no_value_and_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    std::fs::write(&path, "hunter2\nhunter2\n").unwrap();
    let fault = only_fault(&sources(&[(
        "OFFBOARDER_GUARD_PROTECTED_FILE",
        path.to_str().unwrap(),
    )]));
    assert!(
        fault.contains("line break") && !fault.contains("hunter2"),
        "{fault}"
    );
}

#[test]
fn the_ca_file_is_a_setting_and_not_the_file_form_of_another() {
    let tls = ("OFFBOARDER_QUEUE_URL", "amqps://h");
    let settings = BrokerSettings::read(&sources(&[
        tls,
        ("OFFBOARDER_QUEUE_CA_FILE", "/nowhere/ca.pem"),
    ]))
    .unwrap();
    assert_eq!(
        settings.queue.tls.ca.unwrap().path,
        PathBuf::from("/nowhere/ca.pem")
    );
    let toml = with_toml(sources(&[tls]), "[queue]\nca_file = '/nowhere/ca.pem'\n");
    assert_eq!(
        BrokerSettings::read(&toml)
            .unwrap()
            .queue
            .tls
            .ca
            .unwrap()
            .path,
        PathBuf::from("/nowhere/ca.pem")
    );
    let plain = sources(&[
        ("OFFBOARDER_QUEUE_URL", "amqp://h"),
        ("OFFBOARDER_QUEUE_CA_FILE", "/nowhere/ca.pem"),
    ]);
    assert!(only_fault(&plain).contains("of no use without TLS"));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let fault = only_fault(&sources(&[("OFFBOARDER_CXONE_BASE_URL", "https://h")]));
    let expected = "OFFBOARDER_CXONE_BASE_URL (from environment): is no setting; \
                    the nearest is OFFBOARDER_CXONE_BASE_URI; rename or remove it";
    assert_eq!(fault, expected);
    let fault = only_fault(&sources(&[("OFFBOARDER_ADMIN_TOKE_FILE", "/nowhere")]));
    assert!(
        fault.contains("the nearest is OFFBOARDER_ADMIN_TOKEN_FILE;"),
        "{fault}"
    );
    let fault = only_fault(&with_toml(
        Sources::default(),
        "\n[gard]\ndelete = 'never'\n",
    ));
    assert!(
        fault.starts_with(
            "gard.delete (from o.toml, line 3): is no setting; the nearest is guard.delete;"
        ),
        "{fault}"
    );
    let fault = only_fault(&sources(&[("OFFBOARDER_PORT_9464_TCP_ADDR", "10.0.0.1")]));
    assert!(fault.contains("enableServiceLinks: false"), "{fault}");
    assert!(faults(&sources(&[("OFFBOARDER_CONFIG", "o.toml"), ("OTHER", "x")])).is_empty());
}

#[test]
fn broken_toml_does_not_make_everything_else_look_missing() {
    let broken = with_toml(Sources::default(), "[cxone]\nbase_uri = https://h\n");
    let faults = WorkerSettings::read(&broken, false)
        .unwrap_err()
        .to_string();
    assert!(
        faults.starts_with("1 fault in the settings:\n  o.toml, line 2: "),
        "{faults}"
    );
}

#[test]
fn a_flag_must_not_hold_a_password() {
    for (key, value) in [
        ("queue.url", "amqp://u:hunter2@h"),
        ("checkpoints.url", "redis://:hunter2@h"),
    ] {
        let fault = only_fault(&with_flag(Sources::default(), key, value));
        assert!(
            fault.contains("_URL_FILE") && !fault.contains("hunter2"),
            "{fault}"
        );
    }
    assert!(faults(&with_flag(Sources::default(), "queue.url", "amqp://h/%2f")).is_empty());
}

#[test]
fn an_empty_value_is_a_fault_since_it_may_be_a_guard_that_failed_to_expand() {
    let fault = only_fault(&sources(&[("OFFBOARDER_GUARD_DELETE", "")]));
    assert!(fault.contains("the value is empty"), "{fault}");
}

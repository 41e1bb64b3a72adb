use super::{with_flag, with_toml, worker_and};
use crate::config::{SETTINGS, markdown_table, show};
use crate::profile::TenantProfile;

#[test]
fn the_listing_shows_what_is_in_force_and_no_secret() {
    let sources = with_flag(
        with_toml(worker_and(&[]), "[worker]\nconcurrency = 3\n"),
        "cxone.page_size",
        "7",
    );
    let rows = show(&sources);
    assert_eq!(rows.len(), SETTINGS.len());
    let row = |variable: &str| {
        let row = rows
            .iter()
            .find(|row| row.variable == format!("OFFBOARDER_{variable}"))
            .unwrap();
        (row.value.as_str(), row.source.as_str())
    };
    assert_eq!(row("CXONE_CLIENT_SECRET"), ("***", "environment"));
    assert_eq!(row("QUEUE_URL"), ("amqp://u:***@h", "environment"));
    assert_eq!(row("CXONE_PAGE_SIZE"), ("7", "--cxone-page-size"));
    assert_eq!(row("WORKER_CONCURRENCY"), ("3", "o.toml, line 2"));
    assert_eq!(
        row("CXONE_TOKEN_URI"),
        (
            "https://api-na1.niceincontact.com/api/v2/oauth/token",
            "default"
        )
    );
    assert_eq!(row("ADMIN_TOKEN"), ("", "not set"));
    assert_eq!(row("CXONE_HISTORY"), ("365d", "default"));
    assert!(!format!("{rows:?}").contains("hunter2"));
}

#[test]
fn the_markdown_table_has_a_row_for_every_setting() {
    let table = markdown_table();
    assert_eq!(table.lines().count(), SETTINGS.len() + 2);
    assert!(
        table.contains(
            "\n| `OFFBOARDER_CXONE_HISTORY` | `365d` | how far back the archive reaches |\n"
        ),
        "{table}"
    );
    assert!(
        table.contains(
            "\n| `OFFBOARDER_QUEUE_URL` | required by worker, submit, topology, dead-letters |"
        ),
        "{table}"
    );
    assert!(
        table.contains("\n| `OFFBOARDER_ADMIN_TOKEN` | none |"),
        "{table}"
    );
}

#[test]
fn the_defaults_are_the_contracts() {
    let default = |key: &str| {
        SETTINGS
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .unset
            .default_for(TenantProfile::Tutorial)
    };
    for (key, value) in [
        ("cxone.rate_routing", "20/s"),
        ("cxone.rate_scim", "20/s"),
        ("cxone.rate_analytics", "5/s"),
        ("cxone.page_size", "500"),
        ("cxone.history", "365d"),
        ("cxone.window", "off"),
        ("checkpoints.url", "file:./offboarder-data"),
        ("checkpoints.retention", "90d"),
        ("archive.url", "file:./offboarder-data/archive"),
        ("archive.retention", "off"),
        ("archive.force_path_style", "false"),
        ("worker.concurrency", "16"),
        ("worker.max_attempts", "8"),
        ("worker.retry_base", "2s"),
        ("worker.retry_cap", "15m"),
        ("worker.shutdown_grace", "25s"),
        ("guard.max_deletions", "500/1h"),
        ("guard.max_requests", "1000/1h"),
        ("guard.delete_grace", "0s"),
        ("guard.delete", "attempt"),
        ("admin.listen", "127.0.0.1:9464"),
    ] {
        assert_eq!(default(key), Some(value), "{key}");
    }
}

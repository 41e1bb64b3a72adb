//! Settings, and the secrets among them.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::fmt;
use std::time::Duration;

use url::Host;

use super::spiked::{CANARY, spiked_sources};
use crate::config::{
    ArchiveLocation, BrokerSettings, CheckpointsUrl, Cxone, Faults, Settings, TenantSettings,
    WorkerSettings, show,
};
use crate::limits::Rate;

/// Settings: lines `NAME=value` are the environment and `--key=value` flags; after a line `---`
/// comes the TOML file. A known text is put into every secret. It must not appear in faults and
/// listings, and settings that are accepted are within the bounds that the types promise.
pub fn settings(sources: &[u8]) -> bool {
    let Some(sources) = std::str::from_utf8(sources).ok().and_then(spiked_sources) else {
        return false;
    };
    for row in show(&sources) {
        assert!(!format!("{row:?}").contains(CANARY), "{row:?}");
    }
    let worker = checked(WorkerSettings::read(&sources, false), |settings| {
        let base = &settings.base;
        assert!(matches!(base.checkpoints, CheckpointsUrl::Redis { .. }));
        assert!(matches!(base.archive.location, ArchiveLocation::S3 { .. }));
        base
    });

    // What one command accepts, every command accepts that needs less.
    let stores = checked(Settings::read(&sources), |settings| settings);
    if stores {
        let run = checked(TenantSettings::read(&sources), |settings| {
            assert_cxone(&settings.cxone);
            &settings.base
        });
        let broker = checked(BrokerSettings::read(&sources), |settings| &settings.base);
        let local = checked(WorkerSettings::read(&sources, true), |settings| {
            &settings.base
        });
        assert!((!worker || local) && (!local || run && broker));
    }
    assert!(!worker || stores);
    stores
}

/// `false` if there are faults. `check` checks what is special, and returns the common groups.
fn checked<T: fmt::Debug>(
    settings: Result<T, Faults>,
    check: impl FnOnce(&T) -> &Settings,
) -> bool {
    let settings = match settings {
        Ok(settings) => settings,
        Err(faults) => {
            assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
            for fault in faults.iter().map(ToString::to_string) {
                assert!(
                    !fault.contains(char::is_control),
                    "a fault is one line: {fault:?}"
                );
            }
            return false;
        }
    };
    let shown = format!("{settings:?}");
    assert!(!shown.contains(CANARY), "{shown}");

    let settings = check(&settings);
    let worker = settings.worker;
    let guard = &settings.guard;
    assert!((1..=1000).contains(&worker.concurrency) && (1..=1000).contains(&worker.max_attempts));
    assert!(!worker.retry_base.is_zero() && worker.retry_base <= worker.retry_cap);
    assert!(worker.slice <= Duration::from_mins(10) && worker.lease >= Duration::from_secs(1));
    assert!(
        guard
            .max_deletions
            .is_none_or(|limit| limit.count > 0 && !limit.per.is_zero())
    );
    assert!(settings.admin.token.is_some() || settings.admin.listen.ip().is_loopback());
    match &settings.archive.location {
        ArchiveLocation::S3 { bucket, prefix } => {
            assert!(!bucket.is_empty() && !bucket.contains('/'));
            assert!(prefix.is_empty() || prefix.ends_with('/'));
            let mut segments = prefix.split_terminator('/');
            assert!(
                segments.all(|segment| !["", ".", ".."].contains(&segment)),
                "{prefix:?}"
            );
        }
        ArchiveLocation::Directory(_) => assert!(settings.archive.retention.is_none()),
    }
    true
}

fn assert_cxone(cxone: &Cxone) {
    for url in [&cxone.base_uri, &cxone.token_uri] {
        let loopback = match url.host().expect("a host") {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        assert!(
            url.scheme() == "https" || url.scheme() == "http" && loopback,
            "{url}"
        );
        assert!(
            url.username().is_empty() && url.password().is_none() && url.query().is_none(),
            "{url}"
        );
    }
    assert_eq!(cxone.base_uri.path(), "/");
    assert!((1..=500).contains(&cxone.page_size) && !cxone.history.is_zero());
    assert!(cxone.window_days != Some(0));
    for rate in [cxone.rate_routing, cxone.rate_scim, cxone.rate_analytics] {
        let is_bounded = |rate: Rate| (0.000_27..=1_000_000.0).contains(&rate.per_second());
        assert!(rate.is_none_or(is_bounded), "{rate:?}");
    }
}

//! What `OFFBOARDER_CXONE_PROFILE` changes in the other settings.

use std::time::Duration;

use super::{faults, only_fault, sources, with_toml, worker_and};
use crate::config::{Cxone, Guard, WorkerSettings};
use crate::limits::{DeletePolicy, Rate};
use crate::profile::TenantProfile;

const GENESYS: (&str, &str) = ("OFFBOARDER_CXONE_PROFILE", "genesys");
const CXONE: [(&str, &str); 3] = [
    ("OFFBOARDER_CXONE_PROFILE", "cxone"),
    ("OFFBOARDER_CXONE_ACCESS_KEY_ID", "key"),
    ("OFFBOARDER_CXONE_ACCESS_KEY_SECRET", "hunter2"),
];

fn read(env: &[(&str, &str)]) -> (Cxone, Guard) {
    let settings = WorkerSettings::read(&worker_and(env), false).unwrap();
    (settings.cxone, settings.base.guard)
}

fn days(count: u64) -> Duration {
    Duration::from_hours(24 * count)
}

#[test]
fn a_profile_gives_the_defaults_of_other_settings() {
    let (tutorial, guard) = read(&[]);
    assert_eq!(tutorial.profile, TenantProfile::Tutorial);
    assert_eq!((tutorial.page_size, tutorial.window_days), (500, None));
    assert_eq!(
        (tutorial.settle, guard.delete),
        (Duration::ZERO, DeletePolicy::Attempt)
    );

    let (cxone, guard) = read(&CXONE);
    assert_eq!((cxone.page_size, cxone.window_days), (1000, Some(30)));
    assert_eq!(cxone.rate_routing, Rate::parse("2/s").ok());
    assert_eq!((cxone.rate_scim, cxone.rate_analytics), (None, None));
    assert_eq!(
        (cxone.settle, guard.delete),
        (Duration::from_hours(1), DeletePolicy::Never)
    );
    assert_eq!(
        cxone.token_uri.as_str(),
        "https://cxone.niceincontact.com/auth/token"
    );
    assert_eq!(cxone.access_key.unwrap().id, "key");

    let (genesys, guard) = read(&[GENESYS]);
    assert_eq!((genesys.page_size, genesys.window_days), (100, Some(7)));
    assert_eq!(genesys.rate_routing, Rate::parse("240/m").ok());
    assert_eq!(
        (genesys.settle, guard.delete),
        (Duration::from_mins(15), DeletePolicy::Never)
    );
    assert_eq!(
        genesys.history,
        days(365),
        "a setting that no profile changes"
    );
}

#[test]
fn what_is_given_beats_the_default_of_the_profile() {
    let (genesys, guard) = read(&[
        GENESYS,
        ("OFFBOARDER_GUARD_DELETE", "attempt"),
        ("OFFBOARDER_CXONE_WINDOW", "31d"),
        ("OFFBOARDER_CXONE_SETTLE", "0s"),
        ("OFFBOARDER_CXONE_RATE_ROUTING", "off"),
    ]);
    assert_eq!(guard.delete, DeletePolicy::Attempt);
    assert_eq!(
        (genesys.window_days, genesys.settle),
        (Some(31), Duration::ZERO)
    );
    assert_eq!(genesys.rate_routing, None);

    let from_file = with_toml(worker_and(&[]), "[cxone]\nprofile = \"genesys\"\n");
    let settings = WorkerSettings::read(&from_file, false).unwrap();
    assert_eq!(settings.cxone.page_size, 100, "the file names the profile");
}

#[test]
fn what_a_profile_cannot_do_is_refused() {
    let cxone_and = |more| [&CXONE[..], &[more]].concat();
    for (env, about, what) in [
        (
            cxone_and(("OFFBOARDER_GUARD_DELETE", "attempt")),
            "OFFBOARDER_GUARD_DELETE",
            "deletes no employees",
        ),
        (
            cxone_and(("OFFBOARDER_CXONE_RATE_SCIM", "20/s")),
            "OFFBOARDER_CXONE_RATE_SCIM",
            "limits nothing",
        ),
        (
            vec![GENESYS, ("OFFBOARDER_CXONE_RATE_ANALYTICS", "5/s")],
            "OFFBOARDER_CXONE_RATE_ANALYTICS",
            "limits nothing",
        ),
        (
            vec![GENESYS, ("OFFBOARDER_CXONE_WINDOW", "off")],
            "OFFBOARDER_CXONE_WINDOW",
            "give one such as 7d",
        ),
        (
            vec![GENESYS, ("OFFBOARDER_CXONE_PAGE_SIZE", "500")],
            "OFFBOARDER_CXONE_PAGE_SIZE",
            "from 1 to 100",
        ),
        (
            vec![("OFFBOARDER_CXONE_PROFILE", "Genesys")],
            "OFFBOARDER_CXONE_PROFILE",
            "give tutorial, cxone or genesys",
        ),
        (
            vec![("OFFBOARDER_CXONE_ACCESS_KEY_ID", "key")],
            "OFFBOARDER_CXONE_ACCESS_KEY_ID",
            "set OFFBOARDER_CXONE_PROFILE=cxone",
        ),
        (
            cxone_and(("OFFBOARDER_CXONE_API_VERSION", "v34")),
            "OFFBOARDER_CXONE_API_VERSION",
            "34.0",
        ),
    ] {
        let fault = only_fault(&worker_and(&env));
        assert!(fault.starts_with(about) && fault.contains(what), "{fault}");
    }
}

#[test]
fn the_profile_cxone_needs_an_access_key_and_never_shows_its_secret() {
    let missing = faults(&worker_and(&[("OFFBOARDER_CXONE_PROFILE", "cxone")]));
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(
        missing.iter().all(|fault| fault.contains("ACCESS_KEY")),
        "{missing:?}"
    );

    let settings = WorkerSettings::read(&worker_and(&CXONE), false).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));

    // Commands that call no tenant need no key of it.
    assert!(faults(&sources(&[("OFFBOARDER_CXONE_PROFILE", "cxone")])).is_empty());
}

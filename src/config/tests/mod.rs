//! Sources → settings, faults and listings, as a command meets them.

mod checkpoints;
mod commands;
mod evidence;
mod listings;
mod origins;
mod profiles;
mod rules;

use std::path::PathBuf;

use super::{Settings, Sources};

/// What a worker cannot do without.
const WORKER: &[(&str, &str)] = &[
    (
        "OFFBOARDER_CXONE_BASE_URI",
        "https://api-na1.niceincontact.com",
    ),
    ("OFFBOARDER_CXONE_CLIENT_ID", "client"),
    ("OFFBOARDER_CXONE_CLIENT_SECRET", "hunter2"),
    ("OFFBOARDER_QUEUE_URL", "amqp://u:hunter2@h"),
    ("OFFBOARDER_CHECKPOINTS_URL", "redis://:hunter2@h"),
    ("OFFBOARDER_ARCHIVE_URL", "s3://b/p"),
];

fn sources(env: &[(&str, &str)]) -> Sources {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Sources {
        env,
        ..Sources::default()
    }
}

/// A worker's environment, with more in it.
fn worker_and(env: &[(&str, &str)]) -> Sources {
    sources(
        &[
            &WORKER
                .iter()
                .filter(|(name, _)| env.iter().all(|(more, _)| more != name))
                .copied()
                .collect::<Vec<_>>(),
            env,
        ]
        .concat(),
    )
}

fn with_toml(mut sources: Sources, text: &str) -> Sources {
    sources.toml = Some((PathBuf::from("o.toml"), text.to_owned()));
    sources
}

fn with_flag(mut sources: Sources, key: &str, value: &str) -> Sources {
    sources.flags.insert(key.to_owned(), value.to_owned());
    sources
}

fn faults(sources: &Sources) -> Vec<String> {
    match Settings::read(sources) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn only_fault(sources: &Sources) -> String {
    let faults = faults(sources);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

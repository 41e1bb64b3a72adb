//! Black-box trials: the built binary against a real RabbitMQ, Redis and S3, which start once for the
//! run, and against the simulator of the API. Trials that break servers have a set of their own.
//!
//! Each trial has a virtual host, a Redis database and a prefix of its own, so they run side by
//! side. A missing server fails the run; no trial is skipped. Those that run only on request (`make test-profiles`, `make test-backends`)
//! count as ignored, never as passed. To add a trial, write a function and `trial!("a sentence", function);` above it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is a test: what is unexpected ends it, with the place"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the servers have the clock of this machine, and no other can be passed in"
)]

mod admin_api;
mod approvals;
mod archives;
mod aws_credentials;
mod backends;
mod batches;
mod broker_faults;
mod broker_hosts;
mod broker_tls;
mod brokers;
mod budget;
mod cancelling;
mod chaos;
mod console;
mod crashes;
mod dead_letters;
mod disasters;
mod doctor;
mod drains;
mod events;
mod evidence_log;
mod exports;
mod failovers;
mod faults;
mod fleet;
mod forgeries;
mod forgetting;
mod guards;
mod health;
mod hostile_messages;
mod kills;
mod lanes;
mod leases;
mod long_archives;
mod off_boarding;
mod operations;
mod orders;
mod outages;
mod outputs;
mod people;
mod plans;
mod profiles;
mod proxies;
mod quotas;
mod reactivating;
mod reporting;
mod requests;
mod resources;
mod revisions;
mod secrets;
mod settings;
mod startup;
mod stores;
mod submitting;
mod support;
mod surges;
mod takeovers;
mod telemetry;
mod upgrades;
mod verifying;

use libtest_mimic::Arguments;
use support::registry::{self, Durations};
use support::servers::Servers;

const SLOWEST: usize = 10;

fn main() {
    let mut arguments = Arguments::from_args();
    // Trials wait more than they compute.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(cores * 2);

    let durations = Durations::default();
    let trials = registry::all(&durations);
    if arguments.list {
        libtest_mimic::run(&arguments, trials).exit();
    }

    // The message and the place of a panic; the stack of a trial says little.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let servers = Servers::share(trials.len());
    let conclusion = libtest_mimic::run(&arguments, trials);
    servers.stop();
    durations.print_slowest(SLOWEST);
    conclusion.exit();
}

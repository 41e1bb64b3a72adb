//! Black-box tests: the built binary against a real broker, Redis and S3, which are started
//! once for the run (chaos has a set of its own), and against the simulator of the API. Everything is looked at from outside.
//!
//! Each test has a virtual host, a Redis database and a prefix of its own, so they run side by
//! side. A missing server fails the run; no test is skipped.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is a test: what is unexpected ends it, with the place"
)]

mod admin_api;
mod archives;
mod batches;
mod broker_faults;
mod brokers;
mod chaos;
mod crashes;
mod dead_letters;
mod disasters;
mod doctoring;
mod drains;
mod events;
mod faults;
mod forgeries;
mod forgetting;
mod guards;
mod health;
mod hostile_messages;
mod kills;
mod lanes;
mod leases;
mod letters;
mod long_archives;
mod off_boarding;
mod outages;
mod outputs;
mod replaying;
mod resources;
mod revisions;
mod secrets;
mod settings;
mod startup;
mod stores;
mod submitting;
mod support;
mod telemetry;
mod upgrades;
mod verifying;

use libtest_mimic::{Arguments, Trial};
use support::servers::Servers;

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait more than they work.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(cores * 2);
    let mut trials = Vec::new();
    // Those that take minutes come first, so that none of them is left alone at the end.
    for tests in [
        kills::TESTS,
        chaos::TESTS,
        outages::TESTS,
        health::TESTS,
        disasters::TESTS,
        upgrades::TESTS,
        startup::TESTS,
        forgetting::TESTS,
        admin_api::TESTS,
        long_archives::TESTS,
        off_boarding::TESTS,
        submitting::TESTS,
        batches::TESTS,
        dead_letters::TESTS,
        letters::TESTS,
        hostile_messages::TESTS,
        replaying::TESTS,
        crashes::TESTS,
        faults::TESTS,
        drains::TESTS,
        archives::TESTS,
        brokers::TESTS,
        broker_faults::TESTS,
        stores::TESTS,
        resources::TESTS,
        outputs::TESTS,
        leases::TESTS,
        guards::TESTS,
        forgeries::TESTS,
        lanes::TESTS,
        revisions::TESTS,
        events::TESTS,
        secrets::TESTS,
        telemetry::TESTS,
        settings::TESTS,
        verifying::TESTS,
        doctoring::TESTS,
    ] {
        for (name, test) in tests {
            let place = trials.len() + 1;
            trials.push(Trial::test(*name, move || {
                test(place);
                Ok(())
            }));
        }
    }
    if arguments.list {
        libtest_mimic::run(&arguments, trials).exit();
    }
    // What broke, and no stack: that of a trial says little, and hides what does.
    std::panic::set_hook(Box::new(|broken| eprintln!("{broken}")));
    let servers = Servers::share(trials.len());
    let conclusion = libtest_mimic::run(&arguments, trials);
    servers.stop();
    conclusion.exit();
}

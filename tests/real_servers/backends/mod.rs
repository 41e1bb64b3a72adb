//! What companies have behind the worker. `make test-backends` brings the servers, runs these trials and prints their
//! rows; a run of all trials shows them as ignored.

mod brokers;
mod clusters;
mod redis;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use crate::support::ledger::{self, Repetition};
use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::promises;
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};

const USERS: usize = 100;
/// Deletions, with most users waiting or at work.
const FAULT_AFTER: usize = 20;
const FROZEN_FOR: Duration = Duration::from_secs(5);

/// A hundred users, slow enough that a fault finds them at work.
fn world(servers: &Arc<Servers>, place: usize) -> World {
    let users = deletable(place, USERS, 4);
    World::on(Arc::clone(servers), place, users, &["--latency", "50ms"])
}

/// What happens to a server in mid-batch.
#[derive(Clone, Copy)]
enum Fault {
    /// As if its machine had lost power; it comes back once the workers have noticed.
    Killed,
    /// It answers nothing for some seconds: one that keeps all in memory.
    Frozen,
}

impl Fault {
    fn befall(self, servers: &Servers, name: &str, workers: &[Process]) {
        match self {
            Self::Killed => {
                servers.kill_one(name);
                for worker in workers {
                    worker.await_readyz(503);
                }
                servers.restart_one(name);
            }
            Self::Frozen => {
                servers.signal_one(name, "STOP");
                std::thread::sleep(FROZEN_FOR);
                servers.signal_one(name, "CONT");
            }
        }
    }
}

/// Off-boards all users by two workers, with a fault in mid-batch, and wants everything to be right at the end.
fn off_board(world: &World, servers: &Servers, fault: Fault, name: &str) {
    world.run(&["doctor"]).expect(0);
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    workers.iter().for_each(Process::await_ready);
    world.publish_all();
    world.await_calls("delete_user", FAULT_AFTER);

    fault.befall(servers, name, &workers);
    workers.iter().for_each(Process::await_ready);
    promises::await_quiet(world, PATIENCE);
    workers.into_iter().for_each(World::drain);

    promises::assert_kept(world, servers);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    world.run(&["doctor"]).expect(0);
    world.run(&["verify", "--all"]).expect(0);
}

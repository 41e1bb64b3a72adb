//! What companies have behind the worker. `make test-backends` brings the servers, runs these trials and prints their
//! rows; a run of all trials shows them as ignored.

mod brokers;
mod redis;

use std::sync::Arc;

use crate::support::ledger::{self, Repetition};
use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::promises;
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};

const USERS: usize = 100;
/// The servers have fallen over by then while the others still have users at work.
const KILLED_AFTER: usize = 20;

/// A hundred users, slow enough that a fault finds them at work.
fn world(servers: &Arc<Servers>, place: usize) -> World {
    let users = deletable(place, USERS, 4);
    World::on(Arc::clone(servers), place, users, &["--latency", "50ms"])
}

/// Off-boards all users by two workers, kills a server in mid-batch, and wants everything to be right at the end.
fn off_board(world: &World, servers: &Servers, killed: &str) {
    world.run(&["doctor"]).expect(0);
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    workers.iter().for_each(Process::await_ready);
    world.publish_all();
    world.await_calls("delete_user", KILLED_AFTER);

    servers.kill_one(killed);
    workers.iter().for_each(|worker| worker.await_readyz(503));
    servers.restart_one(killed);
    workers.iter().for_each(Process::await_ready);
    promises::await_quiet(world, PATIENCE);
    workers.into_iter().for_each(World::drain);

    promises::assert_kept(world, servers);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    world.run(&["doctor"]).expect(0);
    world.run(&["verify", "--all"]).expect(0);
}

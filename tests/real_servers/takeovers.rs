//! How long users wait whose worker was killed or paused, with the default settings.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::support::ledger::{self, Call, Repetition};
use crate::support::population::{Outcome, User};
use crate::support::process::{Process, tail};
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, redis, servers, table, trial};

/// On a machine that is busy with other things.
const AT_LAST: Duration = Duration::from_secs(20);
const TAKEN_OVER: &str = "taken over from a worker that is gone";
/// Pages take so long that a user is in its archive for seconds.
const SLOW_PAGES: [&str; 2] = ["--latency-analytics", "300ms"];

fn users(place: usize, count: usize) -> Vec<User> {
    let user = |number| User::new(place, number, Outcome::Deleted, 80);
    (0..count).map(user).collect()
}

/// Publishes these users and waits until each is in its archive.
fn begin(world: &World, users: &[User]) {
    world.publish_users(users);
    eventually(PATIENCE, || {
        let calls = ledger::calls(&world.simulator);
        let asked = calls.iter().filter(|call| call.is("query_conversations"));
        let at_work: BTreeSet<_> = asked.filter_map(Call::user).collect();
        let begun = |user: &&User| at_work.contains(&*user.id);
        match users.iter().filter(begun).count() {
            count if count == users.len() => Ok(()),
            count => Err(format!("{count} users are in their archives")),
        }
    });
}

/// Kills a worker. How long each of its users waits for the first call by another one.
fn kill(world: &World, worker: &Process, users: &[User]) -> Vec<Duration> {
    worker.signal("KILL");
    let since = Timestamp::now();
    // Long enough to distinguish its presence from those of workers that live.
    std::thread::sleep(Duration::from_secs(1));
    let ids: Vec<String> = users.iter().map(|user| user.id.clone()).collect();
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let orphans = redis::users_of_the_silent(url, &ids);

    let called = eventually(PATIENCE, || {
        let called = ledger::first_calls_after(&world.simulator, since, &orphans);
        let all = called.len() == orphans.len();
        all.then_some(called.clone())
            .ok_or_else(|| format!("{} of {} users called", called.len(), orphans.len()))
    });
    let waited = called.into_values().map(Duration::try_from);
    waited.map(|waited| waited.expect("a time")).collect()
}

/// The time that half of them took at most, and the longest.
fn median_and_worst(mut waited: Vec<Duration>) -> (Duration, Duration) {
    waited.sort();
    let middle = waited[(waited.len() - 1) / 2];
    (middle, *waited.last().expect("a time"))
}

trial!(
    "the users of a worker that was killed are taken up within seconds, with the default settings",
    a_killed_worker,
    seconds = 30
);

fn a_killed_worker(place: usize) {
    let world = World::on(servers::shared(), place, users(place, 9), &SLOW_PAGES);
    world.declare();
    let killed = world.start(&["worker"]);
    let others = [world.start(&["worker"]), world.start(&["worker"])];
    killed.await_ready();
    others.iter().for_each(Process::await_ready);
    begin(&world, &world.users);

    let waited = kill(&world, &killed, &world.users);
    eprintln!("after a kill users waited {waited:?}");
    assert!(!waited.is_empty(), "it had users");
    let (_median, worst) = median_and_worst(waited.clone());
    assert!(worst < AT_LAST, "{waited:?}");
    let logs = others.each_ref().map(Process::errors).concat();
    // One that lives may have been too slow to say so.
    assert!(logs.matches(TAKEN_OVER).count() >= waited.len());

    promises::await_quiet(&world, PATIENCE);
    others.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

inventory::submit! {
    crate::support::registry::Trial {
        name: "backends: the users of twenty workers that were killed wait for 5 s at the median and 10 s at the worst",
        run: twenty_kills,
        seconds: 0,
        on_request: true,
    }
}

fn twenty_kills(place: usize) {
    const KILLS: usize = 20;
    const AT_ONCE: usize = 6;
    let users = users(place, KILLS * AT_ONCE);
    let world = World::on(servers::shared(), place, users, &SLOW_PAGES);
    world.declare();
    let mut workers = [world.start(&["worker"]), world.start(&["worker"])];
    let mut waited = Vec::new();
    for (round, users) in world.users.chunks(AT_ONCE).enumerate() {
        workers.iter().for_each(Process::await_ready);
        begin(&world, users);
        let killed = &mut workers[round % 2];
        let of_round = kill(&world, killed, users);
        eprintln!("kill {}: {of_round:?}", round + 1);
        waited.extend(of_round);
        *killed = world.start(&["worker"]);

        // Who is in flight to a second worker that dies runs in isolation, which takes longer.
        eventually(PATIENCE, || match world.deletions() {
            deleted if deleted == (round + 1) * AT_ONCE => Ok(()),
            deleted => Err(format!("{deleted} deleted")),
        });
    }

    let count = waited.len();
    let (median, worst) = median_and_worst(waited);
    table::backend("the worker");
    table::verdict(format!(
        "works; {KILLS} kills, {count} users: median {:.1} s, worst {:.1} s",
        median.as_secs_f64(),
        worst.as_secs_f64()
    ));
    promises::await_quiet(&world, PATIENCE);
    workers.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    assert!(count >= KILLS, "the workers had users");
    assert!(
        median <= Duration::from_secs(5) && worst <= Duration::from_secs(10),
        "median {median:?}, worst {worst:?}"
    );
}

trial!(
    "a worker that was paused for six seconds sends nothing more for users whom another one took over",
    a_paused_worker,
    seconds = 25
);

fn a_paused_worker(place: usize) {
    let world = World::on(servers::shared(), place, users(place, 4), &SLOW_PAGES);
    world.declare();
    let simulator = world.simulator.trim_start_matches("http://");
    let proxy = Proxy::start(simulator.parse().expect("an address"));
    let through = format!("http://127.0.0.1:{}", proxy.port);
    let settings = ["OFFBOARDER_CXONE_BASE_URI", "OFFBOARDER_CXONE_TOKEN_URI"];
    let path = world.profile.token_path().unwrap_or_default();
    let settings = [
        (settings[0].to_owned(), through.clone()),
        (settings[1].to_owned(), format!("{through}{path}")),
    ];
    let own = if path.is_empty() { 1 } else { 2 };
    let paused = world.start_with(&["worker"], &settings[..own]);
    paused.await_ready();
    begin(&world, &world.users);

    paused.signal("STOP");
    let since = Instant::now();
    let next = world.start(&["worker"]);
    // Its messages are in flight to a worker that does not move.
    world.rabbitmqctl("close_all_connections", &["a worker is paused"]);
    eventually(PATIENCE, || {
        let log = next.errors();
        match log.matches(TAKEN_OVER).count() {
            count if count == world.users.len() => Ok(()),
            count => Err(format!("{count} taken over: {}", tail(&log))),
        }
    });
    std::thread::sleep(Duration::from_secs(6).saturating_sub(since.elapsed()));
    let sent = proxy.sent();
    paused.signal("CONT");
    paused.await_log("the leases of this process may be lost");
    // It may take users of its own again after that.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(proxy.sent(), sent, "it sends nothing more");
    assert_eq!(paused.errors().matches("may be lost").count(), 1);

    promises::await_quiet(&world, PATIENCE);
    World::drain(paused);
    World::drain(next);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

//! Everything goes wrong at once, by a schedule that a seed decides, and no outcome changes.

mod crew;
mod schedule;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use self::crew::Crew;
use self::schedule::{Fault, Scene, Service};
use crate::support::population::{Outcome, User, mixed};
use crate::support::proxy::Proxy;
use crate::support::random::Random;
use crate::support::servers::Servers;
use crate::support::world::World;
use crate::support::{promises, redis, trial};

const WORKERS: usize = 3;
/// A killed worker's leases have to run out, and what waits in queues has to be noticed.
const PATIENCE: Duration = Duration::from_mins(5);

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str) -> Option<u64> {
    setting(name).map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    })
}

trial!(
    "chaos: kills, cuts and duplicates change no outcome",
    no_outcome_changes,
    seconds = 180
);

fn no_outcome_changes(place: usize) {
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a time after 1970");
    let seed = number("OFFBOARDER_CHAOS_SEED").unwrap_or_else(|| u64::from(clock.subsec_nanos()));
    let size =
        number("OFFBOARDER_CHAOS_USERS").map_or(60, |users| usize::try_from(users).expect("few"));
    let again = format!("repeat with: make chaos SEED={seed} USERS={size}");
    eprintln!("chaos: {again}");

    let mut random = Random::new(seed);
    let servers = Arc::new(Servers::start(place..=place));
    let world = world(&servers, place, population(&mut random, place, size));
    let run = || {
        let mut chaos = Chaos::start(&world, &servers, random);
        chaos.play(size / 4);
        chaos.end();
        promises::assert_kept(&world, &servers);
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let logs = keep_logs(&world, seed);
        eprintln!(
            "chaos: failed; {again}; the logs of the workers are in {}",
            logs.display()
        );
        resume_unwind(panic);
    }
}

/// Mixed outcomes, and some users that a fault finds in an upload of several parts.
fn population(random: &mut Random, place: usize, size: usize) -> Vec<User> {
    let mut users = mixed(place, size);
    let large = (size..size + 2 + size / 100).map(|number| {
        User::new(place, number, Outcome::Deleted, 40).with_large_conversations(350_000)
    });
    users.extend(large);
    random.shuffle(&mut users);
    users
}

fn world(servers: &Arc<Servers>, place: usize, users: Vec<User>) -> World {
    // Slow enough that faults find users at work.
    let mut world = World::on(Arc::clone(servers), place, users, &["--latency", "150ms"]);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    if world
        .run(&["worker", "--help"])
        .expect(0)
        .output
        .contains("--worker-lease")
    {
        world.set("OFFBOARDER_WORKER_LEASE", "5s");
    }
    world.declare();
    world
}

/// Copies the logs to where they outlive the run.
fn keep_logs(world: &World, seed: u64) -> PathBuf {
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
    fs::create_dir_all(&kept).expect("a directory");
    for file in fs::read_dir(world.directory.path()).expect("the world's directory") {
        let file = file.expect("a file");
        if file.path().extension().is_some_and(|end| end == "err") {
            fs::copy(file.path(), kept.join(file.file_name())).expect("a copy");
        }
    }
    kept
}

/// A run in progress.
struct Chaos<'a> {
    world: &'a World,
    servers: &'a Arc<Servers>,
    crew: Crew<'a>,
    random: Random,
    start: Instant,
    /// A server that was killed, and the thread that brings it back.
    returning: Option<(Service, JoinHandle<()>)>,
    /// What is published once the broker is back.
    unpublished: Vec<Value>,
    published: Vec<Value>,
}

impl<'a> Chaos<'a> {
    fn start(world: &'a World, servers: &'a Arc<Servers>, random: Random) -> Self {
        Self {
            world,
            servers,
            crew: Crew::start(world, WORKERS),
            random,
            start: Instant::now(),
            returning: None,
            unpublished: Vec::new(),
            published: Vec::new(),
        }
    }

    fn say(&self, what: &str) {
        eprintln!("chaos: {:6.1} s {what}", self.start.elapsed().as_secs_f64());
    }

    fn play(&mut self, faults: usize) {
        let kinds = schedule::wanted(setting("OFFBOARDER_CHAOS_FAULTS").as_deref());
        let scenes = schedule::plan(&mut self.random, &self.world.users, &kinds, faults, WORKERS);
        // The crew has begun to work before the first fault.
        self.crew.calm_down(PATIENCE);
        for Scene {
            pause,
            messages,
            fault,
        } in scenes
        {
            self.unpublished.extend(messages);
            self.publish();
            let end = Instant::now() + pause;
            // The pause of the schedule, which ends late on a busy machine.
            while Instant::now() < end {
                self.crew.tend();
                thread::sleep(Duration::from_millis(50));
            }
            self.say(&format!("{fault:?}"));
            self.perform(fault);
        }
    }

    fn perform(&mut self, fault: Fault) {
        match fault {
            Fault::Kill { worker } => self.crew.kill(worker),
            Fault::Term { worker } => self.crew.term(worker),
            Fault::Cut { worker, service } => self.crew.cut(worker, service),
            Fault::Stall {
                worker,
                service,
                lasts,
            } => self.crew.stall(worker, service, lasts),
            Fault::Crash { service, away } => {
                self.all_are_back();
                self.servers.kill_one(service.name());
                let servers = Arc::clone(self.servers);
                let returning = thread::spawn(move || {
                    thread::sleep(away);
                    servers.restart_one(service.name());
                });
                self.returning = Some((service, returning));
            }
            Fault::Flush => {
                self.all_are_back();
                redis::forget(self.world.setting("OFFBOARDER_CHECKPOINTS_URL"));
            }
            Fault::Duplicates => {
                self.random.shuffle(&mut self.published);
                let some = self.published.len().div_ceil(8);
                self.unpublished.extend_from_slice(&self.published[..some]);
                self.publish();
            }
        }
    }

    /// Publishes what is due, unless the broker is away: then it waits.
    fn publish(&mut self) {
        let away = |(service, returning): &(Service, JoinHandle<()>)| {
            *service == Service::RabbitMq && !returning.is_finished()
        };
        if !self.unpublished.is_empty() && !self.returning.as_ref().is_some_and(away) {
            self.world.publish(&self.unpublished);
            self.published.append(&mut self.unpublished);
        }
    }

    fn all_are_back(&mut self) {
        if let Some((service, returning)) = self.returning.take() {
            assert!(returning.join().is_ok(), "{} comes back", service.name());
        }
    }

    /// All faults end, and the work too.
    fn end(&mut self) {
        self.all_are_back();
        self.publish();
        self.crew.calm_down(PATIENCE);
        self.say("no more faults");
        promises::await_quiet_while(self.world, PATIENCE, || self.crew.tend());
        self.say("no more work");
        self.crew.dismiss();
    }
}

trial!(
    "the network that chaos breaks passes, holds back and cuts, and passes again",
    the_proxy_obeys
);

fn the_proxy_obeys(_place: usize) {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let proxy = Proxy::start(server.local_addr().expect("an address"));
    let connect = || {
        let client =
            TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).expect("the proxy listens");
        let (peer, _) = server.accept().expect("the proxy connects");
        peer.set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a timeout");
        (client, peer)
    };
    let mut buffer = [0; 4];

    let (mut client, mut peer) = connect();
    client.write_all(b"ping").expect("the bytes go out");
    peer.read_exact(&mut buffer).expect("the bytes arrive");
    assert_eq!(&buffer, b"ping");

    proxy.stall(true);
    client.write_all(b"held").expect("the bytes go out");
    assert!(
        peer.read_exact(&mut buffer).is_err(),
        "no byte passes a stalled network"
    );
    proxy.stall(false);
    peer.read_exact(&mut buffer).expect("the bytes arrive late");
    assert_eq!(&buffer, b"held");

    proxy.stall(true);
    proxy.cut();
    assert!(
        matches!(client.read(&mut buffer), Ok(0) | Err(_)),
        "a cut connection has ended"
    );
    assert!(
        matches!(peer.read(&mut buffer), Ok(0)),
        "on both sides, though it was stalled"
    );
    proxy.stall(false);
    let (mut client, mut peer) = connect();
    peer.write_all(b"pong").expect("the bytes go out");
    client.read_exact(&mut buffer).expect("the bytes arrive");
    assert_eq!(&buffer, b"pong");
}

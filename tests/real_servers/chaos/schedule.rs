//! What is published, what goes wrong, and when: all of it out of the seed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::population::User;
use crate::support::random::Random;

/// A server that workers depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Service {
    RabbitMq,
    Redis,
    S3,
}

impl Service {
    pub(super) const ALL: [Self; 3] = [Self::RabbitMq, Self::Redis, Self::S3];

    /// As `servers.sh` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::S3 => "s3",
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// SIGKILL, and a new worker at once.
    Kill { worker: usize },
    /// SIGTERM, and a new worker at once, beside the one that drains.
    Term { worker: usize },
    /// The connections of one worker to one server end.
    Cut { worker: usize, service: Service },
    /// No byte passes between one worker and one server for this time.
    Stall {
        worker: usize,
        service: Service,
        lasts: Duration,
    },
    /// SIGKILL for a server, which stays away for this time and then starts with what it kept.
    Crash { service: Service, away: Duration },
    /// Redis forgets everything.
    Flush,
    /// Messages that were published come once more.
    Duplicates,
}

/// A deck of the names that `OFFBOARDER_CHAOS_FAULTS` may list; each is dealt as often as it is here.
const DECK: [&str; 13] = [
    "kill",
    "kill",
    "term",
    "cut",
    "cut",
    "cut",
    "stall",
    "stall",
    "rabbitmq",
    "redis",
    "flush",
    "s3",
    "duplicates",
];

/// An fault, how long after the one before it, and what is published just before.
pub(super) struct Scene {
    pub(super) pause: Duration,
    pub(super) messages: Vec<Value>,
    pub(super) fault: Fault,
}

/// The kinds of faults that are wanted: all, unless a list says which.
pub(super) fn wanted(list: Option<&str>) -> Vec<&'static str> {
    let Some(list) = list else { return DECK.into() };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in &names {
        assert!(
            DECK.contains(name),
            "OFFBOARDER_CHAOS_FAULTS: {name} is none of {DECK:?}"
        );
    }
    DECK.into_iter()
        .filter(|name| names.contains(name))
        .collect()
}

/// Every kind comes before one comes again, in any order. The users come over the first two thirds,
/// so that each fault finds some at every step of the way.
pub(super) fn plan(
    random: &mut Random,
    users: &[User],
    kinds: &[&str],
    faults: usize,
    workers: usize,
) -> Vec<Scene> {
    let mut deck: Vec<&str> = Vec::new();
    let mut scenes: Vec<Scene> = (0..faults)
        .map(|_| {
            if deck.is_empty() {
                deck = kinds.into();
                random.shuffle(&mut deck);
            }
            let fault = fault(random, deck.pop().expect("a kind of fault"), workers);
            Scene {
                pause: random.millis(300, 2000),
                messages: Vec::new(),
                fault,
            }
        })
        .collect();
    let early = (faults * 2 / 3).max(1);
    for user in users {
        for _ in 0..=random.below(3) {
            let message = message(random, user);
            scenes[random.below(early)].messages.push(message);
        }
    }

    scenes
}

fn fault(random: &mut Random, kind: &str, workers: usize) -> Fault {
    let worker = random.below(workers);
    let service = random.one_of(&Service::ALL);
    let crash = |service, away| Fault::Crash { service, away };
    match kind {
        "kill" => Fault::Kill { worker },
        "term" => Fault::Term { worker },
        "cut" => Fault::Cut { worker, service },
        "stall" => Fault::Stall {
            worker,
            service,
            lasts: random.millis(1000, 3000),
        },
        "rabbitmq" => crash(Service::RabbitMq, random.millis(0, 1500)),
        "redis" => crash(Service::Redis, random.millis(0, 1500)),
        "s3" => crash(Service::S3, random.millis(0, 1500)),
        "flush" => Fault::Flush,
        _ => Fault::Duplicates,
    }
}

/// A bare UUID, or JSON that leaves out what has a default.
pub(super) fn message(random: &mut Random, user: &User) -> Value {
    let key = random.one_of(&["users", "users", "users.urgent"]);
    let body = match random.below(2) {
        0 => user.id.clone(),
        _ => json!({ "userId": user.id, "requestedBy": "chaos" }).to_string(),
    };
    json!({ "body": body, "key": key })
}

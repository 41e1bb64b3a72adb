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
pub(super) enum Act {
    /// SIGKILL, and a new worker at once.
    Kill { worker: usize },
    /// SIGTERM, and a new worker at once, beside the one that drains.
    Term { worker: usize },
    /// The connections of one worker to one server end.
    Cut { worker: usize, service: Service },
    /// No byte passes between one worker and one server for so long.
    Stall {
        worker: usize,
        service: Service,
        lasts: Duration,
    },
    /// SIGKILL for a server, which stays away for so long and then starts with what it kept.
    Crash { service: Service, away: Duration },
    /// Redis forgets everything.
    Flush,
    /// Messages that were published come once more.
    Duplicates,
}

/// A deck of the names that `OFFBOARDER_CHAOS_ACTS` knows; as often as it stands here it is dealt.
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

/// An act, how long after the one before it, and what is published just before.
pub(super) struct Scene {
    pub(super) pause: Duration,
    pub(super) messages: Vec<Value>,
    pub(super) act: Act,
}

/// The kinds of acts that are wanted: all, unless a list says which.
pub(super) fn wanted(list: Option<&str>) -> Vec<&'static str> {
    let Some(list) = list else { return DECK.into() };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in &names {
        assert!(
            DECK.contains(name),
            "OFFBOARDER_CHAOS_ACTS: {name} is none of {DECK:?}"
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
    acts: usize,
    workers: usize,
) -> Vec<Scene> {
    let mut deck: Vec<&str> = Vec::new();
    let mut scenes: Vec<Scene> = (0..acts)
        .map(|_| {
            if deck.is_empty() {
                deck = kinds.into();
                random.shuffle(&mut deck);
            }
            let act = act(random, deck.pop().expect("a kind of act"), workers);
            Scene {
                pause: random.millis(300, 2000),
                messages: Vec::new(),
                act,
            }
        })
        .collect();
    let early = (acts * 2 / 3).max(1);
    for user in users {
        for _ in 0..=random.below(3) {
            let message = message(random, user);
            scenes[random.below(early)].messages.push(message);
        }
    }
    scenes
}

fn act(random: &mut Random, kind: &str, workers: usize) -> Act {
    let (worker, service) = (random.below(workers), random.one_of(&Service::ALL));
    let crash = |service, away| Act::Crash { service, away };
    match kind {
        "kill" => Act::Kill { worker },
        "term" => Act::Term { worker },
        "cut" => Act::Cut { worker, service },
        "stall" => Act::Stall {
            worker,
            service,
            lasts: random.millis(1000, 3000),
        },
        "rabbitmq" => crash(Service::RabbitMq, random.millis(0, 1500)),
        "redis" => crash(Service::Redis, random.millis(0, 1500)),
        "s3" => crash(Service::S3, random.millis(0, 1500)),
        "flush" => Act::Flush,
        _ => Act::Duplicates,
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

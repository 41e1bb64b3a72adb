//! What a trial does to Redis, and reads in it.

use std::collections::BTreeMap;

use redis::{Commands as _, Connection};

/// Checkpoints as they were, by key.
pub(crate) type Snapshot = Vec<(String, Vec<u8>)>;

/// A connection to the database of a URL such as `redis://127.0.0.1:6379/3`.
pub(crate) fn connect(url: &str) -> Connection {
    redis::Client::open(url)
        .and_then(|client| client.get_connection())
        .expect("Redis answers")
}

/// Sends a command, which has to succeed.
pub(crate) fn ask(url: &str, command: &[&str]) {
    let (name, arguments) = command.split_first().expect("a command");
    let _: redis::Value = redis::cmd(name)
        .arg(arguments)
        .query(&mut connect(url))
        .expect("Redis obeys");
}

/// Empties the database; the other databases stay.
pub(crate) fn forget(url: &str) {
    ask(url, &["FLUSHDB"]);
}

/// The checkpoint of a user as it is now, if there is one. Leases are left out: they run out.
pub(crate) fn snapshot(url: &str, user_id: &str) -> Snapshot {
    let key = checkpoint_key(user_id);
    let dumped: Option<Vec<u8>> = redis::cmd("DUMP")
        .arg(&key)
        .query(&mut connect(url))
        .expect("a dump");
    dumped.map(|dumped| (key, dumped)).into_iter().collect()
}

/// Puts checkpoints back as they were, over what they have become.
pub(crate) fn restore(url: &str, snapshot: &Snapshot) {
    let mut redis = connect(url);
    for (key, dumped) in snapshot {
        let mut command = redis::cmd("RESTORE");
        command
            .arg(key)
            .arg(0)
            .arg(dumped.as_slice())
            .arg("REPLACE");
        let _: () = command.query(&mut redis).expect("it is restored");
    }
}

/// Overwrites the body of a checkpoint.
pub(crate) fn set_body(url: &str, user_id: &str, body: &str) {
    let mut redis = connect(url);
    let key = checkpoint_key(user_id);
    let _: () = redis
        .hset_multiple(&key, &[("version", "7"), ("fence", "7"), ("body", body)])
        .expect("it is set");
}

/// The body of a checkpoint, if there is one.
pub(crate) fn body(url: &str, user_id: &str) -> Option<String> {
    connect(url)
        .hget(checkpoint_key(user_id), "body")
        .expect("it is read")
}

/// How many are in a sorted set.
pub(crate) fn members(url: &str, key: &str) -> usize {
    connect(url).zcard(key).expect("they are counted")
}

/// When a key expires; -1 when it never does.
pub(crate) fn expires_in_ms(url: &str, key: &str) -> i64 {
    connect(url).pttl(key).expect("its time to live")
}

/// Bytes that a key takes.
pub(crate) fn memory_usage(url: &str, key: &str) -> u64 {
    let mut command = redis::cmd("MEMORY");
    command
        .arg("USAGE")
        .arg(key)
        .arg("SAMPLES")
        .arg(0)
        .query(&mut connect(url))
        .expect("it is measured")
}

fn checkpoint_key(user_id: &str) -> String {
    format!("offboarder:{{{user_id}}}:checkpoint")
}

/// The users of these whom the process has that was silent for longer than a process is that lives.
pub(crate) fn users_of_the_silent(url: &str, user_ids: &[String]) -> Vec<String> {
    let mut redis = connect(url);
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for user_id in user_ids {
        let owner: Option<String> = redis
            .get(format!("offboarder:{{{user_id}}}:lease"))
            .expect("a lease");
        if let Some((process, _run)) = owner.as_deref().and_then(|owner| owner.split_once('/')) {
            let known = users.entry(process.to_owned()).or_default();
            known.push(user_id.clone());
        }
    }
    let left = |process: &String| -> i64 {
        redis::cmd("PTTL")
            .arg(format!("offboarder:process:{process}"))
            .query(&mut connect(url))
            .expect("a time")
    };
    let silent = users.keys().min_by_key(|process| left(process)).cloned();
    silent
        .filter(|process| left(process) < 2700)
        .and_then(|process| users.remove(&process))
        .unwrap_or_default()
}

/// The server and its release, as it says itself.
pub(crate) fn release(url: &str) -> String {
    let said: String = redis::cmd("INFO")
        .arg("server")
        .query(&mut connect(url))
        .expect("it says so");
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    match (value("valkey_version:"), value("redis_version:")) {
        (Some(release), _) => format!("Valkey {release}"),
        (None, release) => format!("Redis {}", release.unwrap_or("of no release")),
    }
}

//! Redis and Valkey, one node each, with the rights of `deploy/redis/`.

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use super::{Fault, off_board, world};
use crate::support::servers::Servers;
use crate::support::{parts, redis, repository, table, trial};

trial!(
    "backends: Redis 7: a hundred users with the rights of deploy/redis, killed in mid-batch",
    |place| with_least_rights(place, &Servers::start(place..=place).into()),
    on_request
);

trial!(
    "backends: Redis 8: a hundred users with the rights of deploy/redis, killed in mid-batch",
    |place| with_another(place, "redis", "redis-server"),
    on_request
);

trial!(
    "backends: Valkey 8: a hundred users with the rights of deploy/redis, killed in mid-batch",
    |place| with_another(place, "valkey", "valkey-server"),
    on_request
);

fn with_another(place: usize, part: &str, program: &str) {
    let Some(root) = parts::root_with(part) else {
        return;
    };
    let others = [
        ("REDIS_ROOT", root.as_os_str()),
        ("REDIS_PROGRAM", OsStr::new(program)),
    ];
    with_least_rights(place, &Servers::start_others(place..=place, &others).into());
}

/// The worker logs in as a user who has the rights of the file only, also after the kill: Redis reads them at each start.
fn with_least_rights(place: usize, servers: &Arc<Servers>) {
    let mut world = world(servers, place);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    table::backend(redis::release(&url));

    let rules = fs::read_to_string(repository("deploy/redis/users.acl")).expect("the rules");
    let rules = rules
        .lines()
        .find(|line| line.starts_with("user offboarder-worker "))
        .expect("rules of the worker");
    let settings = servers.file("redis/redis.conf");
    let more = fs::read_to_string(&settings).expect("the settings of Redis");
    let rules = rules.replace("resetpass", "resetpass >secret");
    fs::write(&settings, format!("{more}\n{rules}\n")).expect("it is written");
    servers.restart_one("redis");
    let url = url.replace("redis://", "redis://offboarder-worker:secret@");
    world.set("OFFBOARDER_CHECKPOINTS_URL", &url);
    world.declare();

    off_board(&world, servers, Fault::Killed, "redis");
}

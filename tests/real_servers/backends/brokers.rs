//! RabbitMQ of several releases, with the rights of `deploy/rabbitmq/`.

use std::sync::Arc;

use super::{Fault, off_board, world};
use crate::support::servers::{Servers, vhost};
use crate::support::world::World;
use crate::support::{parts, repository, table, trial};

trial!(
    "backends: RabbitMQ 3: a hundred users with the rights of deploy/rabbitmq, killed in mid-batch",
    |place| with_least_rights(place, &Servers::start(place..=place).into(), "Mnesia"),
    on_request
);

trial!(
    "backends: RabbitMQ 4 on Mnesia: a hundred users with the rights of deploy/rabbitmq, killed in mid-batch",
    |place| {
        if let Some(servers) = rabbitmq_4(place) {
            with_least_rights(place, &servers, "Mnesia");
        }
    },
    on_request
);

trial!(
    "backends: RabbitMQ 4 on Khepri: a hundred users with the rights of deploy/rabbitmq, killed in mid-batch",
    |place| {
        if let Some(servers) = rabbitmq_4(place) {
            servers.rabbitmqctl(&["enable_feature_flag", "--experimental", "khepri_db"]);
            with_least_rights(place, &servers, "Khepri");
        }
    },
    on_request
);

fn rabbitmq_4(place: usize) -> Option<Arc<Servers>> {
    let root = parts::root_with("rabbitmq")?;
    let others = [("RABBITMQ_ROOT", root.as_os_str())];
    Some(Servers::start_others(place..=place, &others).into())
}

/// Definitions, topology and topic permissions in the order of `deploy/README.md`; workers and publisher have logins of
/// their own.
fn with_least_rights(place: usize, servers: &Arc<Servers>, store: &str) {
    let release = servers.eval(
        "io:format(\"RabbitMQ ~s, Erlang ~s\", \
           [rabbit_misc:version(), erlang:system_info(otp_release)]), ok.",
    );
    table::backend(format!("{release}, {store}"));
    let mut world = world(servers, place);
    import(servers, place, "definitions.json");
    for login in ["offboarder-worker", "offboarder-publisher"] {
        servers.rabbitmqctl(&["change_password", login, "secret"]);
    }
    let url = login(&world, "offboarder-worker");
    world.set("OFFBOARDER_QUEUE_URL", &url);
    world.declare();
    import(servers, place, "topic-permissions.json");

    off_board(&world, servers, Fault::Killed, "rabbitmq");
}

/// Imports a file of `deploy/rabbitmq/` into the virtual host of this place.
fn import(servers: &Servers, place: usize, name: &str) {
    let path = repository("deploy/rabbitmq").join(name);
    let text = std::fs::read_to_string(path).expect("a file of deploy/");
    let text = text.replace("\"offboarder\"", &format!("\"{}\"", vhost(place)));
    // In another root directory only the files of the servers can be seen.
    let definitions = servers.file(name);
    std::fs::write(&definitions, text).expect("a file");
    servers.rabbitmqctl(&["import_definitions", &definitions.display().to_string()]);
}

/// The broker's URL with another login.
fn login(world: &World, name: &str) -> String {
    let url = world.queue_url();
    let (_, address) = url.split_once('@').expect("a user in the URL");
    format!("amqp://{name}:secret@{address}")
}

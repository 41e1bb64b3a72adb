//! What a trial publishes, and the queues of its virtual host.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DEAD, PATIENCE, World, queue_url};
use crate::support::erlang::{self, Count};
use crate::support::population::User;
use crate::support::{broker, eventually, python, servers};

impl World {
    /// Publishes messages as a foreign system would; all have to be routed.
    pub(crate) fn publish(&self, messages: &[Value]) {
        Self::publish_to(&self.queue_url(), messages);
    }

    /// The same through another URL of the broker.
    pub(crate) fn publish_to(url: &str, messages: &[Value]) {
        let lines: Vec<String> = messages.iter().map(Value::to_string).collect();
        let environment = BTreeMap::new();
        let report = python::answer("publish.py", &[url], &environment, &lines.join("\n"));
        assert_eq!(
            report,
            json!({ "published": messages.len(), "unroutable": [] })
        );
    }

    /// Publishes one plain message for each user of the world.
    pub(crate) fn publish_all(&self) {
        self.publish_users(&self.users);
    }

    /// Publishes one plain message for each of these users.
    pub(crate) fn publish_users(&self, users: &[User]) {
        let message = |user: &User| json!({ "body": user.id });
        self.publish(&users.iter().map(message).collect::<Vec<_>>());
    }

    /// Messages ready in a queue; nothing when there is no such queue.
    pub(crate) fn depth(&self, queue: &str) -> Option<u64> {
        broker::depth(&self.queue_url(), queue)
    }

    /// The messages in a queue, which stay there.
    pub(crate) fn messages(&self, queue: &str) -> Vec<Value> {
        broker::messages(&self.queue_url(), queue)
    }

    /// The dead letters, which stay where they are.
    pub(crate) fn dead_letters(&self) -> Vec<Value> {
        self.messages(DEAD)
    }

    /// Waits until exactly this many dead letters can be read, which stay where they are. The depth of a queue does not say
    /// that: what another connection has read is ready again only a moment after that connection closed.
    pub(crate) fn await_dead_letters(&self, count: usize) -> Vec<Value> {
        self.await_dead_letter_depth(count);
        let dead_letters = eventually(PATIENCE, || {
            let dead_letters = self.dead_letters();
            if dead_letters.len() == count {
                Ok(dead_letters)
            } else {
                let read = dead_letters.len();
                Err(format!("{read} of {count} dead letters could be read"))
            }
        });
        self.await_dead_letter_depth(count);
        dead_letters
    }

    fn await_dead_letter_depth(&self, count: usize) {
        eventually(PATIENCE, || match self.depth(DEAD) {
            Some(depth) if depth == count as u64 => Ok(()),
            depth => Err(format!("{depth:?} dead letters instead of {count}")),
        });
    }

    /// `rabbitmqctl COMMAND -p VHOST ARGUMENT...`
    pub(crate) fn rabbitmqctl(&self, command: &str, arguments: &[&str]) -> String {
        let vhost = servers::vhost(self.place);
        self.servers
            .rabbitmqctl(&[&[command, "-p", &vhost], arguments].concat())
    }

    /// A user of RabbitMQ with the rights of a publisher, and nothing else: its name, and the URL.
    pub(crate) fn add_publisher(&self) -> (String, String) {
        let name = format!("hr-{}", self.place);
        self.servers.rabbitmqctl(&["add_user", &name, "secret"]);
        self.rabbitmqctl("set_permissions", &[&name, "^$", "^offboarding$", "^$"]);

        let url = self.queue_url();
        let (_, address) = url.split_once('@').expect("a user in the URL");
        let url = format!("amqp://{name}:secret@{address}");
        (name, url)
    }

    /// Deletes a queue with all messages in it.
    pub(crate) fn delete_queue(&self, queue: &str) {
        broker::delete_queue(&self.queue_url(), queue);
    }

    /// All queues of ours that hold a message, also one that is in flight.
    pub(crate) fn queues_in_use(&self) -> Vec<String> {
        let counts = erlang::count(&self.servers, self.place, Count::Messages).into_iter();
        let in_use =
            counts.filter(|(queue, count)| queue.starts_with("offboarding.") && *count > 0);
        let mut in_use: Vec<String> = in_use
            .map(|(queue, count)| format!("{queue}: {count}"))
            .collect();
        in_use.sort_unstable();
        in_use
    }

    /// How many dead letters a reader has, or had a moment ago.
    pub(crate) fn dead_letters_in_flight(&self) -> u64 {
        let counts = erlang::count(&self.servers, self.place, Count::InFlight);
        let dead = counts.into_iter().filter(|(queue, _)| queue == DEAD);
        dead.map(|(_, count)| count).sum()
    }

    /// How many messages workers have and have not acknowledged.
    pub(crate) fn messages_in_flight(&self) -> u64 {
        let counts = erlang::count(&self.servers, self.place, Count::InFlight).into_iter();
        counts.map(|(_, count)| count).sum()
    }

    /// The broker itself, whatever URL workers have.
    pub(crate) fn queue_url(&self) -> String {
        queue_url(&self.servers, self.place)
    }
}

//! What no AMQP client can see or do, asked of the RabbitMQ node itself, in Erlang.

use std::sync::Arc;

use super::servers::{Servers, vhost};

/// A number that the node keeps of each queue.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    /// All messages, also those that a consumer has and has not acknowledged.
    Messages,
    /// Messages that a consumer has and has not acknowledged.
    InFlight,
}

/// A number of each queue of a place. What RabbitMQ lists of quorum queues lags by seconds, so this
/// asks the leader of each.
pub(crate) fn count(servers: &Servers, place: usize, count: Count) -> Vec<(String, u64)> {
    let vhost = vhost(place);
    let (item, query) = match count {
        Count::Messages => ("messages", "query_messages_total"),
        Count::InFlight => ("messages_unacknowledged", "query_messages_checked_out"),
    };
    let printed = servers.eval(&format!(
        "Count = fun(Q) -> case amqqueue:get_type(Q) of \
           rabbit_quorum_queue -> \
             {{ok, {{_, N}}, _}} = \
               ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:{query}/1), N; \
           _ -> proplists:get_value({item}, rabbit_amqqueue:info(Q, [{item}])) end end, \
         [io:format(\"~s ~b~n\", [element(4, amqqueue:get_name(Q)), Count(Q)]) \
           || Q <- rabbit_amqqueue:list(<<\"{vhost}\">>)], ok."
    ));

    let line = |line: &str| {
        let (queue, count) = line.rsplit_once(' ').expect("a queue and a number");
        (queue.to_owned(), count.parse().expect("a number"))
    };
    printed.lines().map(line).collect()
}

/// From now on the node closes channels that hold a delivery for five seconds, and checks that
/// every second.
pub(crate) fn shorten_consumer_timeout(servers: &Servers) {
    servers.eval(
        "application:set_env(rabbit, consumer_timeout, 5000), \
         application:set_env(rabbit, channel_tick_interval, 1000).",
    );
}

/// Opens one more port, with these options of Erlang's `ssl`. A login by certificate looks for them in the node's own
/// settings.
pub(crate) fn listen_with_tls(servers: &Servers, port: u16, options: &str) {
    servers.eval(&format!(
        "ok = application:set_env(rabbit, ssl_options, [{{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}]), \
         ok = rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}}}, [{options}], 2)."
    ));
}

/// The node's end of some channels of a place hangs, until this is dropped. Their connections live,
/// and heartbeats come and go.
pub(crate) struct HangingChannels {
    servers: Arc<Servers>,
    name: String,
}

impl HangingChannels {
    /// Suspends the channels for which `item` is neither 0 nor false; there are at least `count`.
    pub(crate) fn suspend(servers: Arc<Servers>, place: usize, item: &str, count: usize) -> Self {
        let hanging = Self {
            servers,
            name: format!("offboarder_{place}_{item}"),
        };
        let name = &hanging.name;
        let vhost = vhost(place);
        let found = hanging.servers.eval(&format!(
            "Pids = [Pid || Pid <- rabbit_channel:list_local(), \
               [{{vhost, Vhost}}, {{{item}, Item}}] <- \
                 [catch rabbit_channel:info(Pid, [vhost, {item}])], \
               Vhost =:= <<\"{vhost}\">>, Item =/= 0, Item =/= false], \
             ok = persistent_term:put({name}, Pids), \
             [ok = sys:suspend(Pid) || Pid <- Pids], io:format(\"~b\", [length(Pids)])."
        ));

        let suspended = found.trim().parse::<usize>();
        assert!(
            suspended.is_ok_and(|suspended| suspended >= count),
            "{found} channels hang"
        );
        hanging
    }
}

/// They continue. A channel that was closed since is gone.
impl Drop for HangingChannels {
    fn drop(&mut self) {
        let name = &self.name;
        self.servers.eval(&format!(
            "[catch sys:resume(Pid) || Pid <- persistent_term:get({name})], \
             persistent_term:erase({name}), ok."
        ));
    }
}

/// A queue of a place answers nothing until this is dropped, as one that lost its majority; no message is lost.
pub(crate) struct HangingQueue {
    servers: Arc<Servers>,
    leader: String,
}

impl HangingQueue {
    pub(crate) fn suspend(servers: Arc<Servers>, place: usize, queue: &str) -> Self {
        let vhost = vhost(place);
        let leader = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"{queue}\">>)), \
             {{Leader, _}} = amqqueue:get_pid(Q)"
        );
        servers.eval(&format!("{leader}, ok = sys:suspend(Leader)."));
        Self { servers, leader }
    }
}

impl Drop for HangingQueue {
    fn drop(&mut self) {
        let leader = &self.leader;
        self.servers
            .eval(&format!("{leader}, ok = sys:resume(Leader)."));
    }
}

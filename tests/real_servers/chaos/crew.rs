//! Workers with networks of their own, and what a supervisor does for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use url::Url;

use super::schedule::Service;
use crate::support::eventually;
use crate::support::process::{Process, tail};
use crate::support::proxy::Proxy;
use crate::support::world::World;

/// `offboarder` ended because a service was away: to be started again.
const UNREACHABLE: i32 = 3;
const GRACE: Duration = Duration::from_secs(35);

struct Member {
    proxies: Vec<(Service, Proxy)>,
    settings: Vec<(String, String)>,
    process: Process,
    /// When its stalled networks move bytes again.
    stalled: Vec<(Service, Instant)>,
}

/// All workers, in a world.
pub(super) struct Crew<'a> {
    world: &'a World,
    members: Vec<Member>,
    /// Those that were asked to end.
    leaving: Vec<Process>,
}

impl<'a> Crew<'a> {
    pub(super) fn start(world: &'a World, size: usize) -> Self {
        Self {
            world,
            members: (0..size).map(|_| Member::start(world)).collect(),
            leaving: Vec::new(),
        }
    }

    /// What is due: stalls end, and workers that gave up start again, as under any supervisor.
    pub(super) fn tend(&mut self) {
        for (number, member) in self.members.iter_mut().enumerate() {
            member.end_stalls(|until| until <= Instant::now());
            let Some(status) = member.process.ended() else {
                continue;
            };
            let errors = member.process.errors();
            assert_eq!(
                status.code(),
                Some(UNREACHABLE),
                "worker {number} ended by itself: {}",
                tail(&errors)
            );
            eprintln!(
                "chaos:          worker {number} gave up at its start: {}",
                tail(&errors).trim_end()
            );
            member.restart(self.world);
        }

        self.leaving.retain_mut(|process| {
            let Some(status) = process.ended() else {
                return true;
            };
            assert_drained(process, status.code());
            false
        });
    }

    pub(super) fn kill(&mut self, worker: usize) {
        let member = &mut self.members[worker];
        member.process.signal("KILL");
        member.process.end(GRACE);
        member.restart(self.world);
    }

    pub(super) fn term(&mut self, worker: usize) {
        let member = &mut self.members[worker];
        member.process.signal("TERM");
        self.leaving.push(member.restart(self.world));
    }

    pub(super) fn cut(&self, worker: usize, service: Service) {
        self.members[worker].proxy(service).cut();
    }

    pub(super) fn stall(&mut self, worker: usize, service: Service, lasts: Duration) {
        let member = &mut self.members[worker];
        member.proxy(service).stall(true);
        member.stalled.retain(|(known, _)| *known != service);
        member.stalled.push((service, Instant::now() + lasts));
    }

    /// Ends all faults, and waits until all workers consume.
    pub(super) fn calm_down(&mut self, patience: Duration) {
        for member in &mut self.members {
            member.end_stalls(|_| true);
        }
        eventually(patience, || {
            self.tend();
            let idle = |member: &&Member| !member.process.errors().contains("consuming");
            let idle = self.members.iter().find(idle);
            idle.map_or(Ok(()), |member| {
                Err(format!(
                    "a worker is not consuming: {}",
                    tail(&member.process.errors())
                ))
            })
        });
    }

    /// Ends all by SIGTERM; each has to drain without an error.
    pub(super) fn dismiss(&mut self) {
        for member in self.members.drain(..) {
            member.process.signal("TERM");
            self.leaving.push(member.process);
        }
        for mut process in self.leaving.drain(..) {
            let status = process.end(GRACE);
            assert_drained(&process, status.code());
        }
    }
}

/// SIGTERM found a worker at work, or still at its start, where it has nothing to drain.
fn assert_drained(process: &Process, code: Option<i32>) {
    let errors = process.errors();
    if errors.contains("consuming") {
        assert_eq!(
            code,
            Some(0),
            "a worker ends with 0 by SIGTERM: {}",
            tail(&errors)
        );
    }
}

impl Member {
    fn start(world: &World) -> Self {
        let proxied = |service, setting: &str| {
            let mut url: Url = world.setting(setting).parse().expect("a URL");
            let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, url.port().expect("a port")));
            let proxy = Proxy::start(upstream);
            url.set_port(Some(proxy.port)).expect("a URL with a port");
            ((service, proxy), url.to_string())
        };

        let (rabbitmq, queue) = proxied(Service::RabbitMq, "OFFBOARDER_QUEUE_URL");
        let (redis, checkpoints) = proxied(Service::Redis, "OFFBOARDER_CHECKPOINTS_URL");
        let (s3, archive) = proxied(Service::S3, "AWS_ENDPOINT_URL_S3");
        let settings: Vec<(String, String)> = [
            ("OFFBOARDER_QUEUE_URL", &queue),
            ("OFFBOARDER_CHECKPOINTS_URL", &checkpoints),
            ("AWS_ENDPOINT_URL_S3", &archive),
            ("AWS_ENDPOINT_URL", &archive),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into();
        let process = world.start_with(&["worker"], &settings);
        Self {
            proxies: vec![rabbitmq, redis, s3],
            settings,
            process,
            stalled: Vec::new(),
        }
    }

    fn proxy(&self, service: Service) -> &Proxy {
        let found = self.proxies.iter().find(|(known, _)| *known == service);
        &found.expect("a proxy for each service").1
    }

    /// Starts a new process on the same networks; gives the old one.
    fn restart(&mut self, world: &World) -> Process {
        std::mem::replace(
            &mut self.process,
            world.start_with(&["worker"], &self.settings),
        )
    }

    fn end_stalls(&mut self, due: impl Fn(Instant) -> bool) {
        for (service, _) in self.stalled.iter().filter(|(_, until)| due(*until)) {
            self.proxy(*service).stall(false);
        }
        self.stalled.retain(|(_, until)| !due(*until));
    }
}

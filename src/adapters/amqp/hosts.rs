//! Several hosts of one broker, tried in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

/// How long a host that does not answer is waited for before the next one is tried as well.
const HEAD_START: Duration = Duration::from_secs(3);
/// A host that failed is tried after the others for this time.
const LAST_FOR: Duration = Duration::from_secs(30);

/// The nodes of a cluster, and which of them failed a moment ago. Clones share that.
#[derive(Clone)]
pub(super) struct Hosts {
    all: Arc<[(String, u16)]>,
    failed: Arc<parking_lot::Mutex<BTreeMap<usize, Instant>>>,
    /// Where the last connection for each purpose leads.
    last: Arc<parking_lot::Mutex<BTreeMap<String, usize>>>,
}

impl Hosts {
    pub(super) fn new(all: &[(String, u16)]) -> Self {
        Self {
            all: all.into(),
            failed: Arc::default(),
            last: Arc::default(),
        }
    }

    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// From the host number `first` on, and those that failed a moment ago at the end.
    fn in_turn(&self, first: usize) -> Vec<usize> {
        let failed = self.failed.lock();
        let is_bad = |host: &usize| {
            let at = failed.get(host);
            at.is_some_and(|at| at.elapsed() < LAST_FOR)
        };
        let count = self.all.len();
        let mut turn: Vec<usize> = (0..count).map(|host| (first + host) % count).collect();
        turn.sort_by_key(is_bad);
        turn
    }

    /// The first connection that `connect` makes, or the error of each host. It begins at a random one, so that the
    /// connections of a fleet spread over the nodes.
    pub(super) async fn connect<T, E>(
        &self,
        purpose: &str,
        connect: impl Fn(String, u16) -> BoxFuture<'static, Result<T, E>>,
    ) -> Result<T, Vec<(String, E)>> {
        let first = rand::random_range(0..self.all.len().max(1));
        let (number, connection) = self.connect_from(first, connect).await?;
        self.last.lock().insert(purpose.to_owned(), number);
        Ok(connection)
    }

    /// The host of the last connection for this purpose lets us in and does not work: a node that is cut off from the others.
    pub(super) fn distrust(&self, purpose: &str) {
        if let Some(number) = self.last.lock().get(purpose) {
            self.failed.lock().insert(*number, Instant::now());
        }
    }

    /// It works after all.
    pub(super) fn trust(&self, purpose: &str) {
        if let Some(number) = self.last.lock().get(purpose) {
            self.failed.lock().remove(number);
        }
    }

    /// What `connect` makes of each host, at the same time.
    pub(super) async fn each<T>(
        &self,
        connect: impl Fn(String, u16) -> BoxFuture<'static, T>,
    ) -> Vec<(String, T)> {
        let numbers = 0..self.all.len();
        let shown = numbers.map(|number| self.shown(number));
        let attempts = self
            .all
            .iter()
            .map(|(host, port)| connect(host.clone(), *port));
        let made = join_all(attempts).await;
        shown.zip(made).collect()
    }

    async fn connect_from<T, E>(
        &self,
        first: usize,
        connect: impl Fn(String, u16) -> BoxFuture<'static, Result<T, E>>,
    ) -> Result<(usize, T), Vec<(String, E)>> {
        let mut waiting = self.in_turn(first).into_iter();
        let mut attempts = FuturesUnordered::new();
        let mut errors = Vec::new();
        let mut tried = Vec::new();

        loop {
            if let Some(number) = waiting.next()
                && let Some((host, port)) = self.all.get(number)
            {
                tried.push(number);
                let attempt = connect(host.clone(), *port);
                attempts.push(attempt.map(move |connected| (number, connected)));
            }
            let ended = tokio::select! {
                ended = attempts.next() => ended,
                () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => continue,
            };
            match ended {
                Some((number, Ok(connection))) => {
                    // Those before it had their time.
                    let passed = tried.into_iter().take_while(|before| *before != number);
                    let mut failed = self.failed.lock();
                    failed.extend(passed.map(|before| (before, Instant::now())));
                    failed.remove(&number);
                    return Ok((number, connection));
                }
                Some((number, Err(error))) => {
                    self.failed.lock().insert(number, Instant::now());
                    errors.push((self.shown(number), error));
                }
                None => return Err(errors),
            }
        }
    }

    fn shown(&self, number: usize) -> String {
        match self.all.get(number) {
            Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) => format!("{host}:{port}"),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    fn hosts() -> Hosts {
        Hosts::new(&["a", "b", "c"].map(|host| (host.to_owned(), 5672)))
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_are_tried_in_turn_and_one_that_failed_comes_last_for_a_while() {
        let hosts = hosts();
        let tried = Arc::new(Mutex::new(String::new()));
        let try_from = async |first| {
            let tried = Arc::clone(&tried);
            let connect = |host: String, _port| {
                tried.lock().push_str(&host);
                let answer = if host == "b" {
                    Err("refused")
                } else {
                    Ok(host)
                };
                std::future::ready(answer).boxed()
            };
            let (_number, connected) = hosts.connect_from(first, connect).await.unwrap();
            (connected, std::mem::take(&mut *tried.lock()))
        };
        let expect = |connected: &str, tried: &str| (connected.to_owned(), tried.to_owned());
        assert_eq!(try_from(1).await, expect("c", "bc"));
        assert_eq!(try_from(1).await, expect("c", "c"));
        assert_eq!(try_from(0).await, expect("a", "a"));
        tokio::time::sleep(LAST_FOR).await;
        assert_eq!(try_from(1).await, expect("c", "bc"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_costs_seconds_and_may_still_be_the_one() {
        let hosts = hosts();
        let begun = Instant::now();
        let silent = |host: String, _port| {
            let answering = async move {
                if host == "a" {
                    std::future::pending::<()>().await;
                }
                Ok::<_, ()>(host)
            };
            answering.boxed()
        };
        assert_eq!(hosts.connect_from(0, silent).await.unwrap().1, "b");
        assert_eq!(begun.elapsed(), HEAD_START);
        assert_eq!(hosts.connect_from(0, silent).await.unwrap().1, "b");
        assert_eq!(begun.elapsed(), HEAD_START, "it is not waited for twice");

        tokio::time::sleep(LAST_FOR).await;
        let slow = |host: String, _port| {
            let answering = async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                if host == "a" { Ok(host) } else { Err(()) }
            };
            answering.boxed()
        };
        assert_eq!(hosts.connect_from(0, slow).await.unwrap().1, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_lets_us_in_and_does_not_work_comes_last_for_a_while() {
        let hosts = hosts();
        let connect = async || {
            let named = |host: String, _port| std::future::ready(Ok::<_, ()>(host)).boxed();
            hosts.connect("publish", named).await.unwrap()
        };
        let first = connect().await;
        hosts.distrust("consume");
        hosts.distrust("publish");
        for _ in 0..20 {
            assert_ne!(connect().await, first);
        }
        tokio::time::sleep(LAST_FOR).await;
        let mut all = std::collections::BTreeSet::new();
        while all.len() < 3 {
            all.insert(connect().await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_errors_of_all_hosts_are_reported() {
        let refused = |_host, _port| std::future::ready(Err::<(), _>("refused")).boxed();
        let mut errors = hosts().connect("publish", refused).await.unwrap_err();
        errors.sort_unstable();
        let expected = ["a:5672", "b:5672", "c:5672"].map(|at| (at.to_owned(), "refused"));
        assert_eq!(errors, expected);
    }
}

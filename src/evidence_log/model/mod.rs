//! The log under every order of the requests of its writers and of who announces, as far as a few switches between them and one
//! death go: one history, nothing lost, nothing twice. It drives the real [`Writer`] and [`AnnouncingStore`]; only the store is
//! in memory.

mod memory;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde_json::Value;

use super::announcement::Announcement;
use super::group;
use super::writer_tests::signer;
use super::{AnnouncingStore, Erased, Policy, Writer, check_log};
use crate::clock::Clock;
use crate::integrity::Integrity;
use crate::ports::{ArchiveStore as _, ObjectKey};
use memory::{Gate, Objects, REWRITTEN, Shared};

/// How often another process takes over although the one before could continue.
const SWITCHES: usize = 2;
/// How many processes die.
const DEATHS: usize = 1;

/// What somebody would do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Right,
    /// The record is stored before its announcement.
    RecordFirst,
    /// The store overwrites.
    Overwrites,
    /// The clock of who announces is wrong by more than the log allows for.
    TooLate,
}

struct Process {
    gate: Arc<Mutex<Gate>>,
    work: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Process {
    /// Does all of its requests.
    fn alone(mut self) {
        self.poll();
        while self.work.is_some() {
            self.request();
        }
    }

    /// Until its next request, or its end.
    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if let Some(work) = &mut self.work
            && work.as_mut().poll(&mut context).is_ready()
        {
            self.work = None;
        }
    }

    fn request(&mut self) {
        let waiting = {
            let mut gate = self.gate.lock();
            gate.granted = true;
            std::mem::take(&mut gate.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        self.poll();
    }
}

/// One of the choices at each request, in a fixed order: the first one is that the process continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Request(usize),
    Die(usize),
}

/// Which choice is taken each time, and how many there were.
#[derive(Default)]
struct Path(Vec<(usize, usize)>);

impl Path {
    /// The next path, in which the last choice that has another alternative takes it.
    fn next(mut self) -> Option<Self> {
        while let Some((taken, of)) = self.0.pop() {
            if taken + 1 < of {
                self.0.push((taken + 1, of));
                return Some(self);
            }
        }
        None
    }
}

struct Case {
    rule: Rule,
    clock: Clock,
    objects: Objects,
}

impl Case {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            clock: Clock::starting_at("2026-11-30T08:00:00Z".parse().unwrap()),
            objects: Objects::default(),
        }
    }

    fn store(&self) -> Shared {
        Shared {
            objects: Arc::clone(&self.objects),
            gate: Arc::default(),
            clock: self.clock.clone(),
            overwrites: self.rule == Rule::Overwrites,
            integrity: Integrity::default(),
        }
    }

    fn writer(&self, store: Shared, by: &str) -> Writer {
        Writer::new(
            Arc::new(store),
            signer().into(),
            self.clock.clone(),
            by.to_owned(),
        )
    }

    fn writing(&self, by: &str) -> Process {
        let store = self.store();
        let gate = Arc::clone(&store.gate);
        let mut writer = self.writer(store, by);
        Process {
            gate,
            work: Some(Box::pin(async move {
                writer.write().await.unwrap();
            })),
        }
    }

    fn announcing(&self, key: &str) -> Process {
        let store = self.store();
        let gate = Arc::clone(&store.gate);
        let key = ObjectKey(key.to_owned());
        let clock = self.clock.clone();
        let rule = self.rule;
        Process {
            gate,
            work: Some(Box::pin(async move {
                let body = Bytes::from_static(b"a record");
                if rule == Rule::RecordFirst || rule == Rule::TooLate {
                    let late =
                        SignedDuration::from_mins(if rule == Rule::TooLate { 40 } else { 0 });
                    let announcement = Announcement::new(&key, &body, clock.now() - late);
                    let name = announcement.object_key(store.integrity());
                    if rule == Rule::TooLate {
                        store.put_once(&name, Bytes::new(), None).await.unwrap();
                        store.put_once(&key, body, None).await.unwrap();
                    } else {
                        store.put_once(&key, body, None).await.unwrap();
                        store.put_once(&name, Bytes::new(), None).await.unwrap();
                    }
                    return;
                }
                let store = AnnouncingStore::new(Arc::new(store), clock);
                store.put_once(&key, body, None).await.unwrap();
            })),
        }
    }

    /// Two records that are announced together.
    fn announcing_both(&self, names: [&str; 2]) -> Process {
        let store = self.store();
        let gate = Arc::clone(&store.gate);
        let keys = names.map(|name| ObjectKey(name.to_owned()));
        let clock = self.clock.clone();
        Process {
            gate,
            work: Some(Box::pin(async move {
                let body = Bytes::from_static(b"a record");
                let both = keys
                    .each_ref()
                    .map(|key| Announcement::new(key, &body, clock.now()));
                group::put(&store, &clock, &both).await.unwrap();
                for key in &keys {
                    store.put_once(key, body.clone(), None).await.unwrap();
                }
            })),
        }
    }

    /// What broke, if anything, once a last writer has written all that is left.
    fn broken(&self) -> Option<String> {
        for _ in 0..2 {
            self.clock.jump(SignedDuration::from_mins(6));
            self.writing("last").alone();
        }
        let objects = self.objects.lock().clone();
        let mut seen = BTreeSet::new();
        for (key, (body, _)) in objects
            .iter()
            .filter(|(key, _)| key.starts_with("_log_step_"))
        {
            let step: Value = serde_json::from_slice(body).unwrap();
            for leaf in step["leaves"].as_array().unwrap() {
                if let Some(id) = leaf["id"].as_str()
                    && !seen.insert(id.to_owned())
                {
                    return Some(format!("{id} is twice in the log, again in {key}"));
                }
            }
        }
        if let Some(key) = objects.keys().find(|key| key.starts_with(REWRITTEN)) {
            return Some(key.clone());
        }
        let found = self.findings();
        found
            .into_iter()
            .find(|(object, _)| objects.contains_key(object))
            .map(|one| format!("{one:?}"))
    }

    fn findings(&self) -> Vec<(String, String)> {
        let store = self.store();
        let gate = Arc::clone(&store.gate);
        let policy = Policy::of_logs(vec![signer().verifier().clone()]);
        let found = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&found);
        let now = self.clock.now() + SignedDuration::from_hours(1);
        let checking = Process {
            gate,
            work: Some(Box::pin(async move {
                let report = check_log(&store, &policy, &[], &Erased::new(), now).await;
                let findings = report.unwrap().findings.into_iter();
                *into.lock() = findings.map(|one| (one.object, one.text)).collect();
            })),
        };
        checking.alone();
        std::mem::take(&mut *found.lock())
    }
}

/// Runs the processes as a path says, and continues it with first choices.
fn run(case: &Case, path: &mut Path) {
    case.announcing("_act_0.json").alone();
    case.writing("w0").alone();
    case.clock.jump(SignedDuration::from_mins(2));
    let mut processes = [
        case.announcing("_act_1.json"),
        case.announcing_both(["_act_2.json", "_act_3.json"]),
        case.writing("w1"),
        case.writing("w2"),
    ];
    processes.iter_mut().for_each(Process::poll);
    let mut current = 0;
    let mut switches = SWITCHES;
    let mut deaths = DEATHS;
    for depth in 0.. {
        let choices = choices(&processes, current, switches, deaths);
        if choices.is_empty() {
            return;
        }
        if depth == path.0.len() {
            path.0.push((0, choices.len()));
        }
        match choices[path.0[depth].0] {
            Choice::Request(process) => {
                let was_able = processes[current].work.is_some();
                if process != current && was_able {
                    switches -= 1;
                }
                current = process;
                processes[process].request();
            }
            Choice::Die(process) => {
                deaths -= 1;
                processes[process].work = None;
            }
        }
    }
}

fn choices(processes: &[Process], current: usize, switches: usize, deaths: usize) -> Vec<Choice> {
    let able = |process: &usize| processes[*process].work.is_some();
    let mut choices = Vec::new();
    if able(&current) {
        choices.push(Choice::Request(current));
        // Between two writes it is the same when it dies.
        if deaths > 0 && processes[current].gate.lock().is_write {
            choices.push(Choice::Die(current));
        }
        if switches == 0 {
            return choices;
        }
    }
    let others = (0..processes.len()).filter(|other| *other != current);
    choices.extend(others.filter(able).map(Choice::Request));
    choices
}

/// How many orders there are, and what broke first.
fn explore(rule: Rule) -> (usize, Option<String>) {
    let mut path = Some(Path::default());
    let mut orders = 0;
    while let Some(mut taken) = path {
        orders += 1;
        let case = Case::new(rule);
        run(&case, &mut taken);
        if let Some(broken) = case.broken() {
            return (orders, Some(format!("{broken} after {:?}", taken.0)));
        }
        path = taken.next();
    }
    (orders, None)
}

#[tokio::test(start_paused = true)]
async fn in_every_order_there_is_one_history_and_nothing_is_lost_or_twice() {
    let (orders, broken) = explore(Rule::Right);
    assert_eq!(broken, None, "{orders}");
    assert!(orders > 1_000, "{orders}");
}

#[tokio::test(start_paused = true)]
async fn a_record_before_its_announcement_is_lost_by_a_death() {
    let broken = explore(Rule::RecordFirst).1.unwrap();
    assert!(broken.contains("not in the log"), "{broken}");
}

#[tokio::test(start_paused = true)]
async fn in_a_store_that_overwrites_a_step_is_written_twice() {
    let broken = explore(Rule::Overwrites).1.unwrap();
    assert!(broken.starts_with("rewritten _log_step_2"), "{broken}");
}

#[tokio::test(start_paused = true)]
async fn an_announcement_of_a_clock_that_is_wrong_by_more_than_the_margin_is_lost() {
    let broken = explore(Rule::TooLate).1.unwrap();
    assert!(broken.contains("not in the log"), "{broken}");
}

//! Follows an operation to its end. A worker does it; where no worker lives, the command does it itself, by the same
//! function.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::compose::OperationStores;
use super::exit::{CliError, Exit};
use super::output::{Output, Shown, json as print_json, say};
use crate::failure::Failure;
use crate::operations::operation::{
    Executed, Executor, OnFailure, Operation, OperationEnd, OperationView, Place,
};
use crate::ports::WorkerRegistry;
use crate::ports::operations::{OperationId, OperationKind};
use crate::ports::queue::Broker;
use crate::worker::shutdown_on_signals;

/// How often the progress is read.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often it is asked whether a worker lives, in reads of the progress.
const ASK_EVERY: u32 = 4;
/// How many reads in a row may fail before the command gives up.
const FAULTS: u32 = 60;

/// What became of an operation that a command followed.
pub(super) enum Followed {
    Ended(Box<OperationEnd>),
    /// The work is done, and its end could not be stored.
    Unrecorded(Box<OperationEnd>, Failure),
    /// The command ended first; the operation continues.
    Left,
}

pub(super) struct Follower {
    executor: Executor,
    workers: Option<Arc<dyn WorkerRegistry>>,
}

/// Writes a line on standard error: it is no part of the answer.
pub(super) fn note(text: &str) {
    let mut out = std::io::stderr().lock();
    // If this write fails, there is no other place to report it.
    writeln!(out, "{}", Shown::from(text)).ok();
}

/// Whether a worker lives that does operations; `None` if nobody can say.
pub(super) async fn worker_lives(workers: Option<&Arc<dyn WorkerRegistry>>) -> Option<bool> {
    let Some(workers) = workers else {
        return Some(false);
    };
    let listed = workers.workers().await.ok()?;
    let mut listed = listed.iter().map(|live| &live.worker);
    Some(listed.any(|worker| worker.does_operations && !worker.draining))
}

impl Follower {
    /// `broker` is for operations that need one.
    pub(super) fn new(stores: OperationStores, broker: Option<Arc<dyn Broker>>) -> Self {
        let OperationStores {
            place,
            checkpoints,
            workers,
        } = stores;
        let executor = Executor {
            place,
            broker,
            checkpoints,
            by: format!("the command of process {}", std::process::id()),
        };
        Self { executor, workers }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.executor.place
    }

    /// Follows an operation that was just begun; or names it and leaves.
    pub(super) async fn follow_begun(
        &self,
        begun: &Operation,
        detach: bool,
    ) -> Result<Followed, CliError> {
        let id = begun.id;
        if detach {
            if worker_lives(self.workers.as_ref()).await == Some(false) {
                note("no worker is alive: the operation begins when one is");
            }
            return Ok(Followed::Left);
        }
        note(&format!(
            "operation {id}; `offboarder operations stop {id}` stops it"
        ));
        self.follow(id, begun.kind).await
    }

    /// Follows an operation to its end.
    pub(super) async fn follow(
        &self,
        id: OperationId,
        kind: OperationKind,
    ) -> Result<Followed, CliError> {
        let shutdown = shutdown_on_signals().map_err(CliError::bad)?;
        let draining = &shutdown.draining;
        let bar = bar();
        let mut watched = Watched {
            follower: self,
            id,
            bar: &bar,
            faults: 0,
        };
        let mut has_worker = None;
        let mut reads = 0;
        let followed = loop {
            if let Some(end) = watched.read().await? {
                break Followed::Ended(end);
            }
            if draining.is_cancelled() {
                note(&format!(
                    "operation {id} continues on the workers; `offboarder operations stop {id}` stops it"
                ));
                break Followed::Left;
            }
            if reads % ASK_EVERY == 0 {
                has_worker = worker_lives(self.workers.as_ref()).await.or(has_worker);
            }
            reads += 1;
            if has_worker == Some(false) {
                match self.do_it(&mut watched, kind, draining).await? {
                    Some(followed) => break followed,
                    None => reads = 0,
                }
            }
            tokio::select! {
                () = draining.cancelled() => {}
                () = tokio::time::sleep(READ_EVERY) => {}
            }
        };
        bar.finish_and_clear();
        Ok(followed)
    }

    /// Does the operation in this process; `None` if another one has it, or took it over.
    async fn do_it(
        &self,
        watched: &mut Watched<'_>,
        kind: OperationKind,
        draining: &CancellationToken,
    ) -> Result<Option<Followed>, CliError> {
        let id = watched.id;
        tracing::info!(operation = %id, "no worker is alive, so this command does the operation itself");
        let executing = self.executor.execute(id, kind, draining, OnFailure::End);
        let showing = async {
            loop {
                tokio::time::sleep(READ_EVERY).await;
                watched.show().await;
            }
        };
        let executed = tokio::select! {
            executed = executing => executed?,
            () = showing => return Ok(None),
        };
        Ok(match executed {
            Executed::Ended(end) => Some(Followed::Ended(end)),
            Executed::Unrecorded(end, failure) => Some(Followed::Unrecorded(end, failure)),
            Executed::Interrupted if draining.is_cancelled() => {
                note(&format!(
                    "operation {id} is interrupted; a worker continues it, and `offboarder operations stop {id}` ends it"
                ));
                Some(Followed::Left)
            }
            Executed::Held | Executed::Interrupted => None,
            Executed::Missing => {
                let text = format!("the set of operation {id} is not in the archive store");
                return Err(CliError::bad(text));
            }
        })
    }
}

/// An operation in sight.
struct Watched<'a> {
    follower: &'a Follower,
    id: OperationId,
    bar: &'a ProgressBar,
    faults: u32,
}

impl Watched<'_> {
    /// Draws the progress; how the operation ended, if it did.
    async fn read(&mut self) -> Result<Option<Box<OperationEnd>>, CliError> {
        let place = self.follower.place();
        let read = match place.glance(self.id).await {
            Ok(Some(view)) => {
                draw(self.bar, &view);
                if view.state.is_ended() {
                    place.end_of(self.id).await
                } else {
                    Ok(None)
                }
            }
            Ok(None) => Ok(None),
            Err(failure) => Err(failure),
        };
        match read {
            Ok(end) => {
                self.faults = 0;
                Ok(end.map(Box::new))
            }
            Err(failure) if self.faults < FAULTS => {
                self.faults += 1;
                self.bar
                    .set_message(format!("not current, trying again: {}", failure.text));
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn show(&self) {
        if let Ok(Some(view)) = self.follower.place().glance(self.id).await {
            draw(self.bar, &view);
        }
    }
}

/// indicatif shows it only on a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, view: &OperationView) {
    bar.set_length(view.items);
    bar.set_position(view.done.min(view.items));
    bar.set_message(progress(view));
}

/// For people: `running, moved: 12, skipped: 3`.
pub(super) fn progress(view: &OperationView) -> String {
    let counts = view.counts.iter();
    let counts: Vec<String> = counts
        .map(|(became, count)| format!("{became}: {count}"))
        .collect();
    let mut parts = vec![view.state.as_str().to_owned()];
    parts.extend(counts);
    parts.extend(view.rate.as_ref().map(|rate| format!("at most {rate}")));
    if view.stop.is_some() && !view.state.is_ended() {
        parts.push("stopping".to_owned());
    }
    parts.extend(view.trouble.as_ref().map(|why| format!("waits: {why}")));
    parts.join(", ")
}

/// The answer of a command that does not wait for its operation.
pub(super) fn left(id: OperationId, detach: bool, output: Output) -> Result<Exit, CliError> {
    if !detach {
        return Ok(Exit::Bad);
    }
    match output {
        Output::Json => print_json(&serde_json::json!({ "operation": id }))?,
        Output::Table => say(id.to_string()),
    }
    Ok(Exit::Ok)
}

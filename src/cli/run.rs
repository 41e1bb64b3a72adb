use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::acting::{Acting, acting};
use super::bar::bar;
use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{InputArgs, Purpose, Users, unreadable};
use super::output::{Output, OutputArgs, json, say, table};
use super::rehearsal::Rehearsing;
use crate::clock::Clock;
use crate::config::TenantSettings;
use crate::failure::Failure;
use crate::job::{Job, UserId};
use crate::operations::submit::Message;
use crate::people::Permission;
use crate::steps::{Cancellation, Interrupt, Services};
use crate::telemetry::span;
use crate::worker::{Outcome, Shutdown, drive, shutdown_on_signals};

/// Off-boards the named users without a broker
///
/// It uses the same state machine as a worker: after a crash, run the same command again; it resumes each user
/// where it stopped and skips users who are done.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  offboarder run --file leavers.csv --requested-by hr
  offboarder run 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --action deactivate --output json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Off-board one user that nobody needs, delete nothing, and write what the tenant answered to a file
    ///
    /// The file `rehearsal-PROFILE-TIME.json` answers the open questions of docs/tenants.md and holds no personal data, so
    /// that it can be given away. The user loses all access.
    #[arg(long)]
    rehearsal: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    /// A rehearsal ends with its file, however long the API takes to settle.
    const fn longest_wait(&self) -> SignedDuration {
        if self.rehearsal {
            SignedDuration::MAX
        } else {
            LONGEST_WAIT
        }
    }
}

/// A longer wait is reported, and the command ends.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(20);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    user_id: UserId,
    /// `finished`, `waiting`, `failed` or `interrupted`.
    result: &'static str,
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Row {
    fn new(user_id: UserId, result: &'static str) -> Self {
        Self {
            user_id,
            result,
            state: None,
            reason: None,
            detail: None,
        }
    }

    fn with_state(self, state: Option<String>) -> Self {
        Self { state, ..self }
    }

    fn with_detail(self, detail: String) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }
}

pub(super) async fn run(args: &Args, settings: &TenantSettings) -> Result<Exit, CliError> {
    let acting = acting(&settings.base, Permission::Submit).await?;
    let purpose = Purpose {
        consequence: "no user was off-boarded",
        output: args.output.output,
    };
    let now = Clock::system().now();
    let users = args.input.read(now, purpose, |_user_id| None)?;
    let name = format!("run-{}", std::process::id());
    let mut services = compose::services(&settings.base, &settings.cxone, &name).await?;
    record(&acting, &services, &users, args).await?;
    let rehearsing = if args.rehearsal {
        Some(rehearse(&mut services, &users).await?)
    } else {
        None
    };
    let shutdown = shutdown_on_signals().map_err(CliError::bad)?;
    let services = Arc::new(services);
    let longest_wait = args.longest_wait();
    let slots = Arc::new(Semaphore::new(settings.base.worker.concurrency));
    let mut tasks = JoinSet::new();
    let messages = users.input.messages(&users.checked);
    let messages = messages.map_err(|error| unreadable(&error))?;

    for (index, message) in messages.enumerate() {
        let message = message.map_err(|error| unreadable(&error))?;
        let services = Arc::clone(&services);
        let slots = Arc::clone(&slots);
        let shutdown = shutdown.clone();
        let running = async move {
            let _slot = slots.acquire_owned().await;
            let span = span::user(message.user_id);
            (
                index,
                run_user(&services, &message, &shutdown, longest_wait)
                    .instrument(span)
                    .await,
            )
        };
        tasks.spawn(running.in_current_span());
    }
    let bar = bar(users.checked.users, "users");
    let mut rows = Vec::new();
    let mut systemic: Option<Failure> = None;
    while let Some(joined) = tasks.join_next().await {
        let (index, (row, fault)) =
            joined.map_err(|died| CliError::bad(format!("a step panicked: {died}")))?;
        systemic = systemic.or(fault);
        rows.push((index, row));
        bar.inc(1);
    }
    services.checkpoints.close().await;
    bar.finish_and_clear();
    rows.sort_by_key(|(index, _)| *index);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    answer(args.output.output, &rows)?;
    if let Some(rehearsing) = rehearsing {
        rehearsing.end(&services).await?;
    }
    if let Some(failure) = systemic {
        return Err(failure.into());
    }
    let all_ok = rows
        .iter()
        .all(|row| matches!(row.result, "finished" | "waiting"));

    Ok(if all_ok { users.exit() } else { Exit::Bad })
}

async fn record(
    acting: &Acting,
    services: &Services,
    users: &Users,
    args: &Args,
) -> Result<(), CliError> {
    let store = &services.archive_store;
    let batch = args.input.batch_id.as_ref();
    let why = args.input.reason.clone();
    acting
        .record("run", store, users.checked.users, batch, why)
        .await
}

/// Begins the rehearsal of the one user.
async fn rehearse(services: &mut Services, users: &Users) -> Result<Rehearsing, CliError> {
    let many = users.checked.users;
    if many != 1 {
        let text =
            format!("a rehearsal is of one user, and {many} are named; no user was off-boarded");
        return Err(CliError::usage(text));
    }
    let messages = users.input.messages(&users.checked);
    let mut messages = messages.map_err(|error| unreadable(&error))?;
    let message = messages
        .next()
        .ok_or_else(|| CliError::usage("a rehearsal needs a user ID"))?
        .map_err(|error| unreadable(&error))?;
    Rehearsing::begin(services, message.user_id).await
}

fn answer(output: Output, rows: &[Row]) -> Result<(), CliError> {
    if output == Output::Json {
        return json(&serde_json::json!({ "users": rows }));
    }
    let cells = rows.iter().map(|row| {
        let why = [row.reason.as_deref(), row.detail.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        [
            row.user_id.to_string(),
            row.result.to_owned(),
            row.state.clone().unwrap_or_default(),
            why.join(": "),
        ]
    });
    say(table(columns::RUN, cells));
    let finished = rows.iter().filter(|row| row.result == "finished").count();
    say(format!("{finished} of {} users finished", rows.len()));

    Ok(())
}

/// Runs one user to the end, and waits in between. A systemic fault is returned next to the row and stops the other
/// users at their next checkpoint.
async fn run_user(
    services: &Services,
    message: &Message,
    shutdown: &Shutdown,
    longest_wait: SignedDuration,
) -> (Row, Option<Failure>) {
    let user_id = message.user_id;
    let draining = &shutdown.draining;
    let mut request = message.request.clone();
    request.received_at = Some(services.clock.now());
    let mut job = Job::named(user_id, request);

    loop {
        if draining.is_cancelled() {
            return (Row::new(user_id, "interrupted"), None);
        }
        let limits = Cancellation::new(draining, &shutdown.abandon, None);
        match Box::pin(drive(services, &job, &limits)).await {
            Outcome::Finished(ended) => {
                let state = Some(ended.state.to_string());
                return (Row::new(user_id, "finished").with_state(state), None);
            }
            // `Lane::Whole` has one lane, starts revisions at once, and has neither placeholders nor delays.
            Outcome::MoveToArchiveLane(_) | Outcome::Reissue { .. } | Outcome::NotDue { .. } => {}
            Outcome::Cancelled(end) => {
                let detail = format!("by {} at {}", end.cancelled.who, end.cancelled.at);
                let row = Row::new(user_id, "cancelled").with_state(Some(end.state.to_string()));
                return (row.with_detail(detail), None);
            }
            Outcome::Obsolete => {
                let detail = "cancelled, and asked for again since: a worker has that request";
                let row = Row::new(user_id, "cancelled");
                return (row.with_detail(detail.to_owned()), None);
            }
            Outcome::Delay { until, why, .. } => {
                job.continuation = true;
                let remaining = until.duration_since(services.clock.now());
                if remaining > longest_wait {
                    let detail = format!("until {until}: {why}; run the command again after that");
                    return (Row::new(user_id, "waiting").with_detail(detail), None);
                }
                tracing::warn!(%user_id, %until, why, "the user waits");
                let pause = Duration::try_from(remaining).unwrap_or_default();
                tokio::select! { () = draining.cancelled() => {} () = tokio::time::sleep(pause) => {} }
            }
            Outcome::Busy { for_at_most, .. } => {
                tracing::info!(%user_id, "another process works on this user");
                let pause = for_at_most.min(Duration::from_secs(2));
                tokio::select! { () = draining.cancelled() => {} () = tokio::time::sleep(pause) => {} }
            }
            Outcome::DeadLetter(given_up) => {
                let row = Row {
                    reason: Some(given_up.reason.to_string()),
                    ..Row::new(user_id, "failed")
                };
                let row = row.with_state(given_up.state.map(|state| state.to_string()));
                return (row.with_detail(given_up.error), None);
            }
            Outcome::Interrupted(interrupt) => return interrupted(user_id, interrupt, shutdown),
        }
    }
}

/// The row of a user that was interrupted. A systemic fault also stops the other users.
fn interrupted(
    user_id: UserId,
    interrupt: Interrupt,
    shutdown: &Shutdown,
) -> (Row, Option<Failure>) {
    let row = Row::new(user_id, "interrupted");
    match interrupt {
        Interrupt::Draining | Interrupt::SliceOver => (row, None),
        Interrupt::LeaseLost => (
            row.with_detail("another process took over this user".to_owned()),
            None,
        ),
        Interrupt::Systemic(failure) => {
            shutdown.draining.cancel();
            (row.with_detail(failure.to_string()), Some(failure))
        }
    }
}

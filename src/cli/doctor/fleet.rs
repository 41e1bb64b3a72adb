//! Whether anything is done with these settings now: workers, a pause, dead letters, the oldest job.

use jiff::Timestamp;

use super::super::compose;
use super::finding::Finding;
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::failure::Failure;
use crate::operations::fleet::{Fleet, FleetSources, Notice, NoticeKind, fleet, fleet_of};
use crate::operations::times;
use crate::operations::users::{NoList, UserFilter, UserSources, list};
use crate::ports::queue::Publisher;
use crate::ports::{LiveWorker, SharedStores};
use crate::queue::names::DEAD_LETTER_QUEUE;

const WORKERS: &str = "workers";
const PAUSE: &str = "pause";
const DEAD_LETTERS: &str = "dead letters";
const OLDEST_JOB: &str = "oldest job";
/// The number of users who still have access that are read to find those with a dead letter.
const USERS_READ: usize = 10_000;

pub(super) async fn check(settings: &AnySettings) -> Vec<Finding> {
    let Some(stores) = compose::shared_stores(&settings.base) else {
        let why = "skipped: OFFBOARDER_CHECKPOINTS_URL is a file, and workers use Redis";
        return vec![Finding::skipped(WORKERS, why)];
    };
    let sources = compose::fleet_sources(&settings.base, settings.queue.as_ref(), &stores).await;
    let now = Clock::system().now();
    let live = stores.workers.workers().await;
    let state = match &live {
        Ok(live) => fleet_of(&sources, live, now).await,
        Err(_named_by_the_fleet) => fleet(&sources, now).await,
    };
    let mut findings = vec![workers(&state), pause(&state)];
    findings.extend(dead_letters(&sources, &stores, now).await);
    findings.extend(live.map(|live| oldest(&live, now)));
    sources.close().await;
    findings
}

fn workers(state: &Fleet) -> Finding {
    let notice = |kind| state.notices.iter().find(|notice| notice.kind == kind);
    if let Some(unknown) = notice(NoticeKind::WorkersUnknown) {
        return Finding::skipped(WORKERS, format!("skipped: {}", unknown.text));
    }
    if let Some(none) = notice(NoticeKind::NoWorker) {
        let start = "start `offboarder worker`";
        return if state.messages_waiting.is_some_and(|waiting| waiting > 0) {
            Finding::bad(WORKERS, none.text.clone(), start)
        } else {
            Finding::warning(WORKERS, none.text.clone(), start)
        };
    }
    match notice(NoticeKind::WorkersStopped) {
        Some(stopped) => stopped_finding(stopped, state.workers_ready),
        None => Finding::good(
            WORKERS,
            format!(
                "{} alive, {} take users",
                state.workers_alive.unwrap_or_default(),
                state.workers_ready.unwrap_or_default()
            ),
        ),
    }
}

/// Workers that drain, and some that are stopped beside others that work, are no fault yet.
fn stopped_finding(stopped: &Notice, ready: Option<usize>) -> Finding {
    let remedy = "`offboarder workers` shows each; the code in brackets has a section in docs/operations/runbook.md";
    let drains = stopped.why.as_deref() == Some("draining");
    if ready == Some(0) && !drains {
        Finding::bad(WORKERS, stopped.text.clone(), remedy)
    } else {
        Finding::warning(WORKERS, stopped.text.clone(), remedy)
    }
}

fn pause(state: &Fleet) -> Finding {
    let notice = |kind| state.notices.iter().find(|notice| notice.kind == kind);
    match (notice(NoticeKind::Paused), notice(NoticeKind::PauseUnknown)) {
        (Some(paused), _) => Finding::warning(
            PAUSE,
            paused.text.clone(),
            "`offboarder resume` lifts it, if its reason is over",
        ),
        (None, Some(unknown)) => Finding::skipped(PAUSE, format!("skipped: {}", unknown.text)),
        (None, None) => Finding::good(PAUSE, "no operator has paused the workers"),
    }
}

async fn dead_letters(
    sources: &FleetSources,
    stores: &SharedStores,
    now: Timestamp,
) -> Option<Finding> {
    let count = match sources.queues.as_ref()? {
        Ok(publisher) => depth(&**publisher).await.ok()?,
        Err(_reported_elsewhere) => return None,
    };
    if count == 0 {
        return Some(Finding::good(DEAD_LETTERS, "none"));
    }
    let with_access = with_access(stores, now).await;
    let access = with_access.map_or_else(
        |why| format!("how many of their users still have access is unknown: {why}"),
        |users| format!("{users} of their users still have access"),
    );
    Some(Finding::warning(
        DEAD_LETTERS,
        format!("{count}; {access}"),
        "`offboarder dead-letters groups` shows the causes",
    ))
}

async fn depth(publisher: &dyn Publisher) -> Result<u64, Failure> {
    let depths = publisher.depths(&[DEAD_LETTER_QUEUE]).await?;
    Ok(depths.get(DEAD_LETTER_QUEUE).copied().unwrap_or_default())
}

/// How many users with a dead letter still have access.
async fn with_access(stores: &SharedStores, now: Timestamp) -> Result<usize, String> {
    let sources = UserSources {
        users: &*stores.users,
        batches: None,
    };
    let filter = UserFilter {
        access: true,
        ..UserFilter::default()
    };
    let page = list(&sources, &filter, None, USERS_READ, now).await;
    let page = page.map_err(|why| match why {
        NoList::Failed(failure) => failure.text,
        NoList::BadCursor | NoList::NoBatches | NoList::NoSuchBatch(_) => "no list".to_owned(),
    })?;
    if page.next_cursor.is_some() {
        return Err(format!("more than {USERS_READ} users still have access"));
    }
    let dead = page.users.iter().filter(|user| user.dead_letter.is_some());
    Ok(dead.count())
}

fn oldest(workers: &[LiveWorker], now: Timestamp) -> Finding {
    let oldest = workers
        .iter()
        .filter_map(|live| live.worker.oldest_job)
        .min();
    match (workers.is_empty(), oldest) {
        (true, _) => Finding::skipped(OLDEST_JOB, "skipped: no worker is alive to say"),
        (false, None) => Finding::good(OLDEST_JOB, "no job waits"),
        (false, Some(since)) => Finding::good(
            OLDEST_JOB,
            format!(
                "the oldest job that a worker knows of has waited for {}",
                times::span(now.duration_since(since))
            ),
        ),
    }
}

//! The state of the fleet: what keeps users waiting now. It is on top of every answer that would mislead without it: a
//! batch does not move because nobody works on it, and its own numbers do not say so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use super::notice::{Notice, NoticeKind};
use super::times::ago;
use crate::failure::Failure;
use crate::job::Source;
use crate::ports::queue::{Depths, Publisher};
use crate::ports::{ArchiveStore, LiveWorker, WorkerRegistry};
use crate::printable;
use crate::registers::{PauseRecord, PauseState, StopOrders, StopRegister, pause_in_force};

/// The time limit of each read: the answer below the banner must not wait for a service that hangs.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// What the causes of a worker begin with that an operator paused; the record of the pause says it better.
const PAUSED: &str = "paused";

/// Where the state is read.
pub(crate) struct FleetSources {
    pub workers: Arc<dyn WorkerRegistry>,
    /// Or why it cannot be used.
    pub store: Result<Arc<dyn ArchiveStore>, String>,
    /// Or why it cannot be used. `None`: this command has no broker.
    pub queues: Option<Result<Arc<dyn Publisher>, String>>,
    /// Keeps what was read of the orders to stop.
    pub orders: StopRegister,
}

impl FleetSources {
    /// What operators cancelled, and which batches they paused; `None` if the store cannot be read, which a notice says.
    pub(crate) async fn stop_orders(&self) -> Option<Arc<StopOrders>> {
        let store = self.store.as_ref().ok()?;
        within(self.orders.recent(&**store)).await.ok()
    }

    /// Ends the connection to the broker, if there is one.
    pub(crate) async fn close(&self) {
        if let Some(Ok(queues)) = &self.queues {
            queues.close().await;
        }
    }
}

/// The state of the fleet
///
/// It has no notices if nothing keeps users waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fleet {
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Whether it is known that no user is taken now.
    pub stopped: bool,
    /// The workers that are alive; null if that is unknown.
    pub workers_alive: Option<usize>,
    /// The workers that take users; null if that is unknown.
    pub workers_ready: Option<usize>,
    /// Messages that no worker has taken, without those that are delayed; null if that is unknown.
    pub messages_waiting: Option<u64>,
    /// What keeps users waiting, and what is unknown; the most important one first.
    pub notices: Vec<Notice>,
}

/// One line for each notice; empty if nothing keeps users waiting.
impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, notice) in self.notices.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            write!(f, "{line}! {}", printable::line(&notice.text))?;
        }
        Ok(())
    }
}

/// Reads the state of the fleet. What cannot be read is a notice.
pub(crate) async fn fleet(sources: &FleetSources, now: Timestamp) -> Fleet {
    let (workers, pause, depths) = tokio::join!(
        within(sources.workers.workers()),
        read_pause(sources),
        read_depths(sources),
    );
    assemble(workers, pause, depths, now)
}

/// The same, where the workers were read before: both say the same of them.
pub(crate) async fn fleet_of(
    sources: &FleetSources,
    workers: &[LiveWorker],
    now: Timestamp,
) -> Fleet {
    let (pause, depths) = tokio::join!(read_pause(sources), read_depths(sources));
    assemble(Ok(workers.to_vec()), pause, depths, now)
}

async fn within<T, E: Into<Failure>>(
    reading: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(READ_WITHIN, reading).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(error.into().text),
        Err(_elapsed) => Err(format!("no answer within {} s", READ_WITHIN.as_secs())),
    }
}

async fn read_pause(sources: &FleetSources) -> Result<PauseState, String> {
    let store = sources.store.as_ref().map_err(Clone::clone)?;
    within(pause_in_force(&**store, &sources.orders)).await
}

async fn read_depths(sources: &FleetSources) -> Option<Result<Depths, String>> {
    let publisher = match sources.queues.as_ref()? {
        Ok(publisher) => publisher,
        Err(why) => return Some(Err(why.clone())),
    };
    let queues = Source::ALL.map(Source::queue);
    Some(within(publisher.depths(&queues)).await)
}

/// The state, for what was read.
fn assemble(
    workers: Result<Vec<LiveWorker>, String>,
    pause: Result<PauseState, String>,
    depths: Option<Result<Depths, String>>,
    now: Timestamp,
) -> Fleet {
    let mut notices = Vec::new();
    let messages_waiting = match depths {
        None => None,
        Some(Ok(depths)) if depths.is_empty() => {
            let why = "the queues do not exist; run `offboarder topology`";
            notices.push(queues_unknown(why));
            None
        }
        Some(Ok(depths)) => Some(depths.values().sum()),
        Some(Err(why)) => {
            notices.push(queues_unknown(&why));
            None
        }
    };

    let paused = match pause {
        Ok(state) => paused(&state, now),
        Err(why) => {
            let what = "whether the workers are paused is unknown";
            notices.push(Notice::unknown(NoticeKind::PauseUnknown, what, &why));
            None
        }
    };
    let is_paused = paused.is_some();
    notices.extend(paused);

    let mut ready = None;
    let mut alive = None;
    match workers {
        Ok(workers) => {
            alive = Some(workers.len());
            ready = Some(workers.iter().filter(|live| live.worker.ready).count());
            notices.extend(stopped(&workers, messages_waiting, now));
            notices.extend(rate_limited(&workers));
        }
        Err(why) => {
            let what = "whether workers are alive is unknown";
            notices.push(Notice::unknown(NoticeKind::WorkersUnknown, what, &why));
        }
    }

    notices.sort_by_key(|notice| notice.kind);
    // A worker that still says "paused" when the pause is over only has not read so yet.
    let all_stopped = notices.iter().any(|notice| match notice.kind {
        NoticeKind::NoWorker => true,
        NoticeKind::WorkersStopped => notice.count == alive.map(|alive| alive as u64),
        _ => false,
    });
    Fleet {
        as_of: now,
        stopped: is_paused || all_stopped,
        workers_alive: alive,
        workers_ready: ready,
        messages_waiting,
        notices,
    }
}

fn queues_unknown(why: &str) -> Notice {
    let what = "how many messages wait is unknown";
    Notice::unknown(NoticeKind::QueuesUnknown, what, why)
}

fn paused(state: &PauseState, now: Timestamp) -> Option<Notice> {
    match state {
        PauseState::Never => None,
        PauseState::Record(record) if !record.holds_at(now) => None,
        PauseState::Record(PauseRecord {
            who,
            why,
            at,
            until,
            ..
        }) => {
            let ends =
                until.map_or_else(String::new, |until| format!(", ends {}", ago(until, now)));
            let because = why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            let text = format!("paused by {who} {}{ends}{because}", ago(*at, now));
            Some(Notice {
                who: Some(who.clone()),
                why: why.clone(),
                since: Some(*at),
                until: *until,
                ..Notice::new(NoticeKind::Paused, text)
            })
        }
        PauseState::Doubtful(_) => {
            let why = state.cause(now)?;
            Some(Notice {
                why: Some(why.clone()),
                ..Notice::new(NoticeKind::Paused, why)
            })
        }
    }
}

/// Whether workers take no users for another reason than a pause.
fn stopped(workers: &[LiveWorker], messages: Option<u64>, now: Timestamp) -> Option<Notice> {
    if workers.is_empty() {
        let waiting = match messages {
            Some(1) => ", and 1 message waits".to_owned(),
            Some(messages @ 2..) => format!(", and {messages} messages wait"),
            Some(0) | None => String::new(),
        };
        let text = format!("no worker is alive{waiting}; start `offboarder worker`");
        return Some(Notice::new(NoticeKind::NoWorker, text));
    }

    let causes = |live: &LiveWorker| -> Vec<String> {
        let causes = live.worker.causes.iter();
        causes
            .filter(|cause| !cause.starts_with(PAUSED))
            .cloned()
            .collect()
    };
    let stopped: Vec<_> = workers
        .iter()
        .filter(|live| !live.worker.ready)
        .map(|live| (causes(live), live.worker.not_ready_since))
        .filter(|(causes, _)| !causes.is_empty())
        .collect();
    let cause = most_common(stopped.iter().filter_map(|(causes, _)| causes.first()))?;
    let of_this_cause = stopped.iter().filter(|(causes, _)| causes.contains(&cause));
    let since = of_this_cause.filter_map(|(_, since)| *since).min();

    let others = stopped
        .iter()
        .any(|(causes, _)| causes.iter().any(|other| *other != cause));
    let more = if others {
        "; `offboarder workers` shows more causes"
    } else {
        ""
    };
    let since_text = since.map_or_else(String::new, |since| {
        format!(" (since {since:.0}, {})", ago(since, now))
    });
    let count = stopped.len();
    let are = if workers.len() == 1 {
        "worker is"
    } else {
        "workers are"
    };
    let text = format!(
        "{count} of {} {are} stopped: {cause}{since_text}{more}",
        workers.len()
    );
    Some(Notice {
        why: Some(cause),
        since,
        count: Some(count as u64),
        ..Notice::new(NoticeKind::WorkersStopped, text)
    })
}

fn most_common<'a>(causes: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for cause in causes {
        match counts.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => counts.push((cause, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    let first = counts.into_iter().find(|(_, count)| *count == most);
    first.map(|(cause, _)| cause.clone())
}

/// Users who wait for a rate limit, or for an approval.
fn rate_limited(workers: &[LiveWorker]) -> Vec<Notice> {
    let sum = |count: fn(&LiveWorker) -> u64| workers.iter().map(count).sum::<u64>();
    let deletions = sum(|live| live.worker.waiting_for_deletion_rate_limit);
    let requests = sum(|live| live.worker.waiting_for_request_limit);
    let wait = |count| match count {
        1 => "1 user waits".to_owned(),
        count => format!("{count} users wait"),
    };
    let deletions = (deletions > 0).then(|| Notice {
        count: Some(deletions),
        ..Notice::new(
            NoticeKind::DeletionRateLimitReached,
            format!(
                "the deletion rate limit is reached: {} for it; access is removed as before",
                wait(deletions)
            ),
        )
    });
    let requests = (requests > 0).then(|| Notice {
        count: Some(requests),
        ..Notice::new(
            NoticeKind::RequestLimitReached,
            requests_wait(&wait(requests)),
        )
    });
    let approvals = sum(|live| live.worker.waiting_for_approval);
    let approvals = (approvals > 0).then(|| Notice {
        count: Some(approvals),
        ..Notice::new(NoticeKind::ApprovalsWait, approvals_wait(&wait(approvals)))
    });
    let limits = deletions.into_iter().chain(requests);
    limits.chain(approvals).collect()
}

/// `who` is a number of users with its verb.
pub(crate) fn approvals_wait(who: &str) -> String {
    format!(
        "{who} for a second person's approval of their deletion (OFFBOARDER_GUARD_APPROVAL); their access is gone; \
         `offboarder users list --waiting-for not_approved`"
    )
}

/// `who` is a number of users with its verb.
pub(crate) fn requests_wait(who: &str) -> String {
    format!(
        "{who} with their access, since no order of `submit` names them and too many came (OFFBOARDER_GUARD_MAX_REQUESTS); \
         `offboarder resume --intake` lets them on"
    )
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;

//! The metrics of `docs/contract/interfaces.md`. Labels are words of ours, never an ID or a text,
//! so their number is bounded.

mod exposition;
mod instruments;
mod rate_limited;

use std::time::Duration;

use opentelemetry::KeyValue;

use crate::failure::{Class, Code, Reason};
use crate::job::{Lane, UserId};
use crate::limits::QuotaClass;
use crate::machine::{Pause, StateName};
use crate::people::Permission;
use crate::telemetry::minutes;
pub(crate) use exposition::Exposition;
use instruments::INSTRUMENTS;

/// Creates the counters that may stay at 0, so that an alert rule can see them rise from 0.
pub(super) fn begin() {
    for reason in Reason::ALL {
        INSTRUMENTS
            .dead_letters
            .add(0, &[KeyValue::new("reason", reason.as_str())]);
    }
    for outcome in ["deleted", "deactivated-only", "dead-lettered"] {
        INSTRUMENTS
            .jobs
            .add(0, &[KeyValue::new("outcome", outcome)]);
    }

    for class in QuotaClass::ALL {
        INSTRUMENTS
            .api_throttled
            .add(0, &[KeyValue::new("class", class.as_str())]);
    }
    for reason in [
        "no_token",
        "wrong_token",
        "read_token",
        "foreign_host",
        "people_unreadable",
        "wrong_jwt",
        "unknown_person",
        "foreign_origin",
    ] {
        INSTRUMENTS
            .access
            .refused
            .add(0, &[KeyValue::new("reason", reason)]);
    }
    for permission in Permission::ALL {
        INSTRUMENTS
            .access
            .denied
            .add(0, &[KeyValue::new("permission", permission.as_str())]);
    }
    INSTRUMENTS.in_flight.add(0, &[]);
    INSTRUMENTS.deletions.break_glass.add(0, &[]);
    people_unreadable(false);
    unhealthy(false);
    evidence_log(Duration::ZERO, 0);
    INSTRUMENTS.archive_bytes.add(0, &[]);
    INSTRUMENTS.archive_conversations.add(0, &[]);
    INSTRUMENTS.checkpoint_conflicts.add(0, &[]);
}

/// An off-boarding ended and its manifest is stored.
pub(crate) fn finished(state: StateName) {
    let outcome = if state == StateName::Deleted {
        "deleted"
    } else {
        "deactivated-only"
    };
    INSTRUMENTS
        .jobs
        .add(1, &[KeyValue::new("outcome", outcome)]);
    minutes::finished();
}

/// A job became a dead letter.
pub(crate) fn dead_lettered(reason: Reason) {
    INSTRUMENTS
        .jobs
        .add(1, &[KeyValue::new("outcome", "dead-lettered")]);
    INSTRUMENTS
        .dead_letters
        .add(1, &[KeyValue::new("reason", reason.as_str())]);
}

/// A step was completed and its checkpoint saved.
pub(crate) fn moved(from: StateName, to: StateName) {
    let labels = [
        KeyValue::new("from", from.as_str()),
        KeyValue::new("to", to.as_str()),
    ];
    INSTRUMENTS.transitions.add(1, &labels);
}

/// A step ended, with success or not.
pub(crate) fn step_took(step: &'static str, took: Duration) {
    INSTRUMENTS
        .step_duration
        .record(took.as_secs_f64(), &[KeyValue::new("step", step)]);
}

/// A read showed the account deactivated, this long after the request.
pub(crate) fn access_removed(after: Duration) {
    INSTRUMENTS.access_removed.record(after.as_secs_f64(), &[]);
    minutes::access_removed(after);
}

/// The last session, token and key of a user had ended, this long after the request.
pub(crate) fn sessions_ended(after: Duration) {
    INSTRUMENTS.sessions_ended.record(after.as_secs_f64(), &[]);
}

pub(crate) fn archived(bytes: u64, conversations: u64) {
    INSTRUMENTS.archive_bytes.add(bytes, &[]);
    INSTRUMENTS.archive_conversations.add(conversations, &[]);
}

/// CXone answered a call, or did not: status 0.
pub(crate) fn api_answered(class: QuotaClass, status: u16) {
    let labels = [
        KeyValue::new("class", class.as_str()),
        KeyValue::new("status", i64::from(status)),
    ];
    INSTRUMENTS.api_requests.add(1, &labels);
    minutes::api_answered(class, status == 429);
    if status == 429 {
        INSTRUMENTS
            .api_throttled
            .add(1, &[KeyValue::new("class", class.as_str())]);
    }
}

/// A step failed and will be tried again.
pub(crate) fn retried(step: &'static str, class: Class) {
    let kind = match class {
        Class::Transient => "transient",
        Class::Throttled => "throttled",
        Class::UnknownOutcome => "unknown_outcome",
        Class::Permanent(_) => "permanent",
        Class::Systemic => "systemic",
        Class::Defect => "defect",
    };
    INSTRUMENTS.retries.add(
        1,
        &[KeyValue::new("step", step), KeyValue::new("kind", kind)],
    );
}

/// A guard postpones a deletion.
pub(crate) fn deletion_postponed(guard: Pause) {
    INSTRUMENTS
        .deletions
        .postponed
        .add(1, &[KeyValue::new("guard", guard.as_str())]);
}

/// The deletion of this user waits for the deletion rate limit.
pub(crate) fn deletion_rate_limited(user_id: UserId, wait: Duration) {
    INSTRUMENTS.deletions.rate_limited_users.add(user_id, wait);
}

/// How many users wait for the deletion rate limit, as far as this worker knows.
pub(crate) fn rate_limited_users() -> u64 {
    INSTRUMENTS.deletions.rate_limited_users.count() as u64
}

/// This user waits for the limit of users whom no order names.
pub(crate) fn request_waits(user_id: UserId, wait: Duration) {
    INSTRUMENTS.deletions.waiting_users.add(user_id, wait);
}

/// This user waits no longer.
pub(crate) fn request_admitted(user_id: UserId) {
    INSTRUMENTS.deletions.waiting_users.remove(user_id);
}

/// How many users wait for the limit of users whom no order names, as far as this worker knows.
pub(crate) fn requests_waiting() -> u64 {
    INSTRUMENTS.deletions.waiting_users.count() as u64
}

/// The deletion of this user waits for an approval.
pub(crate) fn approval_waits(user_id: UserId, why: Pause, wait: Duration) {
    for (known, users) in &INSTRUMENTS.deletions.approval_users {
        if *known == why {
            users.add(user_id, wait);
        } else {
            users.remove(user_id);
        }
    }
}

/// This user's deletion waits for no approval any more.
pub(crate) fn approved(user_id: UserId) {
    let users = INSTRUMENTS.deletions.approval_users.values();
    users.for_each(|users| users.remove(user_id));
}

/// How many users wait for an approval, as far as this worker knows.
pub(crate) fn approvals_waiting() -> u64 {
    let users = INSTRUMENTS.deletions.approval_users.values();
    users.map(|users| users.count() as u64).sum()
}

/// A deletion is sent that an admin permitted without the approval of others.
pub(crate) fn broke_glass() {
    INSTRUMENTS.deletions.break_glass.add(1, &[]);
}

/// Records [`rate_limited_users`], [`requests_waiting`] and [`approvals_waiting`].
pub(crate) fn record_rate_limited() {
    let instruments = &INSTRUMENTS.deletions;
    instruments.rate_limited.record(rate_limited_users(), &[]);
    instruments.requests_waiting.record(requests_waiting(), &[]);
    for (why, users) in &instruments.approval_users {
        let labels = [KeyValue::new("why", why.as_str())];
        let count = users.count() as u64;
        instruments.approval_waiting.record(count, &labels);
    }
}

/// Messages in a queue that no worker has taken.
pub(crate) fn queue_depth(queue: &str, depth: u64) {
    INSTRUMENTS
        .backlog
        .queue_depth
        .record(depth, &[KeyValue::new("queue", queue.to_owned())]);
}

/// How long the oldest job of a queue has waited.
pub(crate) fn oldest_job(queue: &str, seconds: f64) {
    INSTRUMENTS
        .backlog
        .oldest_job
        .record(seconds, &[KeyValue::new("queue", queue.to_owned())]);
}

/// Waiting work of a lane.
pub(crate) struct LaneBacklog {
    pub(crate) depth: u64,
    /// Taken or delayed by this worker.
    pub(crate) held: u64,
    /// How long the oldest of all these has waited.
    pub(crate) oldest_seconds: f64,
}

/// How much work of a lane waits, and for how long.
pub(crate) fn lane(lane: Lane, backlog: &LaneBacklog) {
    let labels = [KeyValue::new("lane", lane.as_str())];
    INSTRUMENTS
        .backlog
        .lane_depth
        .record(backlog.depth, &labels);
    INSTRUMENTS.backlog.lane_held.record(backlog.held, &labels);
    INSTRUMENTS
        .backlog
        .lane_oldest_job
        .record(backlog.oldest_seconds, &labels);
}

/// A save was refused because another worker has the user.
pub(crate) fn checkpoint_conflict() {
    INSTRUMENTS.checkpoint_conflicts.add(1, &[]);
}

/// The worker takes no users because of this failure, or none of this lane, or takes them again.
pub(crate) fn paused(cause: Code, lane: Option<Lane>, is_paused: bool) {
    let cause = KeyValue::new("cause", cause.as_str());
    let lane = lane.map(|lane| KeyValue::new("lane", lane.as_str()));
    let labels: Vec<_> = [cause].into_iter().chain(lane).collect();
    INSTRUMENTS.paused.record(u64::from(is_paused), &labels);
}

/// The worker takes no users because an operator paused it, or takes them again.
pub(crate) fn paused_by_operator(is_paused: bool) {
    INSTRUMENTS
        .paused
        .record(u64::from(is_paused), &[KeyValue::new("cause", "operator")]);
}

/// Whether a restart would help this worker.
pub(crate) fn unhealthy(is_unhealthy: bool) {
    INSTRUMENTS.unhealthy.record(u64::from(is_unhealthy), &[]);
}

/// Since when this worker cannot continue the evidence log, and how many witnesses have not cosigned its last step.
pub(crate) fn evidence_log(stalled: Duration, witnesses_behind: usize) {
    let log = &INSTRUMENTS.evidence_log;
    log.stalled.record(stalled.as_secs(), &[]);
    let behind = u64::try_from(witnesses_behind).unwrap_or(u64::MAX);
    log.witnesses_behind.record(behind, &[]);
}

/// The admin HTTP server refused a request; `reason` is a word of its gate.
pub(crate) fn admin_refused(reason: &'static str) {
    INSTRUMENTS
        .access
        .refused
        .add(1, &[KeyValue::new("reason", reason)]);
}

/// Somebody asked for what the role does not permit.
pub(crate) fn denied(permission: Permission) {
    INSTRUMENTS
        .access
        .denied
        .add(1, &[KeyValue::new("permission", permission.as_str())]);
}

/// Whether the people file cannot be used.
pub(crate) fn people_unreadable(is_unreadable: bool) {
    let value = u64::from(is_unreadable);
    INSTRUMENTS.access.people_unreadable.record(value, &[]);
}

/// The quota of a class in the settings.
pub(crate) fn quota(class: QuotaClass, per_second: f64) {
    INSTRUMENTS
        .quota
        .record(per_second, &[KeyValue::new("class", class.as_str())]);
}

/// Counts a user as in progress until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        INSTRUMENTS.in_flight.add(1, &[]);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        INSTRUMENTS.in_flight.add(-1, &[]);
    }
}

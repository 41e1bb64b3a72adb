//! The instruments, with the names and descriptions that `/metrics` and a collector show.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opentelemetry::global;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use super::rate_limited::RateLimited;
use crate::machine::Pause;

/// Seconds from the request to the deactivation: from the speed of an API to a lost weekend.
const ACCESS_BOUNDARIES: [f64; 14] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
    259_200.0,
];
/// Seconds of a step: most are calls, but an archive may take hours.
const STEP_BOUNDARIES: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 14_400.0,
];

/// The instruments of this process.
///
/// They are global, as the meter provider of OpenTelemetry is: a process has one `/metrics`, and
/// every adapter and step counts. To pass them to each of these as a parameter would change all
/// signatures and no test. Before [`super::begin`] they count into nothing.
pub(super) static INSTRUMENTS: LazyLock<Instruments> =
    LazyLock::new(|| Instruments::new(&global::meter("offboarder")));

pub(super) struct Instruments {
    pub(super) jobs: Counter<u64>,
    pub(super) transitions: Counter<u64>,
    pub(super) step_duration: Histogram<f64>,
    pub(super) in_flight: UpDownCounter<i64>,
    pub(super) access_removed: Histogram<f64>,
    pub(super) sessions_ended: Histogram<f64>,
    pub(super) api_requests: Counter<u64>,
    pub(super) api_throttled: Counter<u64>,
    pub(super) retries: Counter<u64>,
    pub(super) dead_letters: Counter<u64>,
    pub(super) archive_bytes: Counter<u64>,
    pub(super) archive_conversations: Counter<u64>,
    pub(super) checkpoint_conflicts: Counter<u64>,
    pub(super) access: Access,
    pub(super) paused: Gauge<u64>,
    pub(super) unhealthy: Gauge<u64>,
    pub(super) quota: Gauge<f64>,
    pub(super) deletions: Deletions,
    pub(super) backlog: Backlog,
    pub(super) evidence_log: EvidenceLog,
}

/// What the writer of the evidence log cannot do.
pub(super) struct EvidenceLog {
    pub(super) stalled: Gauge<u64>,
    pub(super) witnesses_behind: Gauge<u64>,
}

/// Who may use the API and the commands.
pub(super) struct Access {
    pub(super) refused: Counter<u64>,
    pub(super) denied: Counter<u64>,
    pub(super) people_unreadable: Gauge<u64>,
}

/// Deletions that a guard delays.
pub(super) struct Deletions {
    pub(super) postponed: Counter<u64>,
    pub(super) rate_limited: Gauge<u64>,
    pub(super) rate_limited_users: RateLimited,
    pub(super) requests_waiting: Gauge<u64>,
    pub(super) waiting_users: RateLimited,
    pub(super) approval_waiting: Gauge<u64>,
    pub(super) approval_users: BTreeMap<Pause, RateLimited>,
    pub(super) break_glass: Counter<u64>,
}

/// Work that waits.
pub(super) struct Backlog {
    pub(super) queue_depth: Gauge<u64>,
    pub(super) oldest_job: Gauge<f64>,
    pub(super) lane_depth: Gauge<u64>,
    pub(super) lane_held: Gauge<u64>,
    pub(super) lane_oldest_job: Gauge<f64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let counter = |name, text| counter(meter, name, text);
        let gauge = |name, text| gauge(meter, name, text);
        let after_request = |name, text| histogram(meter, name, text, &ACCESS_BOUNDARIES);

        Self {
            jobs: counter("offboarder_jobs", "Jobs that ended, by outcome"),
            transitions: counter(
                "offboarder_transitions",
                "Steps completed, by the states before and after",
            ),
            step_duration: histogram(
                meter,
                "offboarder_step_duration_seconds",
                "Duration of a step, whether it succeeded or not",
                &STEP_BOUNDARIES,
            ),
            in_flight: in_flight(meter),
            access_removed: after_request(
                "offboarder_access_removed_seconds",
                "Time from the request until a read showed the account deactivated",
            ),
            sessions_ended: after_request(
                "offboarder_sessions_ended_seconds",
                "Time from the request until the last session, token and key had ended",
            ),
            api_requests: counter(
                "offboarder_api_requests",
                "Answers of the tenant's API; status 0 is no answer",
            ),
            api_throttled: counter(
                "offboarder_api_throttled",
                "Calls that the tenant's API answered with 429",
            ),
            retries: counter(
                "offboarder_retries",
                "Steps that will be retried, by kind of failure",
            ),
            dead_letters: counter("offboarder_dead_letters", "Dead letters, by reason"),
            archive_bytes: counter("offboarder_archive_bytes", "Bytes of archives stored"),
            archive_conversations: counter(
                "offboarder_archive_conversations",
                "Conversations archived",
            ),
            checkpoint_conflicts: counter(
                "offboarder_checkpoint_conflicts",
                "Saves refused because another worker had claimed the user",
            ),
            access: Access::new(meter),
            paused: gauge(
                "offboarder_paused",
                "1 while the worker takes no users, by failure code or `operator`",
            ),
            unhealthy: gauge(
                "offboarder_unhealthy",
                "1 while this worker makes no progress and a restart would help, as /healthz says",
            ),
            quota: gauge_f64(
                meter,
                "offboarder_quota_per_second",
                "Calls per second that the settings allow",
            ),
            deletions: Deletions::new(meter),
            backlog: Backlog::new(meter),
            evidence_log: EvidenceLog::new(meter),
        }
    }
}

fn in_flight(meter: &Meter) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter("offboarder_in_flight")
        .with_description("Users in progress")
        .build()
}

impl Access {
    fn new(meter: &Meter) -> Self {
        Self {
            refused: counter(
                meter,
                "offboarder_admin_refused",
                "Requests that the admin HTTP server refused, by reason",
            ),
            denied: counter(
                meter,
                "offboarder_denied",
                "What people asked for without the permission, by permission",
            ),
            people_unreadable: gauge(
                meter,
                "offboarder_people_unreadable",
                "1 while the people file cannot be used, so that it admits nobody",
            ),
        }
    }
}

impl Deletions {
    fn new(meter: &Meter) -> Self {
        Self {
            postponed: counter(
                meter,
                "offboarder_deletions_postponed",
                "Deletions that a guard postponed; each check counts",
            ),
            rate_limited: gauge(
                meter,
                "offboarder_brake_waiting",
                "Users whose deletion waits for the deletion rate limit, as this worker knows",
            ),
            rate_limited_users: RateLimited::default(),
            requests_waiting: gauge(
                meter,
                "offboarder_requests_waiting",
                "Users whom no order names and who wait for their limit, as this worker knows",
            ),
            waiting_users: RateLimited::default(),
            approval_waiting: gauge(
                meter,
                "offboarder_approval_waiting",
                "Users whose deletion waits for a second person's approval, as this worker knows; \
                 `why` is the word that users list shows",
            ),
            approval_users: Pause::OF_APPROVAL
                .map(|why| (why, RateLimited::default()))
                .into(),
            break_glass: counter(
                meter,
                "offboarder_break_glass",
                "Deletions that an admin permitted without the approval of others",
            ),
        }
    }
}

impl EvidenceLog {
    fn new(meter: &Meter) -> Self {
        Self {
            stalled: gauge(
                meter,
                "offboarder_evidence_log_stalled_seconds",
                "Since when this worker could not continue the evidence log; 0 if it could",
            ),
            witnesses_behind: gauge(
                meter,
                "offboarder_evidence_log_witnesses_behind",
                "Witnesses that have not cosigned the last step of the evidence log",
            ),
        }
    }
}

impl Backlog {
    fn new(meter: &Meter) -> Self {
        Self {
            queue_depth: gauge(
                meter,
                "offboarder_queue_depth",
                "Messages that wait in a queue",
            ),
            oldest_job: gauge_f64(
                meter,
                "offboarder_oldest_job_seconds",
                "How long the oldest job of a queue has waited, as this worker knows: since the \
                 request or since it was due; in offboarding.wait.* since this worker delayed it; \
                 in offboarding.dead since it became a dead letter",
            ),
            lane_depth: gauge(
                meter,
                "offboarder_lane_depth",
                "Jobs of a lane that wait in its two queues and that no worker has taken",
            ),
            lane_held: gauge(
                meter,
                "offboarder_lane_held",
                "Jobs of a lane that this worker has taken or delayed",
            ),
            lane_oldest_job: gauge_f64(
                meter,
                "offboarder_lane_oldest_job_seconds",
                "How long the oldest job of a lane has waited, in its two queues, in this worker, \
                 or delayed by it",
            ),
        }
    }
}

fn counter(meter: &Meter, name: &'static str, text: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_description(text).build()
}

fn gauge(meter: &Meter, name: &'static str, text: &'static str) -> Gauge<u64> {
    meter.u64_gauge(name).with_description(text).build()
}

fn gauge_f64(meter: &Meter, name: &'static str, text: &'static str) -> Gauge<f64> {
    meter.f64_gauge(name).with_description(text).build()
}

fn histogram(
    meter: &Meter,
    name: &'static str,
    text: &'static str,
    boundaries: &[f64],
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_description(text)
        .with_boundaries(boundaries.to_vec())
        .build()
}

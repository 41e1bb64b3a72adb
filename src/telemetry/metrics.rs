//! The metrics of `docs/contract/interfaces.md`, one set of OpenTelemetry instruments for the whole
//! process. Labels are words of ours, never an ID or a text: their number is bounded.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::failure::{Class, Code, Reason};
use crate::job::{Lane, UserId};
use crate::limits::QuotaClass;
use crate::machine::{Pause, StateName};

/// Seconds from the request to the deactivation: from an API's speed to a lost weekend.
const ACCESS_BOUNDARIES: [f64; 14] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
    259_200.0,
];
/// Seconds of a step: most are calls, an archive may take hours.
const STEP_BOUNDARIES: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 14_400.0,
];

/// The instruments. Before [`super::Telemetry::begin`] they count into nothing.
struct Instruments {
    jobs: Counter<u64>,
    transitions: Counter<u64>,
    step_duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    access_removed: Histogram<f64>,
    api_requests: Counter<u64>,
    api_throttled: Counter<u64>,
    retries: Counter<u64>,
    dead_letters: Counter<u64>,
    archive_bytes: Counter<u64>,
    archive_conversations: Counter<u64>,
    paused: Gauge<u64>,
    checkpoint_conflicts: Counter<u64>,
    deletions_postponed: Counter<u64>,
    quota: Gauge<f64>,
    brake_waiting: Gauge<u64>,
    queue_depth: Gauge<u64>,
    oldest_job: Gauge<f64>,
    lane_depth: Gauge<u64>,
    lane_held: Gauge<u64>,
    lane_oldest_job: Gauge<f64>,
    unhealthy: Gauge<u64>,
    admin_refused: Counter<u64>,
}

static INSTRUMENTS: LazyLock<Instruments> =
    LazyLock::new(|| Instruments::of(&global::meter("offboarder")));

impl Instruments {
    fn of(meter: &Meter) -> Self {
        let counter = |name, what| meter.u64_counter(name).with_description(what).build();
        Self {
            jobs: counter("offboarder_jobs", "Jobs that came to an end, by outcome"),
            transitions: counter("offboarder_transitions", "Steps completed, by the states around them"),
            step_duration: meter
                .f64_histogram("offboarder_step_duration_seconds")
                .with_description("How long a step took, whether it succeeded or not")
                .with_boundaries(STEP_BOUNDARIES.to_vec())
                .build(),
            in_flight: meter
                .i64_up_down_counter("offboarder_in_flight")
                .with_description("Users in progress")
                .build(),
            access_removed: meter
                .f64_histogram("offboarder_access_removed_seconds")
                .with_description("From the request until the account was seen deactivated")
                .with_boundaries(ACCESS_BOUNDARIES.to_vec())
                .build(),
            api_requests: counter(
                "offboarder_api_requests",
                "Answers of the CXone API; status 0 is no answer",
            ),
            api_throttled: counter("offboarder_api_throttled", "Calls that CXone answered with 429"),
            retries: counter("offboarder_retries", "Steps that will be tried again, by why"),
            dead_letters: counter("offboarder_dead_letters", "Jobs given up, by reason"),
            archive_bytes: counter("offboarder_archive_bytes", "Bytes of archives stored"),
            archive_conversations: counter("offboarder_archive_conversations", "Conversations archived"),
            paused: meter
                .u64_gauge("offboarder_paused")
                .with_description("1 while no users are taken, by failure code or `operator`")
                .build(),
            checkpoint_conflicts: counter(
                "offboarder_checkpoint_conflicts",
                "Saves refused because another worker had the user",
            ),
            deletions_postponed: counter(
                "offboarder_deletions_postponed",
                "Deletions that a guard made wait, once for each look",
            ),
            brake_waiting: meter
                .u64_gauge("offboarder_brake_waiting")
                .with_description("Users whose deletion this worker saw wait for the brake")
                .build(),
            queue_depth: meter
                .u64_gauge("offboarder_queue_depth")
                .with_description("Messages that wait in a queue")
                .build(),
            oldest_job: meter
                .f64_gauge("offboarder_oldest_job_seconds")
                .with_description(
                    "How long the oldest job of a queue has waited, as this worker sees it: since the request or since \
                     it was due; in offboarding.wait.* since this worker parked it; in offboarding.dead since the \
                     letter was written",
                )
                .build(),
            lane_depth: meter
                .u64_gauge("offboarder_lane_depth")
                .with_description("Jobs of a lane that wait in its two queues, in no worker's hands")
                .build(),
            lane_held: meter
                .u64_gauge("offboarder_lane_held")
                .with_description("Jobs of a lane that this worker has in hand, in progress or not, or has parked")
                .build(),
            lane_oldest_job: meter
                .f64_gauge("offboarder_lane_oldest_job_seconds")
                .with_description(
                    "How long the oldest job of a lane has waited, in its two queues, in the hands of this worker, or \
                     parked by it",
                )
                .build(),
            unhealthy: meter
                .u64_gauge("offboarder_unhealthy")
                .with_description("1 while this worker does not get on and a restart would help, as /healthz says")
                .build(),
            admin_refused: counter(
                "offboarder_admin_refused",
                "Requests that the admin HTTP refused to let in, by reason",
            ),
            quota: meter
                .f64_gauge("offboarder_quota_per_second")
                .with_description("Calls a second that the tenant allows, as set")
                .build(),
        }
    }
}

/// What `/metrics` shows.
#[derive(Clone)]
pub(crate) struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// With what reads the instruments for it.
    pub(super) fn new() -> Result<(Self, PrometheusExporter), String> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| error.to_string())?;
        Ok((Self { registry }, reader))
    }

    /// In the text format of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| error.to_string())?;
        Ok(text)
    }
}

/// Everything that may never happen is there from the start, so that a rule can see it rise from 0.
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
    for reason in ["no_token", "wrong_token", "read_token", "foreign_host"] {
        INSTRUMENTS
            .admin_refused
            .add(0, &[KeyValue::new("reason", reason)]);
    }
    INSTRUMENTS.in_flight.add(0, &[]);
    unhealthy(false);
    INSTRUMENTS.archive_bytes.add(0, &[]);
    INSTRUMENTS.archive_conversations.add(0, &[]);
    INSTRUMENTS.checkpoint_conflicts.add(0, &[]);
}

/// A user's off-boarding ended, and its manifest is stored.
pub(crate) fn finished(state: StateName) {
    let outcome = if state == StateName::Deleted {
        "deleted"
    } else {
        "deactivated-only"
    };
    INSTRUMENTS
        .jobs
        .add(1, &[KeyValue::new("outcome", outcome)]);
}

/// A job was given up.
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

/// A step ended, well or not.
pub(crate) fn step_took(step: &'static str, took: Duration) {
    INSTRUMENTS
        .step_duration
        .record(took.as_secs_f64(), &[KeyValue::new("step", step)]);
}

/// The account was seen deactivated so long after it was asked for.
pub(crate) fn access_removed(after: Duration) {
    INSTRUMENTS.access_removed.record(after.as_secs_f64(), &[]);
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

/// A guard makes a deletion wait.
pub(crate) fn deletion_postponed(guard: Pause) {
    INSTRUMENTS
        .deletions_postponed
        .add(1, &[KeyValue::new("guard", guard.as_str())]);
}

/// Users whose deletion waits for the brake, until when.
static BRAKED: Mutex<BTreeMap<UserId, Instant>> = Mutex::new(BTreeMap::new());

/// The deletion of this user waits for the brake.
pub(crate) fn braked(user_id: UserId, wait: Duration) {
    BRAKED.lock().insert(user_id, Instant::now() + wait);
}

/// Counts those who still wait for the brake, as far as this worker knows.
pub(crate) fn tell_braked() {
    let mut braked = BRAKED.lock();
    let now = Instant::now();
    braked.retain(|_user_id, until| *until > now);
    INSTRUMENTS.brake_waiting.record(braked.len() as u64, &[]);
}

/// Messages in a queue that are in nobody's hands.
pub(crate) fn queue_depth(queue: &str, depth: u64) {
    INSTRUMENTS
        .queue_depth
        .record(depth, &[KeyValue::new("queue", queue.to_owned())]);
}

/// How long the oldest job of a queue has waited.
pub(crate) fn oldest_job(queue: &str, seconds: f64) {
    INSTRUMENTS
        .oldest_job
        .record(seconds, &[KeyValue::new("queue", queue.to_owned())]);
}

/// What there is of a lane.
pub(crate) struct LaneBacklog {
    pub(crate) depth: u64,
    /// In this worker's hands, or parked by it.
    pub(crate) held: u64,
    /// How long the oldest of these has waited.
    pub(crate) oldest_seconds: f64,
}

/// How much work of a lane there is, and how old it is.
pub(crate) fn lane(lane: Lane, backlog: &LaneBacklog) {
    let labels = [KeyValue::new("lane", lane.as_str())];
    INSTRUMENTS.lane_depth.record(backlog.depth, &labels);
    INSTRUMENTS.lane_held.record(backlog.held, &labels);
    INSTRUMENTS
        .lane_oldest_job
        .record(backlog.oldest_seconds, &labels);
}

/// Another worker has the user of a save.
pub(crate) fn checkpoint_conflict() {
    INSTRUMENTS.checkpoint_conflicts.add(1, &[]);
}

/// No users are taken, because of this; or they are again.
pub(crate) fn paused(cause: Code, is_paused: bool) {
    INSTRUMENTS.paused.record(
        u64::from(is_paused),
        &[KeyValue::new("cause", cause.as_str())],
    );
}

/// No users are taken, because an operator said so; or they are again.
pub(crate) fn paused_by_operator(is_paused: bool) {
    INSTRUMENTS
        .paused
        .record(u64::from(is_paused), &[KeyValue::new("cause", "operator")]);
}

/// A restart would help this worker; or it gets on.
pub(crate) fn unhealthy(is_unhealthy: bool) {
    INSTRUMENTS.unhealthy.record(u64::from(is_unhealthy), &[]);
}

/// The admin HTTP refused a request: a word of the gate.
pub(crate) fn admin_refused(reason: &'static str) {
    INSTRUMENTS
        .admin_refused
        .add(1, &[KeyValue::new("reason", reason)]);
}

/// The quota of a class, as set.
pub(crate) fn quota(class: QuotaClass, per_second: f64) {
    INSTRUMENTS
        .quota
        .record(per_second, &[KeyValue::new("class", class.as_str())]);
}

/// A user in progress, as long as it lives.
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

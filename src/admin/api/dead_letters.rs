use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;
use utoipa::{IntoParams, ToSchema};

use super::{Api, Inner, Signed, to_its_end};
use crate::admin::gate::Role;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, Query, some, within};
use crate::failure::Reason;
use crate::job::{BatchId, UserId};
use crate::operations::dead_letters::{
    self, Assessor, DeadLetterFilter, DeadLetterId, Discard, DiscardResult, FullDeadLetter, Group,
    Listing, Replay, ReplayResult,
};
use crate::operations::fleet::{Fleet, fleet};

/// Which dead letters; each given filter has to match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Dead letters with these IDs.
    #[serde(default)]
    #[param(required = false)]
    letters: Vec<DeadLetterId>,
    /// Only dead letters of these users.
    #[serde(default)]
    #[param(required = false)]
    users: Vec<UserId>,
    /// Only dead letters of this batch.
    batch: Option<BatchId>,
    /// Only dead letters with one of these reasons.
    #[serde(default)]
    #[param(required = false)]
    reasons: Vec<Reason>,
    /// Only dead letters since this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Maximum number of dead letters, oldest first. When counting, the first ones in queue order; unlimited by default.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

impl Wanted {
    fn filter(self, default_limit: Option<usize>) -> DeadLetterFilter {
        DeadLetterFilter {
            ids: self.letters.into_iter().collect(),
            users: self.users.into_iter().collect(),
            batch: self.batch,
            reasons: self.reasons,
            since: self.since,
            limit: self
                .limit
                .map(|limit| super::limit(Some(limit), 0))
                .or(default_limit),
        }
    }
}

const LISTED: usize = 100;

/// Lists dead letters, oldest first
///
/// At most 100, unless a limit is given. This takes no dead letter off the queue.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters", operation_id = "listDeadLetters", params(Wanted),
    responses((status = 200, description = "The dead letters", body = Listing)),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listing>, Problem> {
    let filter = wanted.filter(Some(LISTED));
    Ok(Json(
        dead_letters::list(&*api.broker, Some(&*api.stores.checkpoints), &filter).await?,
    ))
}

/// Groups of dead letters
#[derive(Serialize, ToSchema)]
pub(super) struct Groups {
    /// Largest group first.
    groups: Vec<Group>,
    /// What keeps users waiting now.
    fleet: Fleet,
}

/// Counts dead letters by fault, and says whether a replay is safe now
#[utoipa::path(
    get, path = "/api/v1/dead-letters/groups", tag = "dead letters", operation_id = "groupDeadLetters",
    params(Wanted),
    responses((status = 200, description = "The groups", body = Groups)),
)]
pub(super) async fn groups(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Groups>, Problem> {
    let assessor = Assessor::new(Arc::clone(&api.services));
    Ok(Json(Groups {
        groups: dead_letters::groups(&*api.broker, &wanted.filter(None), &assessor).await?,
        fleet: fleet(&api.fleet, api.services.clock.now()).await,
    }))
}

/// Shows a dead letter with headers, properties and body
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{letterId}", tag = "dead letters", operation_id = "showDeadLetter",
    params(("letterId" = DeadLetterId, Path, description = "The ID of the dead letter")),
    responses(
        (status = 200, description = "The dead letter", body = FullDeadLetter),
        (status = 404, description = "`no_such_letter`: the dead letter is not in the queue", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(id): At<DeadLetterId>,
) -> Result<Json<FullDeadLetter>, Problem> {
    let filter = DeadLetterFilter {
        ids: [id].into(),
        limit: Some(1),
        ..DeadLetterFilter::default()
    };
    dead_letters::show(&*api.broker, &filter)
        .await?
        .pop()
        .map(Json)
        .ok_or_else(no_such_letter)
}

fn no_such_letter() -> Problem {
    let detail = "no dead letter in the queue has this ID or user; a dead letter that someone else is reading is not visible";
    Problem::not_found("no_such_letter", detail)
}

/// What to replay, and how
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplayOrder {
    /// Dead letters with these IDs.
    #[serde(default)]
    letters: Vec<DeadLetterId>,
    /// Only dead letters of these users.
    #[serde(default)]
    users: Vec<UserId>,
    /// Only dead letters of this batch.
    batch: Option<BatchId>,
    /// Only dead letters with one of these reasons.
    #[serde(default)]
    reasons: Vec<Reason>,
    /// Only dead letters since this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Maximum number of dead letters, oldest first.
    #[serde(default, deserialize_with = "within::<1, 500, _>")]
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u64>,
    /// Maximum number of dead letters per second.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[schema(minimum = 1, maximum = 1000)]
    rate: Option<u64>,
    /// Also replay dead letters that are not safe to replay yet.
    #[serde(default)]
    anyway: bool,
    /// Report what would be replayed, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The operator. The audit log adds which worker was asked, and with which token.
    who: Line,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Publishes the messages of dead letters again, with fresh attempts
///
/// It works on the dead letters that are in the queue when it begins, resumes each user at the last completed step, and
/// responds when it is done. It runs to its end even if the client disconnects. A worker runs one replay or discard at a
/// time. A canary takes minutes, so only `offboarder dead-letters replay --canary` has one.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/replay", tag = "dead letters", operation_id = "replayDeadLetters",
    request_body(content = ReplayOrder, example = json!({
        "reasons": ["retries_exhausted"], "limit": 50, "rate": 5, "dryRun": true,
        "who": "ada", "why": "CXone is back",
    })),
    responses(
        (status = 200, description = "What happened to each dead letter", body = ReplayResult),
        (status = 404, description = "`no_such_letter`: IDs or users were named, and no dead letter has one of them",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker already runs a replay or a discard", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<ReplayOrder>,
) -> Result<Json<Value>, Problem> {
    let turn = take_turn(&api.0)?;
    to_its_end(async move {
        let _turn = turn;
        run_replay(&api, role, order).await
    })
    .await
}

fn take_turn(api: &Inner) -> Result<OwnedMutexGuard<()>, Problem> {
    let busy = |_locked| {
        Problem::busy("this worker already runs a replay or a discard; try again when it is done")
    };
    Arc::clone(&api.replay_or_discard)
        .try_lock_owned()
        .map_err(busy)
}

impl ReplayOrder {
    fn filter(&self) -> DeadLetterFilter {
        DeadLetterFilter {
            ids: self.letters.iter().cloned().collect(),
            users: self.users.iter().copied().collect(),
            batch: self.batch.clone(),
            reasons: self.reasons.clone(),
            since: self.since,
            limit: Some(super::limit(self.limit, LISTED)),
        }
    }
}

async fn run_replay(api: &Api, role: Role, order: ReplayOrder) -> Result<Json<Value>, Problem> {
    let filter = order.filter();
    let names_any = filter.names_any();
    let replay = Replay {
        broker: &*api.0.broker,
        checkpoints: &*api.0.stores.checkpoints,
        services: &api.0.services,
        pace: order
            .rate
            .map(|rate| Duration::from_micros(1_000_000 / rate.max(1))),
        canary: None,
        anyway: order.anyway,
    };
    let plan = replay.plan(filter).await?;
    if plan.is_empty() && names_any {
        return Err(no_such_letter());
    }

    let report = if order.dry_run {
        plan.dry_run()
    } else {
        let signed = Signed {
            who: order.who,
            why: order.why,
        };
        let replayed = replay.execute(plan, &api.operator(signed, role)).await;
        if let Some(failure) = replayed.failure {
            let progress = format!(
                "{} dead letters were replayed and {} cleared before that; the same request continues",
                replayed.done.moved.len(),
                replayed.done.cleared.len()
            );
            return Err(Problem::from(failure).and(&progress));
        }
        replayed.done
    };
    Ok(Json(json!(ReplayResult {
        dry_run: order.dry_run,
        report: &report,
        error: None
    })))
}

/// What to discard
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DiscardOrder {
    /// The IDs of the dead letters: a discard has no other filter, because it cannot be undone.
    #[serde(deserialize_with = "some::<100, _, _>")]
    #[schema(min_items = 1, max_items = 100)]
    letters: Vec<DeadLetterId>,
    /// Report what would be discarded, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The operator. The audit log adds which worker was asked, and with which token.
    who: Line,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Takes dead letters off the queue for good, after a copy of each is in the archive store
///
/// It responds when it is done, and runs to its end even if the client disconnects. IDs of dead letters that are not in
/// the queue are ignored.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/discard", tag = "dead letters", operation_id = "discardDeadLetters",
    request_body(content = DiscardOrder, example = json!({
        "letters": ["0123456789abcdef"], "who": "ada", "why": "a test of HR",
    })),
    responses(
        (status = 200, description = "What was discarded", body = DiscardResult),
        (status = 404, description = "`no_such_letter`: none of them is in the queue", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker already runs a replay or a discard", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn discard(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<DiscardOrder>,
) -> Result<Json<DiscardResult>, Problem> {
    let turn = take_turn(&api.0)?;
    to_its_end(async move {
        let _turn = turn;
        run_discard(&api, role, order).await
    })
    .await
}

async fn run_discard(
    api: &Api,
    role: Role,
    order: DiscardOrder,
) -> Result<Json<DiscardResult>, Problem> {
    let services = &api.0.services;
    let discard = Discard {
        broker: &*api.0.broker,
        store: &services.archive_store,
        clock: &services.clock,
    };
    let filter = DeadLetterFilter {
        ids: order.letters.into_iter().collect(),
        ..DeadLetterFilter::default()
    };
    let plan = discard.plan(filter).await?;
    if plan.to_discard() == 0 {
        return Err(no_such_letter());
    }
    if order.dry_run {
        return Ok(Json(discard.dry_run(plan)));
    }

    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    let discarded = discard.execute(plan, &api.operator(signed, role)).await;
    if let Some(failure) = discarded.failure {
        let progress = format!(
            "{} dead letters were discarded before that; the same request continues",
            discarded.done.discarded.len()
        );
        return Err(Problem::from(failure).and(&progress));
    }
    Ok(Json(discarded.done))
}

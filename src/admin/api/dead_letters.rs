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
    self, Discard, DiscardTold, Group, Judge, Letter, LetterId, Listing, Pick, Replay, ReplayTold,
    Report, Whole, look,
};
use crate::registers::audit_log::AuditLog;

/// Which letters are meant; all that is said has to hold.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Letters of these IDs.
    #[serde(default)]
    #[param(required = false)]
    letters: Vec<LetterId>,
    /// Those of these users.
    #[serde(default)]
    #[param(required = false)]
    users: Vec<UserId>,
    /// Those of this batch.
    batch: Option<BatchId>,
    /// Those given up for one of these reasons.
    #[serde(default)]
    #[param(required = false)]
    reasons: Vec<Reason>,
    /// Those given up since.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// So many of them, the oldest. Where letters are counted, so many as they come; all of them by default.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

impl Wanted {
    fn pick(self, default_limit: Option<usize>) -> Pick {
        Pick {
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

/// Lists dead letters, the oldest first
///
/// 100 of them where no limit is given. Looking takes no letter off the queue.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters", operation_id = "listDeadLetters", params(Wanted),
    responses((status = 200, description = "The letters", body = Listing)),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listing>, Problem> {
    let pick = wanted.pick(Some(LISTED));
    Ok(Json(
        dead_letters::list(&*api.broker, Some(&*api.stores.checkpoints), &pick).await?,
    ))
}

/// Groups of dead letters.
#[derive(Serialize, ToSchema)]
pub(super) struct Groups {
    /// The largest first.
    groups: Vec<Group>,
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
    let judge = Judge::new(Arc::clone(&api.services));
    Ok(Json(Groups {
        groups: dead_letters::groups(&*api.broker, &wanted.pick(None), &judge).await?,
    }))
}

/// All of a letter: headers, properties, body
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{letterId}", tag = "dead letters", operation_id = "showDeadLetter",
    params(("letterId" = LetterId, Path, description = "As the list shows it")),
    responses(
        (status = 200, description = "The letter", body = Whole),
        (status = 404, description = "`no_such_letter`", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(id): At<LetterId>,
) -> Result<Json<Whole>, Problem> {
    let pick = Pick {
        ids: [id].into(),
        limit: Some(1),
        ..Pick::default()
    };
    dead_letters::show(&*api.broker, &pick)
        .await?
        .pop()
        .map(Json)
        .ok_or_else(no_such_letter)
}

fn no_such_letter() -> Problem {
    let detail = "no letter in the queue is of this name or user; one that somebody looks at is out of sight";
    Problem::not_found("no_such_letter", detail)
}

/// What to replay, and how.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplayOrder {
    /// Letters of these IDs.
    #[serde(default)]
    letters: Vec<LetterId>,
    /// Those of these users.
    #[serde(default)]
    users: Vec<UserId>,
    /// Those of this batch.
    batch: Option<BatchId>,
    /// Those given up for one of these reasons.
    #[serde(default)]
    reasons: Vec<Reason>,
    /// Those given up since.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// So many of them, the oldest.
    #[serde(default, deserialize_with = "within::<1, 500, _>")]
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u64>,
    /// At most so many a second.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[schema(minimum = 1, maximum = 1000)]
    rate: Option<u64>,
    /// Also those that are not safe to replay yet.
    #[serde(default)]
    anyway: bool,
    /// Say what would be replayed, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Who, as the client says. The log of acts adds which worker was asked, and with which token.
    who: Line,
    /// Why, for those who look later.
    why: Line,
}

/// Puts dead letters back to work, with fresh attempts
///
/// It works on the letters that stand there when it begins, resumes each user at the last completed step, and
/// answers when it is done; it runs to its end though the client hangs up. A worker does one replay or discard at a
/// time. There is no canary here, which takes minutes: `offboarder dead-letters replay --canary` has one.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/replay", tag = "dead letters", operation_id = "replayDeadLetters",
    request_body(content = ReplayOrder, example = json!({
        "reasons": ["retries_exhausted"], "limit": 50, "rate": 5, "dryRun": true,
        "who": "ada", "why": "CXone is back",
    })),
    responses(
        (status = 200, description = "What became of each letter", body = ReplayTold),
        (status = 404, description = "`no_such_letter`: letters or users were named, and none is there",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker replays or discards already", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<ReplayOrder>,
) -> Result<Json<Value>, Problem> {
    let alone = alone(&api.0)?;
    to_its_end(async move {
        let _alone = alone;
        replay_alone(&api, role, order).await
    })
    .await
}

fn alone(api: &Inner) -> Result<OwnedMutexGuard<()>, Problem> {
    let busy = |_locked| {
        Problem::busy("this worker replays or discards already; look again when it is done")
    };
    Arc::clone(&api.letters).try_lock_owned().map_err(busy)
}

async fn replay_alone(api: &Api, role: Role, order: ReplayOrder) -> Result<Json<Value>, Problem> {
    let (anyway, dry_run) = (order.anyway, order.dry_run);
    let by = api.operator(
        Signed {
            who: order.who,
            why: order.why,
        },
        role,
    );
    let wanted = Wanted {
        letters: order.letters,
        users: order.users,
        batch: order.batch,
        reasons: order.reasons,
        since: order.since,
        limit: order.limit,
    };
    let pick = wanted.pick(Some(LISTED));
    let pace = order
        .rate
        .map(|rate| Duration::from_micros(1_000_000 / rate.max(1)));
    let services = &api.0.services;
    let replay = Replay {
        broker: &*api.0.broker,
        checkpoints: &*api.0.stores.checkpoints,
        pace,
        canary: None,
    };
    let (letters, _more) = look(&*api.0.broker, &pick).await?;
    if letters.is_empty() && pick.names_any() {
        return Err(no_such_letter());
    }
    let mut report = Report::default();
    let judge = Judge::new(Arc::clone(services));
    let chosen = replay.choose(&judge, letters, anyway, &mut report).await;
    if dry_run {
        report.moved = chosen;
    } else if !chosen.is_empty() {
        let audit_log = AuditLog::new(services.archive_store.clone(), services.clock.clone());
        let result = replay
            .on_record(&audit_log, &by, (&pick, anyway), chosen, &mut report)
            .await;
        result.map_err(|failure| {
            let [moved, cleared] = [report.moved.len(), report.cleared.len()];
            let told = format!(
                "{moved} letters were replayed and {cleared} cleared before; asking again goes on"
            );
            Problem::from(failure).and(&told)
        })?;
    }
    Ok(Json(json!(ReplayTold {
        dry_run,
        report: &report,
        error: None
    })))
}

/// What to discard.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DiscardOrder {
    /// Letters of these IDs: what goes for good is named.
    #[serde(deserialize_with = "some::<100, _, _>")]
    #[schema(min_items = 1, max_items = 100)]
    letters: Vec<LetterId>,
    /// Say what would be discarded, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Who, as the client says. The log of acts adds which worker was asked, and with which token.
    who: Line,
    /// Why, for those who look later.
    why: Line,
}

/// Takes dead letters off for good, each after a copy is in the archive store
///
/// It answers when it is done, and runs to its end though the client hangs up. IDs of letters that are not there are
/// not among what is told.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/discard", tag = "dead letters", operation_id = "discardDeadLetters",
    request_body(content = DiscardOrder, example = json!({
        "letters": ["0123456789abcdef"], "who": "ada", "why": "a test of HR",
    })),
    responses(
        (status = 200, description = "What was discarded", body = DiscardTold),
        (status = 404, description = "`no_such_letter`: none of them is there", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker replays or discards already", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn discard(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<DiscardOrder>,
) -> Result<Json<DiscardTold>, Problem> {
    let alone = alone(&api.0)?;
    to_its_end(async move {
        let _alone = alone;
        discard_alone(&api, role, order).await
    })
    .await
}

async fn discard_alone(
    api: &Api,
    role: Role,
    order: DiscardOrder,
) -> Result<Json<DiscardTold>, Problem> {
    let services = &api.0.services;
    let store = &services.archive_store;
    let pick = Pick {
        ids: order.letters.into_iter().collect(),
        ..Pick::default()
    };
    let (letters, _more) = look(&*api.0.broker, &pick).await?;
    if letters.is_empty() {
        return Err(no_such_letter());
    }
    if order.dry_run {
        return Ok(Json(DiscardTold::new(true, &**store, letters, Vec::new())));
    }
    let by = api.operator(
        Signed {
            who: order.who,
            why: order.why,
        },
        role,
    );
    let discard = Discard {
        broker: &*api.0.broker,
        store,
        clock: &services.clock,
        by,
    };
    let mut discarded: Vec<Letter> = Vec::new();
    match discard.on_record(&pick, &letters, &mut discarded).await {
        Ok(gone) => Ok(Json(DiscardTold::new(false, &**store, discarded, gone))),
        Err(failure) => {
            let told = format!(
                "{} letters were discarded before; asking again goes on",
                discarded.len()
            );
            Err(Problem::from(failure).and(&told))
        }
    }
}

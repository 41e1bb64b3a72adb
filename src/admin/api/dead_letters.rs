use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;
use utoipa::openapi::schema::{OneOfBuilder, Schema, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{Api, Inner, Signed, to_its_end};
use crate::admin::gate::Role;
use crate::admin::picked::{CHANGED_AT_MOST, Picked};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, Query};
use crate::operations::dead_letters::{
    self, DeadLetterFilter, DeadLetterId, Discard, DiscardResult, Listing, Replay, ReplayResult,
    ShownDeadLetter,
};

/// The limit of a list if none is given, and the highest one.
const LISTED: usize = 100;
pub(super) const LISTED_AT_MOST: usize = 1000;

/// Lists dead letters, oldest first
///
/// At most 100, unless a limit is given, which may be 1000. This takes no dead letter off the queue.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters", operation_id = "listDeadLetters",
    params(DeadLetterFilter),
    responses(
        (status = 200, description = "The dead letters", body = Listing),
        (status = 404, description = "`no_such_group`: no dead letter has a fingerprint that begins so", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<Listing>, Problem> {
    let filter = filter.or_limit(LISTED);
    at_most(&filter, LISTED_AT_MOST).map_err(Problem::bad_request)?;
    let checkpoints = Some(&*api.stores.checkpoints);
    Ok(Json(
        dead_letters::list(&*api.broker, checkpoints, filter).await?,
    ))
}

/// Refuses a limit that a request could not keep in its time.
pub(super) fn at_most(filter: &DeadLetterFilter, most: usize) -> Result<(), String> {
    if filter.limit.is_some_and(|limit| limit > most) {
        return Err(format!("limit: at most {most} dead letters in one request"));
    }
    Ok(())
}

/// Shows a dead letter with headers, properties and body
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{letterId}", tag = "dead letters", operation_id = "showDeadLetter",
    params(("letterId" = DeadLetterId, Path, description = "The ID of the dead letter")),
    responses(
        (status = 200, description = "The dead letter", body = ShownDeadLetter),
        (status = 404, description = "`no_such_letter`: the dead letter is not in the queue", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(id): At<DeadLetterId>,
) -> Result<Json<ShownDeadLetter>, Problem> {
    let filter = DeadLetterFilter {
        letter: [id].into(),
        limit: Some(1),
        ..DeadLetterFilter::default()
    };
    dead_letters::show(
        &*api.broker,
        Some(&api.services),
        api.deployment.runbook.as_ref(),
        filter,
    )
    .await?
    .pop()
    .map(Json)
    .ok_or_else(no_such_letter)
}

fn no_such_letter() -> Problem {
    let detail = "no dead letter in the queue has this ID or user; a dead letter that someone else is reading is not visible";
    Problem::not_found("no_such_letter", detail)
}

/// Which dead letters to replay, and how. Without a filter, `all` has to be true
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplayOrder {
    /// Maximum rate.
    #[serde(default)]
    rate: Option<PerSecond>,
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

type ReplayBody = Picked<ReplayOrder>;
type DiscardBody = Picked<DiscardOrder>;

/// At most 999 dead letters per second.
struct PerSecond(u32);

impl PerSecond {
    fn read(given: &Value) -> Option<Self> {
        let number = match given {
            Value::Number(number) => number.as_f64()?,
            Value::String(text) => text.strip_suffix("/s")?.parse::<u16>().ok()?.into(),
            _ => return None,
        };
        // In JSON, 5.0 and 5 are the same number.
        let whole: u32 = format!("{number}").parse().ok()?;
        (1..1000).contains(&whole).then_some(Self(whole))
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1) / self.0
    }
}

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize<D: Deserializer<'de>>(rate: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(rate)?;
        Self::read(&given).ok_or_else(|| {
            let why = "rate: give dead letters per second, 1 to 999, as a number or as \"5/s\"";
            D::Error::custom(why)
        })
    }
}

impl PartialSchema for PerSecond {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(999));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[1-9][0-9]{0,2}/s$"));
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for PerSecond {}

/// Publishes the messages of dead letters again, with fresh attempts
///
/// It works on the dead letters that are in the queue when it begins, resumes each user at the last completed step, and
/// responds when it is done. It runs to its end even if the client disconnects. A worker runs one replay or discard at a
/// time. A canary takes minutes, so only `offboarder dead-letters replay --canary` has one.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/replay", tag = "dead letters", operation_id = "replayDeadLetters",
    request_body(content = ReplayBody, example = json!({
        "group": ["2d1f5436374b"], "limit": 50, "rate": "5/s", "dryRun": true,
        "who": "ada", "why": "CXone is back",
    })),
    responses(
        (status = 200, description = "What happened to each dead letter", body = ReplayResult),
        (status = 404, description = "`no_such_letter`: IDs or users were named, and no dead letter has one of them; \
            `no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker already runs a replay or a discard; `ambiguous_group`",
            body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<Picked<ReplayOrder>>,
) -> Result<Json<Value>, Problem> {
    let filter = to_change(order.filter)?;
    let order = order.rest;
    let turn = take_turn(&api.0)?;
    to_its_end(async move {
        let _turn = turn;
        run_replay(&api, role, filter, order).await
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

/// The filter of a change, with a limit.
fn to_change(filter: DeadLetterFilter) -> Result<DeadLetterFilter, Problem> {
    if filter.is_empty() && !filter.all {
        let detail = "the body: name dead letters by `letter`, `group`, `user`, `batch`, `reason`, `code`, `step`, `state`, \
                      `since` or `limit`; `\"all\": true` means all of them";
        return Err(unprocessable(detail));
    }
    let filter = filter.or_limit(LISTED);
    at_most(&filter, CHANGED_AT_MOST).map_err(|why| unprocessable(format!("the body: {why}")))?;
    Ok(filter)
}

fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
}

async fn run_replay(
    api: &Api,
    role: Role,
    filter: DeadLetterFilter,
    order: ReplayOrder,
) -> Result<Json<Value>, Problem> {
    let names_any = filter.names_any();
    let replay = Replay {
        broker: &*api.0.broker,
        checkpoints: &*api.0.stores.checkpoints,
        services: &api.0.services,
        pace: order.rate.as_ref().map(PerSecond::pace),
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

/// Which dead letters to discard. Without a filter, `all` has to be true
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DiscardOrder {
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
    request_body(content = DiscardBody, example = json!({
        "letter": ["0123456789abcdef"], "who": "ada", "why": "a test of HR",
    })),
    responses(
        (status = 200, description = "What was discarded", body = DiscardResult),
        (status = 404, description = "`no_such_letter`: none of them is in the queue; `no_such_group`", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`busy`: this worker already runs a replay or a discard; `ambiguous_group`",
            body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(super) async fn discard(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(order): Body<Picked<DiscardOrder>>,
) -> Result<Json<DiscardResult>, Problem> {
    let filter = to_change(order.filter)?;
    let order = order.rest;
    let turn = take_turn(&api.0)?;
    to_its_end(async move {
        let _turn = turn;
        run_discard(&api, role, filter, order).await
    })
    .await
}

async fn run_discard(
    api: &Api,
    role: Role,
    filter: DeadLetterFilter,
    order: DiscardOrder,
) -> Result<Json<DiscardResult>, Problem> {
    let services = &api.0.services;
    let discard = Discard {
        broker: &*api.0.broker,
        store: &services.archive_store,
        clock: &services.clock,
    };
    let names_any = filter.names_any();
    let plan = discard.plan(filter).await?;
    if plan.to_discard() == 0 && names_any {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_a_text_and_ends_within_a_request() {
        let read = |rate: Value| PerSecond::read(&rate).map(|rate| rate.pace());
        for rate in [json!(5), json!(5.0), json!("5/s")] {
            assert_eq!(read(rate), Some(Duration::from_millis(200)));
        }
        for wrong in [
            json!(0),
            json!(5.5),
            json!(1000),
            json!("30/m"),
            json!("5"),
            json!("0/s"),
            json!("1000/s"),
            json!(-1),
            json!(null),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_change_of_everything_has_to_say_so() {
        let filter = |members: Value| serde_json::from_value::<DeadLetterFilter>(members).unwrap();
        assert!(to_change(filter(json!({}))).is_err());
        assert!(to_change(filter(json!({ "all": false }))).is_err());
        assert!(to_change(filter(json!({ "limit": 501 }))).is_err());
        let all = to_change(filter(json!({ "all": true }))).unwrap();
        assert_eq!(all.limit, Some(LISTED));
    }
}

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, some};
use crate::job::UserId;
use crate::operations::holds::{HoldChanged, Holds as ChangeHolds};
use crate::people::Permission;
use crate::registers::{HoldRecords, OnHold, hold_of};

/// Legal holds
#[derive(Serialize, ToSchema)]
pub(crate) struct Holds {
    /// Sorted by user ID.
    pub(crate) holds: Vec<OnHold>,
}

/// Users to put on hold or whose holds to lift
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// At most 100 users.
    #[serde(deserialize_with = "some::<100, _, _>")]
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<UserId>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// The holds that were changed
#[derive(Serialize, ToSchema)]
pub(crate) struct Changed {
    /// Whether the users are on hold now.
    held: bool,
    pub(crate) users: Vec<UserId>,
    /// Users who were on hold before: their holds stay as they were set.
    pub(crate) already: Vec<OnHold>,
    /// Users for whom the hold may have come too late.
    #[serde(rename = "buts")]
    pub(crate) warnings: Vec<HoldWarning>,
}

/// Why a hold may have come too late for a user
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldWarning {
    pub(crate) user_id: UserId,
    /// For people.
    pub(crate) text: String,
}

/// Lists the users who are on hold
#[utoipa::path(
    get, path = "/api/v1/holds", tag = "holds", operation_id = "listHolds",
    responses((status = 200, description = "The holds", body = Holds)),
)]
pub(crate) async fn list(State(Api(api)): State<Api>) -> Result<Json<Holds>, Problem> {
    let store = &api.services.archive_store;
    let holds = HoldRecords::list(&**store)
        .await?
        .holds(store)
        .await?
        .into_iter();
    Ok(Json(Holds {
        holds: holds
            .map(|(user_id, hold)| OnHold::new(user_id, hold))
            .collect(),
    }))
}

/// Shows the hold of a user
#[utoipa::path(
    get, path = "/api/v1/holds/{userId}", tag = "holds", operation_id = "showHold",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The hold", body = OnHold),
        (status = 404, description = "`not_on_hold`: the user is not on hold", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<OnHold>, Problem> {
    let hold = hold_of(&*api.services.archive_store, user_id).await?;
    let missing = || Problem::not_found("not_on_hold", format!("{user_id} is not on hold"));
    hold.map(|hold| Json(OnHold::new(user_id, hold)))
        .ok_or_else(missing)
}

/// Puts users on hold
///
/// Users on hold are deactivated and archived, but never deleted. A worker reads the holds right before each DELETE.
#[utoipa::path(
    post, path = "/api/v1/holds", tag = "holds", operation_id = "addHolds",
    request_body(content = Change, example = json!({
        "users": ["3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], "who": "ada", "why": "case 4711",
    })),
    responses((status = 200, description = "The users are on hold", body = Changed)),
)]
pub(crate) async fn add(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(change): Body<Change>,
) -> Result<Json<Changed>, Problem> {
    set(api, &caller, change, true).await
}

/// Puts users on hold, of whom a person froze the set: they may be more than a request names.
pub(crate) async fn add_all(
    api: Api,
    caller: &Caller,
    users: Vec<UserId>,
    signed: Signed,
) -> Result<Changed, Problem> {
    let Signed { who, why } = signed;
    let change = Change { users, who, why };
    set(api, caller, change, true)
        .await
        .map(|changed| changed.0)
}

/// Lifts holds
///
/// To delete a user whose off-boarding ended at the hold, submit the user again with the action `delete`.
#[utoipa::path(
    post, path = "/api/v1/holds/remove", tag = "holds", operation_id = "removeHolds",
    request_body(content = Change, example = json!({
        "users": ["3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], "who": "ada", "why": "case 4711 is closed",
    })),
    responses((status = 200, description = "The users are not on hold", body = Changed)),
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(change): Body<Change>,
) -> Result<Json<Changed>, Problem> {
    set(api, &caller, change, false).await
}

async fn set(
    api: Api,
    caller: &Caller,
    change: Change,
    held: bool,
) -> Result<Json<Changed>, Problem> {
    let signed = Signed {
        who: change.who,
        why: change.why,
    };
    let permission = if held {
        Permission::Hold
    } else {
        Permission::LiftHold
    };
    let operator = api.operator(signed, caller, permission)?;
    to_its_end(async move {
        let services = &api.0.services;
        let holds = ChangeHolds {
            store: &services.archive_store,
            checkpoints: Ok(&*services.checkpoints),
            clock: &services.clock,
        };
        let changed = holds.change(&change.users, held, &operator).await;
        if let Some(failure) = changed.failure {
            let progress = format!(
                "{} of {} users were changed before that",
                changed.done.len(),
                change.users.len()
            );
            return Err(Problem::from(failure).and(&progress));
        }

        let users = changed.done.iter().map(|changed| changed.user_id).collect();
        let warnings = changed.done.into_iter();
        let mut already = Vec::new();
        let warnings = warnings.filter_map(|changed: HoldChanged| {
            let user_id = changed.user_id;
            already.extend(changed.already.map(|hold| OnHold::new(user_id, hold)));
            Some(HoldWarning {
                user_id,
                text: changed.warning?,
            })
        });
        let warnings = warnings.collect();
        Ok(Json(Changed {
            held,
            users,
            already,
            warnings,
        }))
    })
    .await
}

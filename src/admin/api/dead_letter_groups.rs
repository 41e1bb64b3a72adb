use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dead_letters::at_most;
use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, Query, within};
use crate::operations::dead_letters::{
    self, DeadLetterFilter, DeadLetterGroups, Group, GroupChange, GroupChanged, GroupHistory,
    GroupName,
};
use crate::operations::fleet::{Fleet, fleet};
use crate::operations::when;
use crate::people::Permission;

/// Groups of dead letters
#[derive(Serialize, ToSchema)]
pub(crate) struct Groups {
    /// Open groups first, then the largest one.
    pub(crate) groups: Vec<Group>,
    /// What keeps users waiting now.
    fleet: Fleet,
}

/// Counts dead letters by fault, and says whether a replay is safe now
///
/// Each group has its state, who still has access, what became of the last replay, and the command to run next. A limit
/// counts the first dead letters in the order of the queue.
#[utoipa::path(
    get, path = "/api/v1/dead-letter-groups", tag = "dead letters", operation_id = "groupDeadLetters",
    params(DeadLetterFilter),
    responses(
        (status = 200, description = "The groups", body = Groups),
        (status = 404, description = "`no_such_group`: no dead letter has a fingerprint that begins so", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(Api(api)): State<Api>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<Groups>, Problem> {
    at_most(&filter, super::dead_letters::LISTED_AT_MOST).map_err(Problem::bad_request)?;
    Ok(Json(Groups {
        groups: dead_letters::groups(&*api.broker, &api.services, filter).await?,
        fleet: fleet(&api.fleet, api.services.clock.now()).await,
    }))
}

/// A note for the next operator
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteOrder {
    /// The note; null removes it.
    note: Option<Line>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Who takes care of a group
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnerOrder {
    /// A person or a team; null removes it.
    owner: Option<Line>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Until when to ignore a group
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IgnoreOrder {
    /// A time (2026-12-01T00:00:00Z), or a period from now (`7d`). This, or `moreLetters`, has to be given.
    #[serde(default, deserialize_with = "when::until")]
    #[schema(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<Timestamp>,
    /// Until the queue has this many more dead letters of the group than now.
    #[serde(
        default,
        rename = "moreLetters",
        deserialize_with = "within::<1, 1_000_000, _>"
    )]
    #[schema(minimum = 1, maximum = 1_000_000)]
    more: Option<u64>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// That the cause is fixed
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveOrder {
    /// The release that has the fix.
    release: Option<Line>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Writes a note to a group, for the next operator
#[utoipa::path(
    post, path = "/api/v1/dead-letter-groups/{group}/note", tag = "dead letters", operation_id = "noteDeadLetterGroup",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    request_body(content = NoteOrder, example = json!({ "note": "ticket 4711 with the vendor", "who": "ada", "why": "hand-over" })),
    responses(
        (status = 200, description = "The group", body = GroupChanged),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn note(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(group): At<GroupName>,
    Body(order): Body<NoteOrder>,
) -> Result<Json<GroupChanged>, Problem> {
    let note = order.note.map(|note| note.as_str().to_owned());
    let change = GroupChange::Note(note.unwrap_or_default());
    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    set(api, &caller, signed, group, change).await
}

/// Says who takes care of a group
#[utoipa::path(
    post, path = "/api/v1/dead-letter-groups/{group}/owner", tag = "dead letters", operation_id = "ownDeadLetterGroup",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    request_body(content = OwnerOrder, example = json!({ "owner": "bob", "who": "ada", "why": "he knows the vendor" })),
    responses(
        (status = 200, description = "The group", body = GroupChanged),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn owner(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(group): At<GroupName>,
    Body(order): Body<OwnerOrder>,
) -> Result<Json<GroupChanged>, Problem> {
    let owner = order.owner.map(|owner| owner.as_str().to_owned());
    let change = GroupChange::Owner(owner.unwrap_or_default());
    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    set(api, &caller, signed, group, change).await
}

/// Shows what was decided about a group before
#[utoipa::path(
    get, path = "/api/v1/dead-letter-groups/{group}/history", tag = "dead letters", operation_id = "showDeadLetterGroupHistory",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    responses(
        (status = 200, description = "The decisions", body = GroupHistory),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn history(
    State(api): State<Api>,
    At(group): At<GroupName>,
) -> Result<Json<GroupHistory>, Problem> {
    Ok(Json(decided(&api).history(&group).await?))
}

/// Ignores a group until a time, or until there are more dead letters
///
/// It is refused while somebody in the group may still have access. The group is open again when the first of the two is
/// true, and at once when a dead letter of somebody arrives who still has access.
#[utoipa::path(
    post, path = "/api/v1/dead-letter-groups/{group}/ignore", tag = "dead letters", operation_id = "ignoreDeadLetterGroup",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    request_body(content = IgnoreOrder, example = json!({ "until": "7d", "who": "ada", "why": "the vendor works on it" })),
    responses(
        (status = 200, description = "The group", body = GroupChanged),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so; `access_still_there`; `in_the_past`; `no_end`: neither a time nor a number is given", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ignore(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(group): At<GroupName>,
    Body(order): Body<IgnoreOrder>,
) -> Result<Json<GroupChanged>, Problem> {
    if order.until.is_none() && order.more.is_none() {
        let detail = "give `until`, `moreLetters`, or both: a group is never ignored for ever";
        return Err(Problem::new(StatusCode::CONFLICT, "no_end", detail));
    }
    let now = api.0.services.clock.now();
    if order.until.is_some_and(|until| until <= now) {
        let detail = "`until` is in the past; give a time in the future, or a period such as 7d";
        return Err(Problem::new(StatusCode::CONFLICT, "in_the_past", detail));
    }
    let change = GroupChange::Ignore {
        until: order.until,
        more: order.more.and_then(|more| usize::try_from(more).ok()),
    };
    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    set(api, &caller, signed, group, change).await
}

/// Marks the fault of a group as fixed
///
/// The group is open again when a newer dead letter arrives.
#[utoipa::path(
    post, path = "/api/v1/dead-letter-groups/{group}/resolve", tag = "dead letters", operation_id = "resolveDeadLetterGroup",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    request_body(content = ResolveOrder, example = json!({ "release": "0.3.0", "who": "ada", "why": "fixed by the vendor" })),
    responses(
        (status = 200, description = "The group", body = GroupChanged),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resolve(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(group): At<GroupName>,
    Body(order): Body<ResolveOrder>,
) -> Result<Json<GroupChanged>, Problem> {
    let release = order.release.map(|release| release.as_str().to_owned());
    let change = GroupChange::Resolve { release };
    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    set(api, &caller, signed, group, change).await
}

/// Opens a group again
#[utoipa::path(
    post, path = "/api/v1/dead-letter-groups/{group}/reopen", tag = "dead letters", operation_id = "reopenDeadLetterGroup",
    params(("group" = GroupName, Path, description = "The fingerprint of the group, or its first digits")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "it was not the vendor" })),
    responses(
        (status = 200, description = "The group", body = GroupChanged),
        (status = 404, description = "`no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reopen(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(group): At<GroupName>,
    Body(signed): Body<Signed>,
) -> Result<Json<GroupChanged>, Problem> {
    set(api, &caller, signed, group, GroupChange::Reopen).await
}

async fn set(
    api: Api,
    caller: &Caller,
    signed: Signed,
    group: GroupName,
    change: GroupChange,
) -> Result<Json<GroupChanged>, Problem> {
    let operator = api.operator(signed, caller, Permission::Replay)?;
    to_its_end(async move {
        let changed = decided(&api).change(&group, &change, &operator).await?;
        Ok(Json(changed))
    })
    .await
}

fn decided(api: &Api) -> DeadLetterGroups<'_> {
    DeadLetterGroups {
        broker: &*api.0.broker,
        checkpoints: &*api.0.stores.checkpoints,
        store: &api.0.services.archive_store,
        clock: &api.0.services.clock,
    }
}

//! The routes of the API, and the check of tokens before them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    Api, about, audit_log, batch_history, batch_pause, batch_report, batch_users, batches, cancel,
    dead_letter_groups, dead_letters, evidence, evidence_log, holds, limits, operations, overview,
    pause, plan, plan_decisions, plans, reactivate, submit, urgent, users, workers,
};
use crate::admin::connections::Client;
use crate::admin::problem::Problem;
use crate::admin::{etag, openapi};

/// The routes, and the document that describes them.
pub(super) fn routes() -> (Router<Api>, OpenApi) {
    let (routes, mut document) = OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(users::list))
        .routes(routes!(users::show))
        .routes(routes!(plan::show))
        .routes(routes!(plans::list, plan_decisions::save))
        .routes(routes!(plans::show))
        .routes(routes!(plans::diff))
        .routes(routes!(plan_decisions::approve))
        .routes(routes!(plan_decisions::reject))
        .routes(routes!(plan_decisions::revoke))
        .routes(routes!(plan_decisions::withdraw))
        .routes(routes!(plan_decisions::apply))
        .routes(routes!(submit::submit))
        .routes(routes!(urgent::move_users))
        .routes(routes!(evidence::show))
        .routes(routes!(evidence::verify))
        .routes(routes!(evidence_log::show))
        .routes(routes!(evidence_log::proof))
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(batch_users::list))
        .routes(routes!(batch_users::minutes))
        .routes(routes!(batch_history::show))
        .routes(routes!(batch_report::report))
        .routes(routes!(cancel::batch))
        .routes(routes!(batch_pause::pause))
        .routes(routes!(batch_pause::resume))
        .routes(routes!(overview::show))
        .routes(routes!(overview::minutes))
        .routes(routes!(limits::show))
        .routes(routes!(limits::search))
        .routes(routes!(cancel::user))
        .routes(routes!(reactivate::user))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letter_groups::list))
        .routes(routes!(dead_letter_groups::note))
        .routes(routes!(dead_letter_groups::owner))
        .routes(routes!(dead_letter_groups::history))
        .routes(routes!(dead_letter_groups::ignore))
        .routes(routes!(dead_letter_groups::resolve))
        .routes(routes!(dead_letter_groups::reopen))
        .routes(routes!(dead_letters::show))
        .routes(routes!(operations::list, operations::begin))
        .routes(routes!(operations::show))
        .routes(routes!(operations::stop))
        .routes(routes!(operations::rate))
        .routes(routes!(workers::list))
        .routes(routes!(workers::fleet_state))
        .routes(routes!(pause::show, pause::pause))
        .routes(routes!(pause::resume))
        .routes(routes!(holds::list, holds::add))
        .routes(routes!(holds::show))
        .routes(routes!(holds::remove))
        .routes(routes!(audit_log::list))
        .routes(routes!(audit_log::show))
        .routes(routes!(about::index))
        .routes(routes!(about::me))
        .routes(routes!(about::settings))
        .routes(routes!(about::show))
        .split_for_parts();
    openapi::complete(&mut document);
    (routes, document)
}

/// The routes, behind the check of tokens. Each failure is answered with a problem.
pub(crate) fn guarded(api: &Api) -> Router {
    let nowhere = || async {
        Problem::not_found(
            "not_found",
            "this path does not exist; see /api/v1/openapi.json",
        )
    };
    let no_method = || async {
        let detail = "the path does not support this method; the header Allow names the methods that it supports";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    };
    let (routes, document) = routes();
    let document = serde_json::to_value(document).unwrap_or_default();

    routes
        .route("/api/v1/", get(to_the_index))
        .route("/api/v1/{*rest}", any(nowhere))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(Extension(openapi::Document(Arc::new(document))))
        .layer(from_fn(etag::tagged))
        .layer(from_fn_with_state(api.clone(), guard))
        .with_state(api.clone())
}

async fn to_the_index() -> Redirect {
    Redirect::permanent("/api/v1")
}

async fn guard(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    request: Request,
    next: Next,
) -> Response {
    api.slow_down(&client, request.headers()).await;
    let admitted = api.admit(&client, request.method(), request.uri(), request.headers());
    let caller = match admitted {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let served = api.serve(&client, caller, request, next).await;
    served.unwrap_or_else(Problem::into_response)
}

//! The routes of the API, and the check of tokens before them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get};
use axum::{Extension, Router};
use utoipa::Path as _;
use utoipa::openapi::path::HttpMethod;

use super::{
    Api, about, audit_log, batch_history, batch_pause, batch_report, batch_users, batches, cancel,
    dead_letter_groups, dead_letters, evidence, evidence_log, holds, limits, operations, overview,
    pause, plan, plan_decisions, plans, reactivate, submit, urgent, users, workers,
};
use crate::admin::connections::Client;
use crate::admin::etag;
use crate::admin::problem::Problem;

/// Names each operation once: what describes it says its path and method, too.
macro_rules! operations {
    ($($module:ident::$handler:ident,)*) => {
        fn routes() -> Router<Api> {
            let routes = Router::new();
            $(
                let routes = {
                    pastey::paste! { use $module::[<__path_ $handler>] as Described; }
                    let methods = Described::methods();
                    let methods = methods.iter().fold(MethodRouter::new(), |methods, method| {
                        methods.on(filter_of(method), $module::$handler)
                    });
                    routes.route(&Described::path(), methods)
                };
            )*
            routes
        }

        /// The document that describes the routes: `docs/openapi.json`.
        #[cfg(test)]
        pub(super) fn described() -> utoipa::openapi::OpenApi {
            use utoipa_axum::{router::OpenApiRouter, routes};

            use crate::admin::openapi;

            let routes = OpenApiRouter::<Api>::with_openapi(openapi::head());
            $(let routes = routes.routes(routes!($module::$handler));)*
            let mut document = routes.into_openapi();
            openapi::complete(&mut document);
            document
        }
    };
}

operations!(
    users::list,
    users::show,
    plan::show,
    plans::list,
    plan_decisions::save,
    plans::show,
    plans::diff,
    plan_decisions::approve,
    plan_decisions::reject,
    plan_decisions::revoke,
    plan_decisions::withdraw,
    plan_decisions::apply,
    submit::submit,
    urgent::move_users,
    evidence::show,
    evidence::verify,
    evidence_log::show,
    evidence_log::proof,
    batches::list,
    batches::show,
    batch_users::list,
    batch_users::minutes,
    batch_history::show,
    batch_report::report,
    cancel::batch,
    batch_pause::pause,
    batch_pause::resume,
    overview::show,
    overview::minutes,
    limits::show,
    limits::search,
    cancel::user,
    reactivate::user,
    dead_letters::list,
    dead_letter_groups::list,
    dead_letter_groups::note,
    dead_letter_groups::owner,
    dead_letter_groups::history,
    dead_letter_groups::ignore,
    dead_letter_groups::resolve,
    dead_letter_groups::reopen,
    dead_letters::show,
    operations::list,
    operations::begin,
    operations::show,
    operations::stop,
    operations::rate,
    workers::list,
    workers::fleet_state,
    pause::show,
    pause::pause,
    pause::resume,
    holds::list,
    holds::add,
    holds::show,
    holds::remove,
    audit_log::list,
    audit_log::show,
    about::index,
    about::me,
    about::settings,
    about::show,
);

const fn filter_of(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
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

    routes()
        .route("/api/v1/", get(to_the_index))
        .route("/api/v1/{*rest}", any(nowhere))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
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

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::deployment::ShownSetting;
use crate::admin::caller::Caller;
use crate::admin::openapi::Document;
use crate::admin::problem::Problem;
use crate::people::Permission;

/// Returns this document
///
/// It needs no token.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about", operation_id = "showOpenApi", security(()),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object),
        (status = 403, response = inline(Foreign)),
    ),
)]
pub(super) async fn show(Extension(Document(document)): Extension<Document>) -> Json<Value> {
    Json((*document).clone())
}

/// Who asks, and which worker answers
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The role of the person or of the token; `local` without both.
    #[schema(value_type = String, example = "reader")]
    role: &'static str,
    /// What the role permits.
    permissions: Vec<Permission>,
    /// The person; null for a token, which operators share, so that a change also names `who`.
    person: Option<String>,
    /// How the request was recognised, as the audit log says it.
    who: &'static str,
    /// The worker that answers.
    worker: String,
    /// The release that it runs.
    release: &'static str,
    /// The environment's name, `OFFBOARDER_ADMIN_NAME`; null if it has none.
    environment: Option<String>,
}

/// Shows who asks, and which worker answers
#[utoipa::path(
    get, path = "/api/v1/me", tag = "about", operation_id = "showMe",
    responses((status = 200, description = "The role, and the worker", body = Me)),
)]
pub(super) async fn me(
    State(Api(api)): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Json<Me> {
    Json(Me {
        role: caller.role_word(),
        permissions: caller.permissions(),
        person: caller.name,
        who: caller.sign_in.as_str(),
        worker: api.worker.clone(),
        release: env!("CARGO_PKG_VERSION"),
        environment: api.deployment.environment.clone(),
    })
}

/// The settings of the worker that answers
#[derive(Serialize, ToSchema)]
pub(super) struct Settings {
    /// In the order of the README.
    settings: Vec<ShownSetting>,
}

/// Shows the settings of the worker that answers
///
/// The same as `offboarder worker --show-settings`: names, values and their sources. Secrets are masked. Workers may have
/// other settings than this one.
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "about", operation_id = "showSettings",
    responses((status = 200, description = "The settings", body = Settings)),
)]
pub(super) async fn settings(State(Api(api)): State<Api>) -> Json<Settings> {
    Json(Settings {
        settings: api.deployment.settings.clone(),
    })
}

/// What the API has
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    /// The release of the worker that answers.
    release: &'static str,
    /// The environment's name; null if it has none.
    environment: Option<String>,
    /// The document that describes the API.
    open_api: &'static str,
    /// What can be read. A path with `{…}` needs a name.
    links: Vec<Link>,
}

/// Something that can be read
#[derive(Serialize, ToSchema)]
pub(super) struct Link {
    path: String,
    summary: String,
}

/// Lists what can be read
#[utoipa::path(
    get, path = "/api/v1", tag = "about", operation_id = "showIndex",
    responses((status = 200, description = "The paths", body = Index)),
)]
pub(super) async fn index(
    State(Api(api)): State<Api>,
    Extension(Document(document)): Extension<Document>,
) -> Json<Index> {
    let paths = document.pointer("/paths").and_then(Value::as_object);
    let link = |(path, item): (&String, &Value)| {
        let summary = item.pointer("/get/summary")?.as_str()?;
        Some(Link {
            path: path.clone(),
            summary: summary.to_owned(),
        })
    };
    Json(Index {
        release: env!("CARGO_PKG_VERSION"),
        environment: api.deployment.environment.clone(),
        open_api: crate::admin::openapi::PATH,
        links: paths.into_iter().flatten().filter_map(link).collect(),
    })
}

/// Without a token, the Host of the request is another name than localhost
#[derive(utoipa::ToResponse)]
#[response(content_type = "application/problem+json")]
#[expect(dead_code, reason = "only the document names it")]
struct Foreign(Problem);

#[cfg(test)]
mod tests {
    /// To accept a change: `UPDATE_OPENAPI=1 cargo test --lib openapi`.
    #[test]
    fn docs_openapi_json_is_the_document_that_is_served() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let document = super::super::routes::routes().1;
        let served = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var("UPDATE_OPENAPI").is_ok_and(|wanted| !wanted.is_empty()) {
            std::fs::write(file, &served).unwrap();
        }

        let kept = std::fs::read_to_string(file).unwrap();
        assert!(
            kept == served,
            "docs/openapi.json differs from the document that is served; accept the change with UPDATE_OPENAPI=1"
        );
    }
}

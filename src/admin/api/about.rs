use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::deployment::ShownSetting;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::people::Permission;

/// Where the document is that describes the API.
pub(crate) const OPENAPI: &str = "/api/v1/openapi.json";
/// The document. A test makes it of the handlers, so that no worker has to.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

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
pub(super) async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
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

/// Of the document: its paths, and what it says of their reads.
#[derive(Deserialize)]
struct Paths<'a> {
    #[serde(borrow)]
    paths: BTreeMap<&'a str, Item>,
}

#[derive(Deserialize)]
struct Item {
    get: Option<Read>,
}

#[derive(Deserialize)]
struct Read {
    summary: Option<String>,
}

/// What can be read; nothing if the document were none, which a test excludes.
fn links() -> Vec<Link> {
    let Ok(document) = serde_json::from_str::<Paths<'_>>(DOCUMENT) else {
        return Vec::new();
    };
    let link = |(path, item): (&str, Item)| {
        Some(Link {
            path: path.to_owned(),
            summary: item.get?.summary?,
        })
    };
    document.paths.into_iter().filter_map(link).collect()
}

/// Lists what can be read
#[utoipa::path(
    get, path = "/api/v1", tag = "about", operation_id = "showIndex",
    responses((status = 200, description = "The paths", body = Index)),
)]
pub(super) async fn index(State(Api(api)): State<Api>) -> Json<Index> {
    Json(Index {
        release: env!("CARGO_PKG_VERSION"),
        environment: api.deployment.environment.clone(),
        open_api: OPENAPI,
        links: links(),
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
    fn docs_openapi_json_is_what_the_handlers_say() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let document = super::super::routes::described();
        let made = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var("UPDATE_OPENAPI").is_ok_and(|wanted| !wanted.is_empty()) {
            std::fs::write(file, &made).unwrap();
        }

        let kept = std::fs::read_to_string(file).unwrap();
        assert!(
            kept == made,
            "docs/openapi.json, which is served, differs from the handlers; accept the change with UPDATE_OPENAPI=1"
        );
    }
}

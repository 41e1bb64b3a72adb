use std::sync::Arc;

use axum::{Extension, Json};
use serde_json::Value;

use crate::admin::problem::Problem;

/// The document that describes this API, made of the handlers.
#[derive(Clone)]
pub(super) struct Document(pub(super) Arc<Value>);

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
        let document = super::super::routes().1;
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

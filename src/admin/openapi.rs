//! The document that describes `/api/v1`, made of the handlers; kept as `docs/openapi.json`.

use std::sync::LazyLock;

use axum::Json;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Info, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};

use super::api;

pub(super) const PATH: &str = "/api/v1/openapi.json";
const TOKEN: &str = "token";

const DESCRIPTION: &str = "\
What operators ask of a worker, and what they tell it: the commands' own documents, over HTTP. Every worker of a \
deployment answers the same.

Every answer that is not 2xx is a problem after RFC 9457. What changes the world for many is in the log of acts, \
with who, when, why and how many, as the commands have it.";

const SCHEME: &str = "\
`OFFBOARDER_ADMIN_TOKEN` is the operator's: it reads and writes. `OFFBOARDER_ADMIN_READ_TOKEN` reads. Where neither \
is set the worker listens on loopback alone, and asks for none.";

/// What is to be said before the operations.
pub(super) fn head() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(super::problem::Problem)))]
    struct Schemas;

    let mut info = Info::new("offboarder: the admin API", "1");
    info.description = Some(DESCRIPTION.to_owned());
    let mut components = Schemas::openapi().components.unwrap_or_default();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(SCHEME))
        .build();
    components
        .security_schemes
        .insert(TOKEN.to_owned(), SecurityScheme::Http(scheme).into());
    for (name, description, header) in PROBLEMS
        .iter()
        .map(|(_, name, told, header)| (name, told, header))
    {
        components
            .responses
            .insert((*name).to_owned(), problem(description, *header).into());
    }
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// Status, name of the component, description, and the header that tells more.
type Told = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

#[rustfmt::skip] // a row a status
const PROBLEMS: &[Told] = &[
    ("400", "BadRequest", "`bad_request`: path or query are not as described, or the body is no JSON", None),
    ("401", "Unauthorized", "`unauthorized`: no token, or one that nobody gave out", Some(("WWW-Authenticate", "`Bearer`"))),
    ("403", "Forbidden", "`forbidden`: the token reads alone; `foreign_host`: without a token, the request names another host", None),
    ("408", "RequestTimeout", "`request_timeout`: the body did not come", None),
    ("413", "PayloadTooLarge", "`payload_too_large`: the body is larger than 256 KiB", None),
    ("415", "UnsupportedMediaType", "`unsupported_media_type`: the body is not `application/json`", None),
    ("422", "Unprocessable", "`unprocessable`: the body is JSON, and not as described", None),
    ("500", "Defect", "A fault of this program; the log of the worker says more", None),
    ("503", "Unavailable", "A service is out of reach or refuses us; the code is a heading of the runbook, or `timeout`; `busy`: too much is asked at once", Some(("Retry-After", "Seconds"))),
];

fn problem(description: &str, header: Option<(&str, &str)>) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content);
    if let Some((name, description)) = header {
        let kind = if name == "Retry-After" {
            Type::Integer
        } else {
            Type::String
        };
        let schema = ObjectBuilder::new().schema_type(kind);
        response = response.header(
            name,
            HeaderBuilder::new()
                .schema(Some(schema))
                .description(Some(description))
                .build(),
        );
    }
    response.build()
}

/// Adds to each operation what goes for all of its kind.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if let Some(look) = &mut item.get
            && path != PATH
        {
            require(look, "reader");
            tell(look, &["401", "403", "500", "503"]);
            if look.parameters.is_some() {
                tell(look, &["400"]);
            }
        }
        if let Some(act) = &mut item.post {
            require(act, "operator");
            tell(
                act,
                &[
                    "400", "401", "403", "408", "413", "415", "422", "500", "503",
                ],
            );
            // It says at least who acts, and why.
            if let Some(RefOr::T(body)) = &mut act.request_body {
                body.required = Some(Required::True);
            }
        }
    }
}

fn require(operation: &mut Operation, role: &str) {
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, [role])]);
}

fn tell(operation: &mut Operation, statuses: &[&str]) {
    for (status, name, ..) in PROBLEMS
        .iter()
        .filter(|(status, ..)| statuses.contains(status))
    {
        let response = RefOr::Ref(Ref::from_response_name(*name));
        operation
            .responses
            .responses
            .entry((*status).to_owned())
            .or_insert(response);
    }
}

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(api::routes().1).unwrap_or_default());

/// This document
///
/// It needs no token.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about", operation_id = "showOpenApi", security(()),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object),
        (status = 403, response = inline(Foreign)),
    ),
)]
pub(super) async fn show() -> Json<Value> {
    Json(DOCUMENT.clone())
}

/// Without a token the request names another host
#[derive(utoipa::ToResponse)]
#[response(content_type = "application/problem+json")]
#[expect(dead_code, reason = "for the document alone")]
struct Foreign(super::problem::Problem);

#[cfg(test)]
mod tests {
    use super::*;

    /// To accept a change: `UPDATE_OPENAPI=1 cargo test --lib openapi`.
    #[test]
    fn the_document_in_docs_is_the_one_that_is_served() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let served = serde_json::to_string_pretty(&*DOCUMENT).unwrap() + "\n";
        if std::env::var("UPDATE_OPENAPI").is_ok_and(|wanted| !wanted.is_empty()) {
            std::fs::write(file, &served).unwrap();
        }
        let kept = std::fs::read_to_string(file).unwrap();
        assert!(
            kept == served,
            "docs/openapi.json is not what the code says; accept it by UPDATE_OPENAPI=1"
        );
    }
}

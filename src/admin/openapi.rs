//! What the document that describes `/api/v1` says besides the handlers: the introduction, the tokens, and the problems
//! that each operation may answer with. The document is kept as `docs/openapi.json`, and the program serves that file.

use utoipa::OpenApi as _;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::{Server, ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, Info, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder,
};

const PATH: &str = super::api::OPENAPI;
const TOKEN: &str = "token";

const DESCRIPTION: &str = "\
What the commands of `offboarder` show and do, over HTTP, as the same JSON documents. All workers of a deployment \
give the same responses.

Each response that is not 2xx is a problem (RFC 9457). A change for many users is in the audit log, with who, when, \
why and how many, as it is when a command makes it.";

const SCHEME: &str = "\
`OFFBOARDER_ADMIN_TOKEN` reads and writes; `OFFBOARDER_ADMIN_READ_TOKEN` only reads. If neither is set, the worker \
listens only on loopback and needs no token.";

/// The document without the operations.
pub(super) fn head() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(super::problem::Problem)))]
    struct Schemas;

    let mut info = Info::new("offboarder: the admin API", "1");
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(license());
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
        .map(|(_, name, description, header)| (name, description, header))
    {
        components
            .responses
            .insert((*name).to_owned(), problem(description, *header).into());
    }
    let tags = TAGS.iter().map(|(name, description)| {
        TagBuilder::new()
            .name(*name)
            .description(Some(*description))
            .build()
    });
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([server()]))
        .tags(Some(tags.collect::<Vec<_>>()))
        .components(Some(components))
        .build()
}

fn license() -> License {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    license
}

/// Where a worker listens, unless `OFFBOARDER_ADMIN_LISTEN` says something else.
fn server() -> Server {
    let host = ServerVariableBuilder::new()
        .default_value("127.0.0.1:9464")
        .description(Some("`OFFBOARDER_ADMIN_LISTEN` of any worker"));
    ServerBuilder::new()
        .url("http://{host}")
        .description(Some("A worker; all of them give the same answers"))
        .parameter("host", host)
        .build()
}

/// The tags, in the order in which a person reads them.
const TAGS: &[(&str, &str)] = &[
    (
        "overview",
        "The deployment now: one document, counts by minute, limits, and a search",
    ),
    (
        "users",
        "Who is off-boarded, how far, and who still has access; the evidence",
    ),
    (
        "plans",
        "What is to be done to users, stored so that a second person can approve their deletions",
    ),
    (
        "batches",
        "Users that were submitted together, and their progress",
    ),
    ("dead letters", "Messages that need a person: by fault"),
    (
        "operations",
        "Replays, discards and checks of many: begun, followed, slowed and stopped",
    ),
    ("workers", "The workers, and what keeps users waiting"),
    ("pause", "Pausing and resuming all workers"),
    ("holds", "Legal holds: users who are not deleted"),
    ("audit log", "What operators changed, when, and why"),
    ("about", "The API itself, the token, and the settings"),
];

/// Status, name of the component, description, and the header that goes with it.
type ProblemRow = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

#[rustfmt::skip] // a row a status
const PROBLEMS: &[ProblemRow] = &[
    ("400", "BadRequest", "`bad_request`: the path or the query is not as described, or the body is not JSON", None),
    ("401", "Unauthorized", "`unauthorized`: no token, or a wrong one", Some(("WWW-Authenticate", "`Bearer`"))),
    ("403", "Forbidden", "`forbidden`: the token is read-only; `foreign_host`: without a token, the Host of the request is another name than localhost", None),
    ("408", "RequestTimeout", "`request_timeout`: the body did not arrive in time", None),
    ("413", "PayloadTooLarge", "`payload_too_large`: the body is larger than 256 KiB", None),
    ("415", "UnsupportedMediaType", "`unsupported_media_type`: the body is not `application/json`", None),
    ("422", "Unprocessable", "`unprocessable`: the body is JSON, but not as described", None),
    ("500", "Defect", "A defect of this program; the log of the worker says more", None),
    ("503", "Unavailable", "A service is unreachable or refuses the request; the code is a heading of the runbook, or `timeout`; `busy`: too many requests are in progress", Some(("Retry-After", "Seconds"))),
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

/// Adds to each operation what is true of all reads, or of all changes.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if let Some(read) = &mut item.get
            && path != PATH
        {
            require(read, "reader");
            may_answer(read, &["401", "403", "500", "503"]);
            has_tag(read);
            if read.parameters.is_some() {
                may_answer(read, &["400"]);
            }
        }
        if let Some(change) = &mut item.post {
            require(change, "operator");
            may_answer(
                change,
                &[
                    "400", "401", "403", "408", "413", "415", "422", "500", "503",
                ],
            );
            // The body has at least `who` and `why`.
            if let Some(RefOr::T(body)) = &mut change.request_body {
                body.required = Some(Required::True);
            }
        }
    }
}

/// Documents with a length have an entity tag, and may be answered with 304.
fn has_tag(read: &mut Operation) {
    let responses = &mut read.responses.responses;
    let Some(RefOr::T(ok)) = responses.get_mut("200") else {
        return;
    };
    if !ok.content.contains_key("application/json") {
        return;
    }
    let text = "A tag of the document without its `asOf` members. Send it as `If-None-Match`";
    let header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(text));
    ok.headers.insert("ETag".to_owned(), header.build().into());
    let unchanged = "What `If-None-Match` names is true as of now";
    let unchanged = ResponseBuilder::new().description(unchanged).build();
    responses.insert("304".to_owned(), unchanged.into());
}

fn require(operation: &mut Operation, role: &str) {
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, [role])]);
}

fn may_answer(operation: &mut Operation, statuses: &[&str]) {
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

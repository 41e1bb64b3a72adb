//! The web console: pages for people, rendered here, from the documents of the API. They work without the script.

mod access;
mod act;
mod all_matching;
mod asked;
mod assets;
mod audit_log;
mod batch;
mod batches;
mod chart;
mod dead_letters;
mod desk;
mod details;
mod display;
mod displaying;
mod evidence;
mod find;
mod frame;
mod given;
mod group_change;
mod help;
mod histogram;
mod history;
mod holding;
mod holds;
mod keys;
mod list;
mod markdown;
mod now;
mod operations;
mod over_time;
mod page;
mod parts;
mod pausing;
mod plan_change;
mod plans;
mod reactivating;
mod replay;
mod replay_or_discard;
mod sign_in;
mod state_bar;
mod ticks;
mod urgent;
mod user;
mod views;
mod words;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use tokio::time::Instant;

use super::api::Api;
use super::caller::Caller;
use super::connections::Client;
use super::problem::Problem;
use super::reach::Reach;
use desk::{Console, Visitor};
use display::Display;
use frame::Frame;
use page::{FIRST, Page};
use sign_in::SignInAgain;
use views::OwnViews;

/// What a script asks for: the part of a page that may change. The rest of the path is that of the page.
const FRAGMENTS: &str = "/_";
/// An answer that takes longer is not asked for often.
const COSTLY: Duration = Duration::from_millis(500);
const COSTLY_PERIOD_SECONDS: u8 = 30;

const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// The pages, behind the same check of callers as the API, or a session.
pub(super) fn routes(api: &Api, listen: SocketAddr) -> Router {
    let console = Console {
        api: api.clone(),
        desk: Arc::new(api.session_desk(listen.ip().is_loopback())),
    };
    let is_https = matches!(console.desk.reach(), Reach::Https(_));
    let pages: [(&str, MethodRouter<Console>); 20] = [
        ("/", get(now::show)),
        ("/access", get(access::show)),
        ("/batches", get(batches::show)),
        ("/batches/{batch}", get(batch::show)),
        ("/batches/{batch}/users", get(batch::users)),
        ("/users/{user}", get(user::show)),
        ("/dead-letters", get(dead_letters::groups)),
        ("/dead-letters/groups/{group}", get(dead_letters::group)),
        ("/dead-letters/{dead_letter}", get(dead_letters::one)),
        ("/operations", get(operations::list)),
        ("/operations/{operation}", get(operations::show)),
        ("/plans", get(plans::show)),
        ("/plans/{plan}", get(plans::one)),
        ("/holds", get(holds::show)),
        ("/audit-log", get(audit_log::show)),
        ("/users/{user}/evidence", get(evidence::check)),
        ("/evidence", get(evidence::show)),
        ("/find", get(find::show)),
        ("/workers", get(workers::show)),
        ("/help", get(help::show)),
    ];
    let mut routes = Router::new();
    for (path, handler) in pages {
        let fragment = format!("{FRAGMENTS}{path}");
        routes = routes
            .route(path, handler.clone())
            .route(&fragment, handler);
    }
    routes
        .merge(changes())
        .route("/batches/{batch}/report.csv", get(batch::report))
        .route("/users/{user}/proof", get(evidence::proof))
        .route("/audit-log.csv", get(audit_log::file))
        .route("/workers/history", get(history::show))
        .layer(from_fn_with_state(console.clone(), guard))
        .route(sign_in::PATH, get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route(display::PATH, post(displaying::choose))
        .route(assets::ROUTE, get(assets::show))
        .layer(map_response(move |response| {
            std::future::ready(with_headers(response, is_https))
        }))
        .with_state(console)
}

/// The forms of changes, and where they are sent.
fn changes() -> Router<Console> {
    use holding as h;
    use pausing as p;

    let changes: [(&str, MethodRouter<Console>); 19] = [
        ("/pause", get(p::pause_form).post(p::pause_all)),
        ("/resume", get(p::resume_form).post(p::resume_all)),
        (
            "/batches/{batch}/pause",
            get(p::pause_batch_form).post(p::pause_batch),
        ),
        (
            "/batches/{batch}/resume",
            get(p::resume_batch_form).post(p::resume_batch),
        ),
        (
            "/batches/{batch}/cancel",
            get(h::cancel_batch_form).post(h::cancel_batch),
        ),
        (
            "/users/{user}/cancel",
            get(h::cancel_user_form).post(h::cancel_user),
        ),
        (
            all_matching::HOLD,
            get(all_matching::hold_form).post(all_matching::hold),
        ),
        (views::PATH, post(views::save)),
        (views::REMOVE, post(views::remove)),
        ("/holds/add", get(h::hold_form).post(h::hold)),
        ("/holds/lift", get(h::lift_form).post(h::lift)),
        (act::URGENT, get(urgent::form).post(urgent::move_users)),
        (
            plan_change::PATH,
            get(plan_change::form).post(plan_change::decide),
        ),
        (
            evidence::VERIFY,
            get(evidence::verify_form).post(evidence::verify),
        ),
        (
            replay_or_discard::REPLAY,
            get(replay::form).post(replay::begin),
        ),
        (
            replay_or_discard::DISCARD,
            get(replay::discard_form).post(replay::discard),
        ),
        (
            group_change::PATH,
            get(group_change::form).post(group_change::decide),
        ),
        (
            "/users/{user}/reactivate",
            get(reactivating::form).post(reactivating::reactivate),
        ),
        (
            "/operations/{operation}/stop",
            get(operations::stop_form).post(operations::stop),
        ),
    ];
    let add = |routes: Router<Console>, (path, handler): (&str, _)| routes.route(path, handler);
    changes.into_iter().fold(Router::new(), add)
}

fn with_headers(mut response: Response, is_https: bool) -> Response {
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    if is_https {
        let value = HeaderValue::from_static("max-age=31536000");
        response
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Lets callers in, and puts the page of the handler into its frame.
async fn guard(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let admitted = admit(&console, &client, &parts).await;
    let request = Request::from_parts(parts, body);
    let caller = match admitted {
        Ok(caller) => caller,
        Err(NotAdmitted::Answer(refused)) => return *refused,
        Err(NotAdmitted::SignInAgain(again, to)) => {
            return sign_in::again(&console, again, &to, request).await;
        }
    };
    let api = &console.api;
    let begun = Instant::now();
    let asked = Asked::of(&request);
    let display = Display::of(request.headers());
    let uri = request.uri().clone();
    let serving = api.serve(&client, caller.clone(), request, next);
    let own_views = async {
        if asked.is_fragment {
            return OwnViews::default();
        }
        OwnViews::read(api, &caller, uri.path(), uri.query().unwrap_or_default()).await
    };
    let framing = Frame::read(api, &caller, display);
    let (served, mut frame, own_views) = tokio::join!(serving, framing, own_views);
    frame.views = own_views;
    let response = served.unwrap_or_else(Problem::into_response);

    let extensions = response.extensions();
    let page = match (
        extensions.get::<Arc<Page>>(),
        extensions.get::<Arc<Problem>>(),
    ) {
        (Some(page), _) => Arc::clone(page),
        (None, Some(problem)) => Arc::new(Page::of_problem(problem)),
        (None, None) => return response,
    };
    let mut answer = asked.answer(&frame, &page);
    let period = if begun.elapsed() > COSTLY && !page.is_unfinished {
        COSTLY_PERIOD_SECONDS
    } else {
        page.period_seconds()
    };
    let headers = answer.headers_mut();
    let name = HeaderName::from_static("poll-after");
    headers.insert(name, HeaderValue::from(u16::from(period)));
    if page.is_unfinished {
        // Without script, too.
        headers.insert(header::REFRESH, HeaderValue::from(u16::from(period)));
    }
    if let Ok(as_of) = HeaderValue::from_str(&frame.time_of(&page).to_string()) {
        headers.insert(HeaderName::from_static("as-of"), as_of);
    }
    answer
}

/// Why a request is not let in.
enum NotAdmitted {
    Answer(Box<Response>),
    /// The session does not count any more, or it is unknown whether it does; and where the page is.
    SignInAgain(SignInAgain, String),
}

/// Who sends a request: by a cookie, or as the API knows callers.
async fn admit(console: &Console, client: &Client, parts: &Parts) -> Result<Caller, NotAdmitted> {
    let refused = |problem: &Problem| {
        let refused = frame::refused(console.api.environment(), problem);
        NotAdmitted::Answer(Box::new(refused))
    };
    let Parts {
        method,
        uri,
        headers,
        ..
    } = parts;
    let path = uri.path_and_query().map_or(FIRST, PathAndQuery::as_str);
    let fragment_of = path
        .strip_prefix(FRAGMENTS)
        .filter(|path| path.starts_with('/'));
    let to = fragment_of.unwrap_or(path);

    let visitor = console.visitor(method, uri, headers).await;
    match visitor.map_err(|problem| refused(&problem))? {
        Visitor::Caller(caller) => return Ok(caller),
        Visitor::Unknown => {
            return Err(NotAdmitted::SignInAgain(
                SignInAgain::Unknown,
                to.to_owned(),
            ));
        }
        Visitor::Nobody => {}
    }
    console.api.slow_down(client, headers).await;
    let admitted = console.api.admit(client, method, uri, headers);
    admitted.map_err(|problem| {
        let may_sign_in = problem.asks_for_a_token() && console.desk.has_people();
        if !may_sign_in || fragment_of.is_some() || headers.contains_key(header::AUTHORIZATION) {
            return refused(&problem);
        }
        if matches!(*method, Method::GET | Method::HEAD) {
            return NotAdmitted::Answer(Box::new(sign_in::redirect(to)));
        }
        match console.desk.check_origin(uri, headers) {
            Ok(()) => NotAdmitted::SignInAgain(SignInAgain::Ended, to.to_owned()),
            Err(problem) => refused(&problem),
        }
    })
}

/// Whether a page or its fragment is asked for, and which one the client has.
struct Asked {
    is_fragment: bool,
    known: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let headers: &HeaderMap = request.headers();
        let path = request.uri().path();
        Self {
            is_fragment: path.starts_with("/_/") && *request.method() == Method::GET,
            known: headers.get(header::IF_NONE_MATCH).cloned(),
        }
    }

    fn answer(&self, frame: &Frame, page: &Page) -> Response {
        if !self.is_fragment {
            return (page.status, frame.document(page)).into_response();
        }
        let fragment = frame.fragment(page);
        let tag = frame::tag(&fragment);
        let is_known = self.known.as_ref().is_some_and(|known| *known == tag);
        let mut response = if is_known && page.status == StatusCode::OK {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            (page.status, fragment).into_response()
        };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

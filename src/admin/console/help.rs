//! The page of the runbook, which is built in, so that it is there when nothing else is.

use std::sync::LazyLock;

use axum::Extension;
use axum::http::HeaderMap;
use maud::{PreEscaped, html};

use super::display::Display;
use super::keys;
use super::markdown;
use super::page::{Menu, Page};
use crate::admin::caller::Caller;
use crate::operations::runbook;

static RUNBOOK: LazyLock<String> = LazyLock::new(|| markdown::shown(runbook::text()));

pub(super) async fn show(Extension(caller): Extension<Caller>, headers: HeaderMap) -> Page {
    let permissions = caller.permissions();
    let body = html! {
        h1 { "Help" }
        p { "The runbook of this release, and the ways to what is not a page." }
        h2 { "What you may do" }
        p { "You are signed in by: " (caller.sign_in.as_str()) ". Your role is " code { (caller.role_word()) } ". It permits you to:" }
        ul { @for permission in permissions { li { (permission.act()) " (" code { (permission.as_str()) } ")" } } }
        (keys::list(Display::of(&headers).is_without_keys))
        h2 { "For programs" }
        ul {
            li { a href="/api/v1" { "/api/v1" } ": the API, and what can be read" }
            li { a href="/api/v1/openapi.json" { "/api/v1/openapi.json" } ": the document that describes it" }
            li { a href="/healthz" { "/healthz" } ", " a href="/readyz" { "/readyz" } ": whether a restart would help, and whether this worker takes users" }
            li { a href="/metrics" { "/metrics" } ": for Prometheus" }
        }
        div.runbook { (PreEscaped(RUNBOOK.as_str())) }
    };
    Page::new("Help", Menu::Help, body)
}

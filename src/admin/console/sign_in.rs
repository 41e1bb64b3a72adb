//! Signing in and out.

use axum::Extension;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::desk::Console;
use super::display::Display;
use super::frame;
use super::given::Given;
use super::page::{FIRST, Page};
use crate::admin::connections::Client;
use crate::admin::sessions::NotSignedIn;
use crate::printable;

pub(super) const PATH: &str = "/sign-in";

#[derive(Deserialize)]
pub(super) struct To {
    #[serde(default)]
    to: String,
}

/// Where to go afterwards: a path of ours, or the first page.
pub(super) fn ours(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//") && !to.starts_with(PATH);
    let is_plain = to
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { to } else { FIRST }
}

/// The way to the form, and back.
pub(super) fn redirect(to: &str) -> Response {
    let to: String = url::form_urlencoded::byte_serialize(ours(to).as_bytes()).collect();
    Redirect::to(&format!("{PATH}?to={to}")).into_response()
}

/// A path of ours that may also be the form itself.
pub(super) fn ours_or_form(to: &str) -> &str {
    let is_form = to == PATH || to.starts_with(&format!("{PATH}?"));
    let is_plain = to
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_form && is_plain { to } else { ours(to) }
}

pub(super) async fn show(
    State(console): State<Console>,
    headers: HeaderMap,
    axum::extract::Query(To { to }): axum::extract::Query<To>,
) -> Response {
    let display = Display::of(&headers);
    answer(&console, StatusCode::OK, None, &to, "", display)
}

/// Why somebody who had a session has to sign in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignInAgain {
    /// It ended.
    Ended,
    /// Redis does not answer, so that it cannot be looked up.
    Unknown,
}

impl SignInAgain {
    const fn status(self) -> StatusCode {
        match self {
            Self::Ended => StatusCode::UNAUTHORIZED,
            Self::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Ended => "Your session has ended. Sign in again.",
            Self::Unknown => {
                "Redis does not answer, so it is not known who you are. Sign in again: for 15 minutes, on this worker only, you may read and pause."
            }
        }
    }
}

/// The form, with what was typed into the one that is not done: a browser does not keep it.
pub(super) async fn again(
    console: &Console,
    again: SignInAgain,
    to: &str,
    request: Request,
) -> Response {
    let display = Display::of(request.headers());
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let typed = if is_change {
        Given::from_request(request, &()).await.ok()
    } else {
        None
    };
    let form = html! {
        p.fault role="alert" {
            (again.text()) @if is_change { " Nothing was done." }
        }
        (form(None, ours(to), ""))
        @if let Some(typed) = &typed { (not_done(typed)) }
    };
    page_of(console, again.status(), display, &form)
}

/// What was typed, to be copied. A key is not shown.
fn not_done(typed: &Given) -> Markup {
    const SECRETS: [&str; 2] = ["key", "glass"];
    const SHOWN_CHARS: usize = 10_000;
    let shown = |(name, text): &(&str, &str)| !text.is_empty() && !SECRETS.contains(name);
    let typed: Vec<(&str, &str)> = typed.pairs().filter(shown).collect();
    html! {
        @if !typed.is_empty() {
            h2 { "What you typed" }
            p { "It was not kept. Copy what you need; the form opens again once you are signed in." }
            dl { @for (name, text) in typed {
                dt { (printable::line(name)) } dd { @for line in text.lines() { (printable::line(&line.chars().take(SHOWN_CHARS).collect::<String>())) br; } }
            } }
        }
    }
}

pub(super) async fn sign_in(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
    given: Given,
) -> Response {
    let desk = &console.desk;
    let display = Display::of(&headers);
    let to = given.get("to");
    if !desk.has_people() || !desk.reach().is_host(&uri, &headers) {
        return answer(&console, StatusCode::FORBIDDEN, None, to, "", display);
    }
    if let Err(problem) = desk.check_origin(&uri, &headers) {
        return frame::refused(console.api.environment(), &problem);
    }
    let name = given.get("name");
    let refused = match desk.sign_in(client.peer, name, given.get("key")).await {
        Ok(cookie) => {
            return with_cookie(Redirect::to(ours(to)).into_response(), &cookie);
        }
        Err(NotSignedIn::Refused(problem)) => {
            return frame::refused(console.api.environment(), &problem);
        }
        Err(NotSignedIn::Wrong) => (
            StatusCode::UNAUTHORIZED,
            "This name and key do not go together.".to_owned(),
        ),
        Err(NotSignedIn::Wait(wait)) => (
            StatusCode::TOO_MANY_REQUESTS,
            format!("Too many tries. Wait {} s.", wait.as_secs() + 1),
        ),
    };
    answer(&console, refused.0, Some(&refused.1), to, name, display)
}

pub(super) async fn sign_out(
    State(console): State<Console>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Err(problem) = console.desk.check_origin(&uri, &headers) {
        return frame::refused(console.api.environment(), &problem);
    }
    let cookie = console.desk.sign_out(&headers).await;
    with_cookie(Redirect::to(PATH).into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn answer(
    console: &Console,
    status: StatusCode,
    fault: Option<&str>,
    to: &str,
    name: &str,
    display: Display,
) -> Response {
    let desk = &console.desk;
    let why_not = match (desk.has_people(), desk.reach().is_open()) {
        (false, _) => Some(
            "Nobody can sign in with a key here, since OFFBOARDER_ADMIN_PEOPLE is not set. `offboarder people add` makes the first person.",
        ),
        (true, false) => Some(
            "Other machines can reach this worker, and browsers keep a session only over HTTPS. Put a proxy with TLS in front, and set \
             OFFBOARDER_ADMIN_ORIGIN to the address that people open.",
        ),
        (true, true) => None,
    };
    let body = match why_not {
        Some(why) => html! { p.answer { (why) } },
        None => form(fault, ours(to), name),
    };
    let status = if why_not.is_some() {
        StatusCode::FORBIDDEN
    } else {
        status
    };
    page_of(console, status, display, &body)
}

fn page_of(console: &Console, status: StatusCode, display: Display, body: &Markup) -> Response {
    let page = Page {
        status,
        title: "Sign in".to_owned(),
        menu: None,
        is_live: false,
        is_fast: false,
        is_unfinished: false,
        as_of: None,
        body: html! { h1 { "Sign in" } (body) },
    };
    (
        page.status,
        frame::alone(console.api.environment(), display, &page),
    )
        .into_response()
}

fn form(fault: Option<&str>, to: &str, name: &str) -> Markup {
    html! {
        @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
        form.stacked method="post" action=(PATH) {
            input type="hidden" name="to" value=(to);
            div { label for="name" { "Name" } input #name name="name" value=(name) autocomplete="username" required maxlength="64"; }
            div { label for="key" { "Key" } input #key name="key" type="password" autocomplete="current-password" required maxlength="256"; }
            div { button type="submit" { "Sign in" } }
        }
        p.soft { "An admin makes a key with " code { "offboarder people add" } ". A session ends after 30 minutes without a request, and after 12 hours." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_a_path_of_ours_or_dropped() {
        assert_eq!(ours("/batches/b-1?tab=users"), "/batches/b-1?tab=users");
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nb",
            "javascript:x",
            "/sign-in?to=/sign-in",
        ] {
            assert_eq!(ours(foreign), FIRST, "{foreign:?}");
        }
    }

    #[test]
    fn the_choice_of_colours_leads_back_to_the_form_and_nowhere_else() {
        for form in ["/sign-in", "/sign-in?to=%2Fbatches", "/batches?q=a"] {
            assert_eq!(ours_or_form(form), form);
        }
        for foreign in ["//evil.example", "/sign-in?to=a\r\nb", "/sign-insider", ""] {
            assert_eq!(ours_or_form(foreign), FIRST, "{foreign:?}");
        }
    }

    #[test]
    fn what_was_typed_before_the_session_ended_is_shown_as_text_and_a_key_is_not() {
        let given = Given::of(&[
            ("why", "<script>\u{202e}\r\nsecond"),
            ("glass", "secret"),
            ("for", ""),
        ]);
        let text = not_done(&given).into_string();
        assert!(
            text.contains("&lt;script&gt;") && text.contains("second"),
            "{text}"
        );
        assert!(
            !text.contains('\u{202e}') && !text.contains("secret"),
            "{text}"
        );
        assert!(!text.contains("<dt>for</dt>"), "{text}");
        assert_eq!(not_done(&Given::default()).into_string(), "");
    }

    #[test]
    fn the_form_keeps_the_name_and_never_the_key() {
        let text = form(Some("Wrong <b>"), "/x", "ada\"><script>").into_string();
        assert!(text.contains("Wrong &lt;b&gt;"), "{text}");
        assert!(
            text.contains("value=\"ada&quot;&gt;&lt;script&gt;\""),
            "{text}"
        );
        assert!(!text.contains("type=\"password\" value"), "{text}");
    }
}

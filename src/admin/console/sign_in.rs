//! Signing in and out.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::desk::Console;
use super::frame;
use super::given::Given;
use super::page::{FIRST, Page};
use crate::admin::connections::Client;
use crate::admin::sessions::NotSignedIn;

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

pub(super) async fn show(
    State(console): State<Console>,
    axum::extract::Query(To { to }): axum::extract::Query<To>,
) -> Response {
    answer(&console, StatusCode::OK, None, &to, "")
}

/// Redis does not answer, so that a session cannot be looked up.
pub(super) fn while_unknown(console: &Console, to: &str) -> Response {
    let text = "Redis does not answer, so it is not known who you are. Sign in again: for 15 minutes, on this worker only, you may read and pause.";
    answer(console, StatusCode::SERVICE_UNAVAILABLE, Some(text), to, "")
}

pub(super) async fn sign_in(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
    given: Given,
) -> Response {
    let desk = &console.desk;
    if !desk.has_people() || !desk.reach().is_host(&uri, &headers) {
        return answer(&console, StatusCode::FORBIDDEN, None, given.get("to"), "");
    }
    if let Err(problem) = desk.check_origin(&uri, &headers) {
        return frame::refused(console.api.environment(), &problem);
    }
    let name = given.get("name");
    let refused = match desk.sign_in(client.peer, name, given.get("key")).await {
        Ok(cookie) => {
            return with_cookie(Redirect::to(ours(given.get("to"))).into_response(), &cookie);
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
    answer(&console, refused.0, Some(&refused.1), given.get("to"), name)
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
    let body = html! {
        h1 { "Sign in" }
        @match why_not {
            Some(why) => p.answer { (why) },
            None => (form(fault, ours(to), name)),
        }
    };
    let page = Page {
        status: if why_not.is_some() {
            StatusCode::FORBIDDEN
        } else {
            status
        },
        title: "Sign in".to_owned(),
        menu: None,
        is_live: false,
        is_fast: false,
        as_of: None,
        body,
    };
    (page.status, frame::alone(console.api.environment(), &page)).into_response()
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

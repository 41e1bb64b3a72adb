//! The form that says how pages look, when it is sent.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::desk::Console;
use super::display::{COOKIE, Display};
use super::frame;
use super::given::Given;
use super::sign_in::ours_or_form;
use crate::admin::reach::Reach;

const YEAR_SECONDS: u32 = 31_536_000;

/// Sets the cookie, and goes back to the page that has the form.
pub(super) async fn choose(
    State(console): State<Console>,
    uri: Uri,
    headers: HeaderMap,
    given: Given,
) -> Response {
    if let Err(problem) = console.desk.check_origin(&uri, &headers) {
        return frame::refused(console.api.environment(), &problem);
    }
    let chosen = ["theme", "times", "keys"].map(|name| given.get(name));
    let word = Display::parse(&chosen.join(".")).word();
    let secure = match console.desk.reach() {
        Reach::Https(_) => "; Secure",
        _ => "",
    };
    let cookie =
        format!("{COOKIE}={word}; Path=/; Max-Age={YEAR_SECONDS}; HttpOnly; SameSite=Lax{secure}");
    let mut response = Redirect::to(&before(&headers)).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The path of the page that sent the form, or the first page.
fn before(headers: &HeaderMap) -> String {
    let page = headers.get(header::REFERER);
    let page = page.and_then(|page| page.to_str().ok()?.parse::<Uri>().ok());
    let path = page.as_ref().and_then(Uri::path_and_query);
    ours_or_form(path.map_or("", |path| path.as_str())).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_leads_back_to_its_page_and_nowhere_else() {
        let from = |page| {
            let page = HeaderValue::from_static(page);
            before(&HeaderMap::from_iter([(header::REFERER, page)]))
        };
        assert_eq!(from("http://127.0.0.1:9/batches?q=a"), "/batches?q=a");
        assert_eq!(from("http://127.0.0.1:9/sign-in?to=%2F"), "/sign-in?to=%2F");
        assert_eq!(from("http://evil.example//evil.example"), "/");
        assert_eq!(before(&HeaderMap::new()), "/");
    }
}

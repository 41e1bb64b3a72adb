//! Views that somebody saved: addresses of lists with their filters, in the menu under the name of their page. A person has them on
//! all workers.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

use super::asked::Asked;
use super::given::Given;
use super::page::Menu;
use crate::admin::api::Api;
use crate::admin::caller::{Caller, SignIn};
use crate::admin::problem::Problem;
use crate::people::Permission;
use crate::ports::views::{SavedView, VIEWS_AT_MOST};
use crate::printable;

pub(super) const PATH: &str = "/views";
pub(super) const REMOVE: &str = "/views/remove";
const NAME_CHARS: usize = 60;
const PATH_BYTES: usize = 2000;
/// A page does not wait longer for them.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// The views of who asks for a page, and whether that page can be saved.
#[derive(Default)]
pub(super) struct OwnViews {
    /// The address of the page, if it can be saved.
    here: Option<String>,
    views: Vec<SavedView>,
    is_unknown: bool,
}

impl OwnViews {
    /// Those of the caller, on the page with this address.
    pub(super) async fn read(api: &Api, caller: &Caller, path: &str, query: &str) -> Self {
        let Some(owner) = owner(caller) else {
            return Self::default();
        };
        let here = Asked::of(path, query).at(path);
        let reading = tokio::time::timeout(READ_WITHIN, api.views().list(&owner)).await;
        let known = reading.ok().and_then(Result::ok);
        Self {
            is_unknown: known.is_none(),
            // Another program may have written them.
            views: known.map_or_else(Vec::new, |all| all.into_iter().filter(is_fit).collect()),
            here: menu_of(&here).map(|_menu| here),
        }
    }

    /// Those of a page, under its name in the menu.
    pub(super) fn under(&self, menu: Menu) -> Markup {
        let own = self.views.iter();
        let own: Vec<_> = own
            .filter(|view| menu_of(&view.path) == Some(menu))
            .collect();
        html! {
            @if !own.is_empty() {
                ul.views aria-label={ "Saved views of " (menu.label()) } {
                    @for view in own { li { a href=(view.path) { bdi { (view.name) } } } }
                }
            }
        }
    }

    /// The forms that save this page, and remove views.
    pub(super) fn forms(&self) -> Markup {
        let Some(here) = &self.here else {
            return html! {};
        };
        html! {
            details #views {
                summary { "Save this view" }
                form.filters method="post" action=(PATH) {
                    input type="hidden" name="to" value=(here);
                    div { label for="view-name" { "Name, under which it is in the menu" } input #view-name name="name" maxlength=(NAME_CHARS) required; }
                    button type="submit" { "Save this view" }
                }
                @if self.is_unknown { p.fault { "Not known: which views you saved, since Redis does not answer." } }
                @if !self.views.is_empty() {
                    p { "Your views, at most " (VIEWS_AT_MOST) ":" }
                    ul {
                        @for view in &self.views {
                            li {
                                a href=(view.path) { bdi { (view.name) } } " "
                                form.inline method="post" action=(REMOVE) {
                                    input type="hidden" name="to" value=(here);
                                    input type="hidden" name="name" value=(view.name);
                                    button type="submit" aria-label={ "Remove the view " (view.name) } { "Remove" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whose views they are, as the store names it. A token is nobody's.
fn owner(caller: &Caller) -> Option<String> {
    let who = match (&caller.name, caller.sign_in) {
        (Some(name), _) => format!("person {name}"),
        (None, SignIn::Loopback) => "loopback".to_owned(),
        (None, _) => return None,
    };
    Some(hex::encode(Sha256::digest(who)))
}

/// The page of the menu under which a view is; `None` if the address is not one of a list: a view never leads to a form of a change.
fn menu_of(path: &str) -> Option<Menu> {
    let bare = path.split('?').next()?;
    let parts: Vec<&str> = bare.strip_prefix('/')?.split('/').collect();
    match parts.as_slice() {
        ["access"] => Some(Menu::Access),
        ["batches"] | ["batches", _] | ["batches", _, "users"] => Some(Menu::Batches),
        ["dead-letters"] | ["dead-letters", "groups", _] => Some(Menu::DeadLetters),
        ["operations"] => Some(Menu::Operations),
        ["plans"] => Some(Menu::Plans),
        ["holds"] => Some(Menu::Holds),
        ["workers"] | ["workers", "history"] => Some(Menu::Workers),
        ["audit-log"] => Some(Menu::AuditLog),
        _ => None,
    }
}

fn is_fit(view: &SavedView) -> bool {
    let is_name = printable::is_plain_line(&view.name) && view.name.chars().count() <= NAME_CHARS;
    let is_plain = view
        .path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_name && is_plain && view.path.len() <= PATH_BYTES && menu_of(&view.path).is_some()
}

fn demand_owner(caller: &Caller) -> Result<String, Problem> {
    caller.demand(Permission::Look)?;
    owner(caller).ok_or_else(|| {
        let detail = "views are those of a person; a token is nobody's";
        Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
    })
}

pub(super) async fn save(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Result<Redirect, Problem> {
    let owner = demand_owner(&caller)?;
    let view = SavedView {
        name: given.get("name").to_owned(),
        path: given.get("to").to_owned(),
    };
    if !is_fit(&view) {
        return Err(Problem::bad_request(format!(
            "a view has a name of 1 to {NAME_CHARS} characters and the address of a list; nothing was saved"
        )));
    }
    if !api.views().save(&owner, &view).await? {
        let detail = format!("you have {VIEWS_AT_MOST} views; remove one first. Nothing was saved");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_views", detail));
    }
    Ok(Redirect::to(&view.path))
}

/// Removes a view, and goes back to the page that has the form.
pub(super) async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Result<Redirect, Problem> {
    let owner = demand_owner(&caller)?;
    api.views().remove(&owner, given.get("name")).await?;
    let to = SavedView {
        name: "the page".to_owned(),
        path: given.get("to").to_owned(),
    };
    Ok(Redirect::to(if is_fit(&to) {
        &to.path
    } else {
        super::page::FIRST
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{Person, Role};

    fn view(name: &str, path: &str) -> SavedView {
        SavedView {
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }

    fn own() -> OwnViews {
        OwnViews {
            here: Some("/batches?state=stuck".to_owned()),
            views: vec![
                view("<b>stuck", "/batches?state=stuck"),
                view("old", "/access?older=1d"),
            ],
            is_unknown: false,
        }
    }

    #[test]
    fn a_view_is_under_the_name_of_its_page_and_text_stays_text() {
        let text = own().under(Menu::Batches).into_string();
        assert!(
            text.contains("href=\"/batches?state=stuck\"><bdi>&lt;b&gt;stuck"),
            "{text}"
        );
        assert!(!text.contains("/access"), "{text}");
        assert_eq!(own().under(Menu::Plans).into_string(), "");
        let text = own().forms().into_string();
        assert_eq!(
            text.matches("action=\"/views/remove\"").count(),
            2,
            "{text}"
        );
        assert!(
            text.contains("aria-label=\"Remove the view old\""),
            "{text}"
        );
        let unknown = OwnViews {
            is_unknown: true,
            views: Vec::new(),
            ..own()
        };
        assert!(
            unknown
                .forms()
                .into_string()
                .contains("Not known: which views")
        );
        assert_eq!(OwnViews::default().forms().into_string(), "");
    }

    #[test]
    fn only_lists_are_saved_and_never_another_site_or_a_form() {
        for path in [
            "/batches",
            "/batches/b-1/users?why=brake",
            "/workers/history",
            "/audit-log",
        ] {
            assert!(is_fit(&view("a", path)), "{path}");
        }
        for path in [
            "//evil.example/batches",
            "https://evil.example/batches",
            "/\\evil.example",
            "/holds/lift?user=x",
            "/batches/b-1/cancel",
            "/operations/new",
            "/batches?q=a b",
            "",
        ] {
            assert!(!is_fit(&view("a", path)), "{path}");
        }
        for name in ["", " ", "a\u{202e}b", &"x".repeat(61)] {
            assert!(!is_fit(&view(name, "/batches")), "{name}");
        }
    }

    #[test]
    fn a_person_and_this_machine_have_views_and_a_token_has_none() {
        let ada = Caller::person(&Person::keyless("ada", Role::Reader), SignIn::Session);
        let local = Caller::token(SignIn::Loopback, false);
        assert_ne!(owner(&ada), owner(&local));
        assert_eq!(owner(&Caller::token(SignIn::OperatorToken, false)), None);
        assert!(!owner(&ada).unwrap().contains("ada"));
    }
}

//! The page of a change: what it does, who may do it, why, and what has to be typed.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::given::Given;
use super::page::{Menu, Page};
use super::parts;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::people::Permission;

/// The form that moves users to the urgent lane, which lists lead to.
pub(super) const URGENT: &str = "/urgent";
pub(super) const URGENT_LANE: &str = "Move to the urgent lane";

/// A change that somebody may make.
pub(super) struct Act {
    pub(super) title: String,
    pub(super) menu: Menu,
    /// Where the form is sent.
    pub(super) path: String,
    pub(super) permission: Permission,
    pub(super) button: &'static str,
    /// What it does.
    pub(super) explanation: Markup,
    /// The fields beside who and why.
    pub(super) fields: Markup,
    /// What has to be typed, if a slip would reach many or cannot be undone.
    pub(super) confirm: Option<Confirm>,
}

pub(super) struct Confirm {
    pub(super) label: String,
}

impl Act {
    /// The form, with what was typed before and why it was refused.
    pub(super) fn page(&self, caller: &Caller, given: &Given, refused: Option<&Problem>) -> Page {
        let may = caller.may(self.permission);
        let body = html! {
            h1 { (self.title) }
            @if let Some(problem) = refused {
                p.fault role="alert" { (problem.detail()) " [" (parts::code(problem.code())) "] " (parts::what_to_do(problem.code())) }
            }
            (self.explanation)
            form.stacked method="post" action=(self.path) {
                (self.fields)
                @if caller.name.is_none() {
                    div { label for="who" { "Your name, for the audit log" } input #who name="who" value=(given.get("who")) required maxlength="1000"; }
                }
                div { label for="why" { "Why, for the audit log" } input #why name="why" value=(given.get("why")) required maxlength="1000"; }
                @if let Some(confirm) = &self.confirm {
                    div { label for="confirm" { (confirm.label) } input #confirm name="confirm" value=(given.get("confirm")) autocomplete="off" required; }
                }
                div {
                    @if may { button type="submit" { (self.button) } }
                    @else { button type="button" aria-disabled="true" aria-describedby="needs" { (self.button) } p #needs .fault { (needs(self.permission)) } }
                }
            }
        };
        Page {
            status: refused.map_or(StatusCode::OK, Problem::status),
            ..Page::new(self.title.clone(), self.menu, body)
        }
    }
}

/// What somebody lacks.
pub(super) fn needs(permission: Permission) -> String {
    format!("Needs the permission {}.", permission.as_str())
}

/// The way to a change, or what is missing for it.
pub(super) fn link(caller: &Caller, permission: Permission, path: &str, words: &str) -> Markup {
    html! {
        @if caller.may(permission) { a href=(path) { (words) "…" } }
        @else { span tabindex="0" aria-disabled="true" { (words) } " " span.soft { "(" (needs(permission)) ")" } }
    }
}

/// What a change did.
pub(super) fn done(title: &str, menu: Menu, body: &Markup, back: [&str; 2]) -> Page {
    let [path, words] = back;
    let body = html! {
        h1 { (title) }
        (body)
        p { a href=(path) { (words) } }
    };
    Page::new(title, menu, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;
    use crate::people::{Person, Role};

    fn act() -> Act {
        Act {
            title: "Pause".to_owned(),
            menu: Menu::Workers,
            path: "/pause".to_owned(),
            permission: Permission::Pause,
            button: "Pause",
            explanation: html! {},
            fields: html! {},
            confirm: Some(Confirm {
                label: "Type 12".to_owned(),
            }),
        }
    }

    fn ada(role: Role) -> Caller {
        let person = Person::keyless("ada", role);
        Caller::person(&person, SignIn::Session)
    }

    #[test]
    fn a_role_without_the_permission_sees_what_is_missing_and_cannot_send_the_form() {
        let text = act()
            .page(&ada(Role::Reader), &Given::default(), None)
            .body
            .into_string();
        assert!(
            text.contains("aria-disabled=\"true\"") && text.contains("Needs the permission pause."),
            "{text}"
        );
        assert!(!text.contains("type=\"submit\""), "{text}");
        let text = act()
            .page(&ada(Role::Operator), &Given::default(), None)
            .body
            .into_string();
        assert!(
            text.contains("type=\"submit\"") && !text.contains("name=\"who\""),
            "{text}"
        );
        let reader = link(&ada(Role::Reader), Permission::Hold, "/x", "Put on hold").into_string();
        assert!(!reader.contains("href"), "{reader}");
    }

    #[test]
    fn a_refused_form_keeps_what_was_typed() {
        let given = Given::of(&[("why", "\"><b>"), ("confirm", "11"), ("who", "bob")]);
        let refused = Problem::bad_request("You typed “11”.");
        let local = Caller::token(SignIn::Loopback, false);
        let page = act().page(&local, &given, Some(&refused));
        let text = page.body.into_string();
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        for expected in [
            "You typed “11”.",
            "value=\"&quot;&gt;&lt;b&gt;\"",
            "value=\"11\"",
            "value=\"bob\"",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}

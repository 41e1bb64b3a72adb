//! Rows with boxes, and what can be done with those that are ticked: each act is a page that asks why, and lists them.

use std::fmt::Display;

use maud::{Markup, html};

use super::act::needs;
use crate::admin::caller::Caller;
use crate::people::Permission;

/// The ID of the form; a page has one.
const FORM: &str = "ticked";

/// What can be done with the rows that are ticked.
pub(super) struct Tick {
    pub(super) permission: Permission,
    /// The page that reads the ticks from its address.
    pub(super) path: &'static str,
    pub(super) words: &'static str,
}

/// The box of a row.
pub(super) fn tick(name: &str, value: &impl Display) -> Markup {
    html! { input type="checkbox" form=(FORM) name=(name) value=(value) aria-label={ "Tick " (value) }; }
}

/// The buttons below the rows.
pub(super) fn acts(caller: &Caller, acts: &[Tick]) -> Markup {
    html! {
        form.inline #(FORM) method="get" {
            span { "With those that are ticked:" }
            @for act in acts {
                @if caller.may(act.permission) { button type="submit" formaction=(act.path) { (act.words) "…" } }
                @else { button type="button" aria-disabled="true" { (act.words) } span.soft { "(" (needs(act.permission)) ")" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;
    use crate::people::{Person, Role};

    #[test]
    fn ticks_belong_to_the_form_of_the_acts_and_an_act_names_what_is_missing() {
        let text = tick("user", &"<1>").into_string();
        assert!(
            text.contains("form=\"ticked\"") && text.contains("value=\"&lt;1&gt;\""),
            "{text}"
        );
        let ada = Caller::person(&Person::keyless("ada", Role::Operator), SignIn::Session);
        let both = [
            Tick {
                permission: Permission::Hold,
                path: "/holds/add",
                words: "Put on hold",
            },
            Tick {
                permission: Permission::Discard,
                path: "/operations/discard",
                words: "Discard",
            },
        ];
        let text = acts(&ada, &both).into_string();
        assert!(
            text.contains("id=\"ticked\"") && text.contains("formaction=\"/holds/add\""),
            "{text}"
        );
        assert!(
            text.contains("Needs the permission discard.") && !text.contains("/operations/discard"),
            "{text}"
        );
    }
}

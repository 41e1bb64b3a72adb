//! Single keys, for people who use the console a lot. The script obeys them, and only while no field has the focus.

use maud::{Markup, html};

use super::page::Menu;

/// After `g`: the pages of the menu.
const PAGES: [(Menu, &str); 9] = [
    (Menu::Now, "n"),
    (Menu::Access, "a"),
    (Menu::Batches, "b"),
    (Menu::DeadLetters, "d"),
    (Menu::Plans, "p"),
    (Menu::Operations, "o"),
    (Menu::Holds, "h"),
    (Menu::Workers, "w"),
    (Menu::AuditLog, "l"),
];

const OTHERS: [(&str, &str); 7] = [
    ("/", "go to the field that finds"),
    ("?", "open this list"),
    ("j", "next row"),
    ("k", "row before"),
    ("x", "tick the row, or take the tick away"),
    ("r", "fetch the page again"),
    ("Esc", "leave a field, or close what is open"),
];

/// The key of a page.
pub(super) fn of(page: Menu) -> Option<&'static str> {
    let found = PAGES.iter().find(|(known, _)| *known == page);
    found.map(|(_, key)| *key)
}

/// All keys, for the page of help.
pub(super) fn list(is_off: bool) -> Markup {
    html! {
        h2 #keys-list { "Keys" }
        p {
            "Single keys are " strong { @if is_off { "off" } @else { "on" } } ": change it under “Display”, at the top. They do nothing while you type. "
            "Enter opens the link of a row."
        }
        dl {
            @for (key, what) in OTHERS { dt { kbd { (key) } } dd { (what) } }
            @for (page, key) in PAGES { dt { kbd { "g" } " " kbd { (key) } } dd { (page.label()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_has_two_meanings() {
        let pages: BTreeSet<&str> = PAGES.iter().map(|(_, key)| *key).collect();
        let others: BTreeSet<&str> = OTHERS.iter().map(|(key, _)| *key).collect();
        assert_eq!((pages.len(), others.len()), (PAGES.len(), OTHERS.len()));
        assert!(!others.contains("g"));
        assert_eq!((of(Menu::Holds), of(Menu::Help)), (Some("h"), None));
    }
}

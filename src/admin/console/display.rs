//! How somebody wants pages to look: kept in a cookie, set by a form, so that it works without the script.

use axum::http::{HeaderMap, header};
use maud::{Markup, html};

pub(super) const PATH: &str = "/display";
pub(super) const COOKIE: &str = "offboarder-display";

/// What a cookie may say. Anything else counts as the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Display {
    /// `dark` or `light`; `None` is what the device has.
    pub(super) theme: Option<&'static str>,
    /// Times of the device's zone instead of UTC; this needs the script.
    pub(super) is_local: bool,
    /// Whether single keys do nothing.
    pub(super) is_without_keys: bool,
}

impl Display {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let values = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';'));
        pairs
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .map_or_else(Self::default, Self::parse)
    }

    pub(super) fn parse(value: &str) -> Self {
        let has = |word: &str| value.split('.').any(|known| known == word);
        let theme = ["dark", "light"].into_iter().find(|word| has(word));
        Self {
            theme,
            is_local: has("local"),
            is_without_keys: has("nokeys"),
        }
    }

    pub(super) fn word(self) -> String {
        let words = [
            self.theme,
            self.is_local.then_some("local"),
            self.is_without_keys.then_some("nokeys"),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    /// The form, on every page.
    pub(super) fn form(self) -> Markup {
        let option = |value: &str, words: &str, is_chosen: bool| html! { option value=(value) selected[is_chosen] { (words) } };
        html! {
            details #display {
                summary { "Display" }
                form.stacked method="post" action=(PATH) {
                    div {
                        label for="theme" { "Colours" }
                        select #theme name="theme" {
                            (option("", "As the device", self.theme.is_none()))
                            (option("light", "Light", self.theme == Some("light")))
                            (option("dark", "Dark", self.theme == Some("dark")))
                        }
                    }
                    div {
                        label for="times" { "Times" }
                        select #times name="times" {
                            (option("", "UTC", !self.is_local))
                            (option("local", "Of this device", self.is_local))
                        }
                    }
                    div {
                        label for="keys" { "Single keys" }
                        select #keys name="keys" {
                            (option("", "On", !self.is_without_keys))
                            (option("nokeys", "Off", self.is_without_keys))
                        }
                    }
                    div { button type="submit" { "Save" } " " a href="/help#keys-list" { "Which keys" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_cookie_says_how_pages_look_and_an_odd_one_says_nothing() {
        let cookie = "a=b; offboarder-display=dark.local.nokeys; c=d";
        let chosen = Display::of(&with(header::COOKIE, cookie));
        assert_eq!(
            chosen,
            Display {
                theme: Some("dark"),
                is_local: true,
                is_without_keys: true
            }
        );
        assert_eq!(Display::parse(&chosen.word()), chosen);
        let odd = with(header::COOKIE, "offboarder-display=\"><script>.darker");
        assert_eq!(Display::of(&odd), Display::default());
        assert_eq!(Display::of(&HeaderMap::new()).word(), "");
    }
}

//! The address of a page: where it is, and its filters. Every view has an address that can be sent.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;

use crate::admin::problem::Problem;
use crate::admin::read;

/// The path of a page, and the parameters that are not empty: a form sends those that nobody filled in, too.
pub(super) struct Asked {
    path: String,
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(
            parts.uri.path(),
            parts.uri.query().unwrap_or_default(),
        ))
    }
}

impl Asked {
    pub(super) fn of(path: &str, query: &str) -> Self {
        let path = path.strip_prefix("/_").unwrap_or(path);
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self {
            path: path.to_owned(),
            pairs: pairs.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }

    /// What a parameter says; empty if it is not given.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// All that a parameter says that may be given several times.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.pairs.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether anything is filtered.
    pub(super) fn is_filtered(&self) -> bool {
        self.pairs.iter().any(|(name, _)| name != "cursor")
    }

    /// The page without filters.
    pub(super) fn bare(&self) -> &str {
        &self.path
    }

    /// The parameters as the API reads them, with these ones.
    pub(super) fn read<T: DeserializeOwned + IntoParams>(
        &self,
        more: &[(&str, &str)],
    ) -> Result<T, Problem> {
        read::from_query(&self.query(more))
    }

    /// The same page with another value of a parameter.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        format!("{}?{}", self.path, self.query(&[(name, value)]))
    }

    /// Another path with the same filters, from the first page on.
    pub(super) fn at(&self, path: &str) -> String {
        let query = self.query(&[("cursor", "")]);
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        }
    }

    /// The parameters of the first page, in one text.
    pub(super) fn filters(&self) -> String {
        self.query(&[("cursor", "")])
    }

    fn query(&self, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let is_replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
        for (name, value) in &self.pairs {
            if !is_replaced(name) {
                query.append_pair(name, value);
            }
        }
        query.extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_view_keeps_its_filters_and_a_fragment_has_that_of_its_page() {
        let asked = Asked::of("/_/batches", "state=&q=b%261&cursor=x");
        assert_eq!(asked.get("q"), "b&1");
        assert_eq!(asked.get("state"), "");
        assert_eq!(Asked::of("/x", "user=a&q=1&user=b").all("user"), ["a", "b"]);
        assert!(asked.is_filtered() && !Asked::of("/x", "cursor=1&q=").is_filtered());
        assert_eq!(asked.with("cursor", "y z"), "/batches?q=b%261&cursor=y+z");
        assert_eq!(asked.at("/batches.csv"), "/batches.csv?q=b%261");
    }
}

//! What a form sent.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::admin::caller::Caller;
use crate::admin::members;
use crate::admin::problem::Problem;
use crate::admin::read;

/// The fields of a form. It is shown again as it was given if it is refused.
#[derive(Default)]
pub(super) struct Given(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Given {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = read::bytes(request).await?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }
}

impl Given {
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(pairs.collect())
    }

    /// A field without blanks around it; empty if it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// All fields, as they were sent.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same, or what a form shows before anybody typed.
    pub(super) fn or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.get(name) {
            "" => default,
            given => given,
        }
    }

    /// The lines or words of a field.
    pub(super) fn words(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .split([' ', ',', ';', '\n', '\r', '\t'])
            .filter(|word| !word.is_empty())
            .collect()
    }

    /// A body of the API, of these members and of who acts and why. A person is known, and signs for nobody else.
    pub(super) fn order<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        members: Value,
    ) -> Result<T, Problem> {
        let mut all = match members {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        all.insert("why".to_owned(), json!(self.get("why")));
        if caller.name.is_none() {
            all.insert("who".to_owned(), json!(self.get("who")));
        }
        members::read(Value::Object(all))
            .map_err(|why| Problem::bad_request(format!("The form: {why}")))
    }

    /// Refuses a number or a name that was typed wrongly.
    pub(super) fn confirm(&self, expected: &str, what: &str) -> Result<(), Problem> {
        let typed = self.get("confirm");
        if typed.replace(',', "") == expected {
            return Ok(());
        }
        Err(Problem::bad_request(format!(
            "You typed “{typed}”. {what} is {expected}; nothing was done."
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_confirmed_as_it_is_shown() {
        let given = Given::of(&[("confirm", " 1,204 "), ("users", "a b,\r\nc")]);
        assert!(given.confirm("1204", "The number").is_ok());
        let wrong = given.confirm("211", "The number of users").unwrap_err();
        assert_eq!(
            wrong.detail(),
            "You typed “1,204”. The number of users is 211; nothing was done."
        );
        assert_eq!(given.words("users"), ["a", "b", "c"]);
        assert!(given.confirm("", "x").is_err() && Given::default().confirm("2", "x").is_err());
    }
}

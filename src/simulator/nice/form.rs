//! The form of calls: whatever the document does not allow is refused.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::errors::bad;
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;

/// The parameters of a query, all of them known and given once.
pub(super) struct Query<'a> {
    call: &'a Call,
    members: Vec<(String, String)>,
}

impl<'a> Query<'a> {
    pub(super) fn of(call: &'a Call, known: &[&str]) -> Result<Self, Box<Reply>> {
        let members = members(call);
        for (index, (name, _)) in members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return bad(call, &format!("the parameter {name:?} is not known"));
            }
            if members.iter().take(index).any(|(other, _)| other == name) {
                return bad(call, &format!("{name} is given twice"));
            }
        }
        Ok(Self { call, members })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Box<Reply>> {
        match self.get(name) {
            Some(value) => Ok(value),
            None => bad(self.call, &format!("{name} is missing")),
        }
    }

    /// A number within these bounds, both included.
    pub(super) fn number(
        &self,
        name: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Box<Reply>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match integer(text).filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => bad(
                self.call,
                &format!("{name} is no number from {least} to {most}"),
            ),
        }
    }

    pub(super) fn uuid(&self, name: &str) -> Result<String, Box<Reply>> {
        match uuid(self.needed(name)?) {
            Some(id) => Ok(id),
            None => bad(self.call, &format!("{name} is no UUID")),
        }
    }

    /// A time in UTC that ends in `Z`; an offset is not taken.
    pub(super) fn time(&self, name: &str) -> Result<Timestamp, Box<Reply>> {
        let text = self.needed(name)?;
        match text.parse().ok().filter(|_| text.ends_with('Z')) {
            Some(time) => Ok(time),
            None => bad(self.call, &format!("{name} is no time in UTC ending in Z")),
        }
    }
}

/// The parameters as they were sent.
pub(super) fn members(call: &Call) -> Vec<(String, String)> {
    url::form_urlencoded::parse(call.query.as_bytes())
        .into_owned()
        .collect()
}

/// Digits alone.
pub(super) fn integer(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A UUID with its hyphens, in lower case.
pub(super) fn uuid(text: &str) -> Option<String> {
    let id = text.parse::<uuid::Uuid>().ok()?.to_string();
    (id == text.to_lowercase()).then_some(id)
}

/// The JSON body.
pub(super) fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Box<Reply>> {
    let is_json = call
        .header("content-type")
        .is_some_and(|kind| kind.split(';').next() == Some("application/json"));
    if !is_json {
        return bad(call, "the body is not application/json");
    }
    serde_json::from_slice(&call.body).or_else(|error| bad(call, &error.to_string()))
}

pub(super) fn no_body(call: &Call) -> Result<(), Box<Reply>> {
    if call.body.is_empty() {
        Ok(())
    } else {
        bad(call, "the operation has no body")
    }
}

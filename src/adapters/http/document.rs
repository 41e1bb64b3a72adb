//! JSON objects that are read, changed in a member or two, and written back. Every other member keeps its exact text,
//! so a write changes nothing that this program does not know.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

#[derive(Debug, Clone)]
pub(crate) struct Document(IndexMap<String, Box<RawValue>>);

impl Document {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| format!("not a JSON object, at column {}", error.column()))
    }

    /// The member's text, if the member exists.
    pub(crate) fn raw(&self, member: &str) -> Option<&str> {
        self.0.get(member).map(|raw| raw.get())
    }

    /// A member, if it exists, is not null, and has that shape.
    pub(crate) fn get<T: DeserializeOwned>(&self, member: &str) -> Option<T> {
        let raw = self.raw(member)?;
        serde_json::from_str::<Option<T>>(raw).ok().flatten()
    }

    /// A list; empty if it is missing or null. A list that cannot be understood must not pass for an empty one.
    pub(crate) fn list<T: DeserializeOwned>(&self, member: &str) -> Result<Vec<T>, String> {
        let Some(raw) = self.raw(member) else {
            return Ok(Vec::new());
        };
        serde_json::from_str::<Option<Vec<T>>>(raw)
            .map(Option::unwrap_or_default)
            .map_err(|_other_shape| format!("{member} is not a list of the expected shape"))
    }

    pub(crate) fn set(&mut self, member: &str, json: String) {
        if let Ok(raw) = RawValue::from_string(json) {
            self.0.insert(member.to_owned(), raw);
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Raw values that were parsed once always serialize.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }
}

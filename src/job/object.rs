//! Reads a JSON object, and keeps the members that are ours, or that show whose form it is.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::member::Member;

/// How many faults and names are kept at most: a body may have any number.
const MAX_NOTED: usize = 8;
/// Of a name.
const MAX_NAME_CHARS: usize = 40;

/// An object, as far as it was read.
#[derive(Default)]
pub(super) struct Object<'de> {
    values: [Option<Value>; Member::ALL.len()],
    /// What is wrong with the names of the members.
    pub(super) faults: Vec<String>,
    /// A name that is nearly `userId`.
    pub(super) nearly_user_id: Option<String>,
    /// Names that have no meaning here.
    pub(super) ignored: Vec<String>,
    pub(super) foreign: Foreign<'de>,
}

/// Members of envelopes that others put around a message.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member that is there or not"
)]
pub(super) struct Foreign<'de> {
    /// `CloudEvents`.
    pub(super) specversion: Option<Value>,
    pub(super) kind: Option<Value>,
    pub(super) data: Option<&'de RawValue>,
    pub(super) has_data_base64: bool,
    /// `specversion`, `type` or `data` is there twice.
    pub(super) is_ambiguous: bool,
    /// `MassTransit`.
    pub(super) has_message: bool,
    pub(super) has_message_type: bool,
    /// Celery, protocol 1.
    pub(super) has_task: bool,
    pub(super) has_arguments: bool,
}

/// The value of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `null`.
    Missing,
    Text(String),
    /// What it is instead of text.
    Other(&'static str),
}

impl<'de> Object<'de> {
    /// Reads the text of an object, to its end.
    pub(super) fn read(text: &'de str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let object = Reading.deserialize(&mut json)?;
        json.end()?;
        Ok(object)
    }

    pub(super) fn take(&mut self, member: Member) -> Option<Value> {
        self.slot(member)?.take()
    }

    /// The members of ours that it has, also those that are `null`.
    pub(super) fn present(&self) -> impl Iterator<Item = Member> {
        let known = Member::ALL.into_iter().zip(&self.values);
        known.filter_map(|(member, value)| value.is_some().then_some(member))
    }

    pub(super) fn has(&self, member: Member) -> bool {
        self.present().any(|present| present == member)
    }

    fn slot(&mut self, member: Member) -> Option<&mut Option<Value>> {
        let mut known = Member::ALL.into_iter().zip(&mut self.values);
        known.find_map(|(known, value)| (known == member).then_some(value))
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_NOTED {
            self.faults.push(fault);
        }
    }

    fn keep(&mut self, member: Member, value: Value) {
        let before = self.slot(member).and_then(|slot| slot.replace(value));
        if before.is_some() {
            self.fault(format!("{} is there twice", member.name()));
        }
    }

    /// Notes a member that is not ours.
    fn unknown(&mut self, name: &str) {
        let shown: String = name
            .chars()
            .take(MAX_NAME_CHARS)
            .flat_map(char::escape_debug)
            .collect();
        match Member::near_miss(name) {
            Some(Member::UserId) if self.nearly_user_id.is_none() => {
                self.nearly_user_id = Some(shown);
            }
            Some(meant) => {
                let meant = meant.name();
                let fault = format!("{meant} is misspelt (there is {shown}): rename or remove it");
                self.fault(fault);
            }
            None if self.ignored.len() < MAX_NOTED => self.ignored.push(shown),
            None => {}
        }
    }
}

struct Reading;

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(member) = Member::named(&name) {
                let value = map.next_value()?;
                object.keep(member, value);
                continue;
            }

            object.unknown(&name);
            let foreign = &mut object.foreign;
            match name.as_str() {
                "specversion" => {
                    let before = foreign.specversion.replace(map.next_value()?);
                    foreign.is_ambiguous |= before.is_some();
                }
                "type" => {
                    let before = foreign.kind.replace(map.next_value()?);
                    foreign.is_ambiguous |= before.is_some();
                }
                "data" => {
                    let before = foreign.data.replace(map.next_value()?);
                    foreign.is_ambiguous |= before.is_some();
                }
                other => {
                    foreign.has_data_base64 |= other == "data_base64";
                    foreign.has_message |= other == "message";
                    foreign.has_message_type |= other == "messageType";
                    foreign.has_task |= other == "task";
                    foreign.has_arguments |= matches!(other, "args" | "kwargs");
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(object)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Missing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Value, E> {
        Ok(Value::Other("true or false"))
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object"))
    }
}

use std::collections::BTreeMap;

use serde_json::Value;

/// The value of a header. One variant for each type of AMQP, so that a header passes through with the type that its
/// publisher gave it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HeaderValue {
    Void,
    Bool(bool),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    F32(f32),
    F64(f64),
    Decimal {
        scale: u8,
        value: u32,
    },
    ShortText(String),
    /// Text by convention; publishers may put any bytes here.
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    /// Seconds since 1970.
    Timestamp(u64),
    Array(Vec<Self>),
    Table(BTreeMap<String, Self>),
}

impl HeaderValue {
    /// The whole number, whatever width the publisher gave it.
    pub(crate) fn as_number(&self) -> Option<i64> {
        match self {
            Self::I64(value) => Some(*value),
            Self::I32(value) => Some(i64::from(*value)),
            Self::U32(value) => Some(i64::from(*value)),
            Self::I16(value) => Some(i64::from(*value)),
            Self::U16(value) => Some(i64::from(*value)),
            Self::I8(value) => Some(i64::from(*value)),
            Self::U8(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The text, in either type that AMQP has for it, if it is UTF-8.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Self::ShortText(text) => Some(text),
            _ => None,
        }
    }

    /// The value as JSON. Bytes that are not UTF-8 become replacement characters.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Void => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::I8(value) => Value::from(*value),
            Self::U8(value) => Value::from(*value),
            Self::I16(value) => Value::from(*value),
            Self::U16(value) => Value::from(*value),
            Self::I32(value) => Value::from(*value),
            Self::U32(value) => Value::from(*value),
            Self::I64(value) => Value::from(*value),
            Self::F32(value) => Value::from(*value),
            Self::F64(value) => Value::from(*value),
            Self::Decimal { scale, value } => Value::from(format!("{value}e-{scale}")),
            Self::ShortText(text) => Value::from(text.as_str()),
            Self::Text(bytes) | Self::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes)),
            Self::Timestamp(seconds) => Value::from(*seconds),
            Self::Array(values) => values.iter().map(Self::to_json).collect(),
            Self::Table(table) => table
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect(),
        }
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<i64> for HeaderValue {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl From<u32> for HeaderValue {
    /// As wide as every number of ours, so that readers of earlier releases understand it.
    fn from(number: u32) -> Self {
        Self::I64(i64::from(number))
    }
}

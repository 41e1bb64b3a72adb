use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::HeaderValue;

/// Headers to add to a message that is published again.
pub(crate) type AddedHeaders = Vec<(&'static str, HeaderValue)>;

/// The headers and the standard properties of a message. Each message that we publish is persistent: that is the
/// adapter's to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Properties {
    pub(crate) headers: BTreeMap<String, HeaderValue>,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) message_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) timestamp: Option<u64>,
    /// The property `type`.
    pub(crate) kind: Option<String>,
    /// The publisher's login, which RabbitMQ checked.
    pub(crate) user_id: Option<String>,
    pub(crate) app_id: Option<String>,
}

impl Properties {
    /// These headers, and nothing else.
    #[cfg(test)]
    pub(crate) fn of_headers<K: Into<String>>(
        headers: impl IntoIterator<Item = (K, HeaderValue)>,
    ) -> Self {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        Self {
            headers,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, added: AddedHeaders) {
        let added = added.into_iter();
        self.headers
            .extend(added.map(|(name, value)| (name.to_owned(), value)));
    }

    /// A header that is a whole number.
    pub(crate) fn number(&self, header: &str) -> Option<i64> {
        self.headers.get(header)?.as_number()
    }

    /// A header that is milliseconds since 1970.
    pub(crate) fn time(&self, header: &str) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.number(header)?).ok()
    }

    /// A header that is text, as people read it.
    pub(crate) fn text(&self, header: &str) -> Option<String> {
        match self.headers.get(header)?.to_json() {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn headers_json(&self) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        Value::Object(headers)
    }

    /// The standard properties, without the headers.
    pub(crate) fn standard_json(&self) -> Value {
        json!({
            "contentType": self.content_type,
            "contentEncoding": self.content_encoding,
            "correlationId": self.correlation_id,
            "replyTo": self.reply_to,
            "messageId": self.message_id,
            "timestamp": self.timestamp,
            "type": self.kind,
            "userId": self.user_id,
            "appId": self.app_id,
        })
    }
}

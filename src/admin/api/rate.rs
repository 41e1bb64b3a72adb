//! The rate of an operation, as requests give it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use utoipa::openapi::schema::{OneOfBuilder, Schema, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::operations::dead_letters::parse_pace;

/// At most 999 items per second or per minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtMost(Duration);

impl AtMost {
    fn read(given: &Value) -> Option<Self> {
        let text = match given {
            // In JSON, 5.0 and 5 are the same number.
            Value::Number(number) => format!("{}/s", number.as_f64()?),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        let parts = text.split_once('/')?;
        let items: u16 = parts.0.parse().ok()?;
        let is_in_range = (1..1000).contains(&items) && matches!(parts.1, "s" | "m");
        is_in_range.then(|| parse_pace(&text).ok().map(Self))?
    }

    pub(super) const fn pace(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for AtMost {
    fn deserialize<D: Deserializer<'de>>(rate: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(rate)?;
        Self::read(&given).ok_or_else(|| {
            let why =
                "rate: give items per second, 1 to 999, as a number, or as \"5/s\" or \"30/m\"";
            D::Error::custom(why)
        })
    }
}

impl PartialSchema for AtMost {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(999));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[1-9][0-9]{0,2}/[sm]$"));
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for AtMost {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rate_is_a_number_or_a_text_with_a_second_or_a_minute() {
        let read = |rate: Value| AtMost::read(&rate).map(AtMost::pace);
        for rate in [json!(5), json!(5.0), json!("5/s")] {
            assert_eq!(read(rate), Some(Duration::from_millis(200)));
        }
        assert_eq!(read(json!("30/m")), Some(Duration::from_secs(2)));
        for wrong in [
            json!(0),
            json!(5.5),
            json!(1000),
            json!("30/h"),
            json!("5"),
            json!("0/s"),
            json!("1000/s"),
            json!(-1),
            json!(null),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }
}

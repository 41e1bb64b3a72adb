//! A body that picks dead letters: the members of the filter, and beside them those of the request.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{IntoParams as _, PartialSchema, ToSchema};

use crate::operations::dead_letters::DeadLetterFilter;

/// The filter, and the rest of the body. A member that neither has is refused.
#[derive(Debug)]
pub(super) struct Picked<T> {
    pub(super) filter: DeadLetterFilter,
    pub(super) rest: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Picked<T> {
    fn deserialize<D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(body)?;
        let parameters = DeadLetterFilter::into_params(|| None);
        let is_of_filter = |name: &str| parameters.iter().any(|parameter| parameter.name == *name);
        let parts: (Map<String, Value>, Map<String, Value>) = members
            .into_iter()
            .partition(|(name, _)| is_of_filter(name));

        let filter = serde_json::from_value(Value::Object(parts.0)).map_err(D::Error::custom)?;
        let rest = serde_json::from_value(Value::Object(parts.1)).map_err(D::Error::custom)?;
        Ok(Self { filter, rest })
    }
}

impl<T: PartialSchema> PartialSchema for Picked<T> {
    fn schema() -> RefOr<Schema> {
        let mut whole = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
        for part in [T::schema(), DeadLetterFilter::schema()] {
            let RefOr::T(Schema::Object(part)) = part else {
                continue;
            };
            whole = whole.description(
                part.description
                    .clone()
                    .filter(|_| !part.required.is_empty()),
            );
            for (name, schema) in part.properties {
                whole = whole.property(name, schema);
            }
            for name in part.required {
                whole = whole.required(name);
            }
        }
        RefOr::T(Schema::Object(
            whole
                .additional_properties(Some(
                    utoipa::openapi::schema::AdditionalProperties::FreeForm(false),
                ))
                .build(),
        ))
    }
}

impl<T: ToSchema> ToSchema for Picked<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
        DeadLetterFilter::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Order {
        who: String,
    }

    #[test]
    fn a_body_is_split_between_the_filter_and_the_request_and_nothing_else_is_taken() {
        let read = |body: Value| serde_json::from_value::<Picked<Order>>(body);
        let picked = read(json!({ "who": "ada", "group": "2d1f", "limit": 5 })).unwrap();
        assert_eq!(
            (picked.filter.limit, picked.rest.who.as_str()),
            (Some(5), "ada")
        );
        for (wrong, what) in [
            (json!({ "group": "2d1f" }), "`who`"),
            (json!({ "who": "ada", "reasons": ["poison"] }), "`reasons`"),
            (json!({ "who": "ada", "reason": "nonsense" }), "`nonsense`"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_schema_has_the_members_of_both() {
        let schema = serde_json::to_value(Picked::<Order>::schema()).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.contains_key("who") && properties.contains_key("group"));
        assert_eq!(schema["required"], json!(["who"]));
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}

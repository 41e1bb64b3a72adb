//! A body that picks dead letters: the members of the filter, and beside them those of the request.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, AnyOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, RefOr};
use utoipa::{IntoParams as _, PartialSchema, ToSchema};

use super::members;
use crate::operations::dead_letters::DeadLetterFilter;

/// The filter, and the rest of the body. A member that neither has is refused.
#[derive(Debug)]
pub(super) struct Picked<T> {
    pub(super) filter: DeadLetterFilter,
    pub(super) rest: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Picked<T> {
    fn deserialize<D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        let given = Map::<String, Value>::deserialize(body)?;
        let parameters = DeadLetterFilter::into_params(|| None);
        let is_of_filter = |name: &str| parameters.iter().any(|parameter| parameter.name == *name);
        let parts: (Map<String, Value>, Map<String, Value>) =
            given.into_iter().partition(|(name, _)| is_of_filter(name));

        let filter = members::read(Value::Object(parts.0)).map_err(D::Error::custom)?;
        let rest = members::read(Value::Object(parts.1)).map_err(D::Error::custom)?;
        Ok(Self { filter, rest })
    }
}

/// The highest limit of a change.
pub(super) const CHANGED_AT_MOST: usize = 100_000;

impl<T: PartialSchema> PartialSchema for Picked<T> {
    /// The members of both, and that something has to be picked.
    fn schema() -> RefOr<Schema> {
        let mut whole = ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let mut picks = AnyOfBuilder::new();
        if let RefOr::T(Schema::Object(filter)) = DeadLetterFilter::schema() {
            for (name, schema) in filter.properties {
                picks = picks.item(pick(&name, &schema));
                whole = whole.property(name.clone(), of_a_change(&name, schema));
            }
        }
        if let RefOr::T(Schema::Object(rest)) = T::schema() {
            whole = whole.description(rest.description);
            for (name, schema) in rest.properties {
                whole = whole.property(name, schema);
            }
            for name in rest.required {
                whole = whole.required(name);
            }
        }
        AllOfBuilder::new().item(whole).item(picks).into()
    }
}

/// A filter by this member alone: with a list that is not empty, a value, or `true`.
fn pick(name: &str, schema: &RefOr<Schema>) -> Schema {
    let member: RefOr<Schema> = match schema {
        RefOr::T(Schema::Array(_)) => ArrayBuilder::new().min_items(Some(1)).into(),
        RefOr::T(Schema::Object(object)) if is(object, &Type::Boolean) => ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .enum_values(Some([true]))
            .into(),
        RefOr::T(Schema::Object(object)) if is(object, &Type::Integer) => {
            ObjectBuilder::new().schema_type(Type::Integer).into()
        }
        _ => ObjectBuilder::new().schema_type(Type::String).into(),
    };
    let alone = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(name, member)
        .required(name);
    Schema::Object(alone.build())
}

fn is(object: &Object, wanted: &Type) -> bool {
    match &object.schema_type {
        SchemaType::Type(declared) => declared == wanted,
        SchemaType::Array(declared) => declared.contains(wanted),
        SchemaType::AnyValue => false,
    }
}

/// A change reaches fewer dead letters than a list.
fn of_a_change(name: &str, schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(limit)) if name == "limit" => {
            let limit = ObjectBuilder::from(limit).maximum(Some(CHANGED_AT_MOST));
            limit.into()
        }
        other => other,
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
        let picked = read(json!({ "who": "ada", "group": ["2d1f"], "limit": 5 })).unwrap();
        assert_eq!(
            (picked.filter.limit, picked.rest.who.as_str()),
            (Some(5), "ada")
        );
        for (wrong, what) in [
            (json!({ "group": ["2d1f"] }), "`who`"),
            (json!({ "who": "ada", "reasons": ["poison"] }), "`reasons`"),
            (
                json!({ "who": "ada", "reason": ["nonsense"] }),
                "`nonsense`",
            ),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_schema_has_the_members_of_both_and_demands_a_pick() {
        let schema = serde_json::to_value(Picked::<Order>::schema()).unwrap();
        let whole = &schema["allOf"][0];
        let properties = whole["properties"].as_object().unwrap();
        assert!(properties.contains_key("who") && properties.contains_key("group"));
        assert_eq!(properties["limit"]["maximum"], json!(CHANGED_AT_MOST));
        assert_eq!(whole["required"], json!(["who"]));
        assert_eq!(whole["additionalProperties"], json!(false));

        let picks = schema["allOf"][1]["anyOf"].as_array().unwrap();
        assert_eq!(picks.len() + 1, properties.len());
        let all = picks.iter().find(|pick| pick["required"] == json!(["all"]));
        assert_eq!(all.unwrap()["properties"]["all"]["enum"], json!([true]));
    }
}

//! Reads the path, the query and the body of a request. What cannot be read is answered with a problem.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use url::form_urlencoded;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use super::members;
use super::problem::Problem;
use crate::printable::{self, NOT_PLAIN};

/// Enough for thousands of IDs.
const MAX_BODY_BYTES: usize = 256 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The one parameter of a path.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("the path: {error}")))
    }
}

/// The parameters of a query. A parameter that is unknown is refused, and so is one that is given twice and is no list.
///
/// Which parameters are lists and which are numbers is read from the type's own OpenAPI description, so that the document
/// and the server cannot disagree.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        from_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

pub(super) fn from_query<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T, Problem> {
    let parameters = T::into_params(|| None);
    let is_of_type = |name: &str, wanted: &Type| {
        parameters
            .iter()
            .any(|parameter| parameter.name == name && has_type(parameter, wanted))
    };

    let mut members = Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = match (text.parse::<u64>(), text.parse::<bool>()) {
            (Ok(number), _) if is_of_type(&name, &Type::Integer) => Value::from(number),
            (_, Ok(switch)) if is_of_type(&name, &Type::Boolean) => Value::from(switch),
            _ => Value::from(text.into_owned()),
        };
        let value = match members.remove(&*name) {
            Some(Value::Array(mut values)) => {
                values.push(value);
                Value::from(values)
            }
            None if is_of_type(&name, &Type::Array) => Value::from(vec![value]),
            None => value,
            Some(_) => {
                return Err(Problem::bad_request(format!(
                    "the query: {name} is given twice"
                )));
            }
        };
        members.insert(name.into_owned(), value);
    }
    members::read(Value::Object(members))
        .map_err(|error| Problem::bad_request(format!("the query: {error}")))
}

fn has_type(parameter: &Parameter, wanted: &Type) -> bool {
    let declared = match &parameter.schema {
        Some(RefOr::T(Schema::Array(array))) => &array.schema_type,
        Some(RefOr::T(Schema::Object(object))) => &object.schema_type,
        Some(_) | None => return false,
    };
    match declared {
        SchemaType::Type(declared) => declared == wanted,
        SchemaType::Array(declared) => declared.contains(wanted),
        SchemaType::AnyValue => false,
    }
}

/// A JSON body. An empty body is read as `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = bytes(request).await?;

        if !body.is_empty() && !is_json {
            let detail = "the body must be JSON: `Content-Type: application/json`";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let members: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
        let unfit = |why: String| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unprocessable",
                format!("the body: {why}"),
            )
        };
        // serde would read a struct from an array, too.
        if !members.is_object() {
            return Err(unfit("it must be a JSON object".to_owned()));
        }

        members::read(members).map(Self).map_err(unfit)
    }
}

/// The body of a request, which has to be short and to arrive soon.
pub(super) async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let reading = to_bytes(request.into_body(), MAX_BODY_BYTES);
    match tokio::time::timeout(BODY_WITHIN, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(unread(&error)),
        Err(_elapsed) => {
            let detail = format!("the body did not arrive within {} s", BODY_WITHIN.as_secs());
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                detail,
            ))
        }
    }
}

fn unread(error: &axum::Error) -> Problem {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            let detail =
                format!("the body has more than {MAX_BODY_BYTES} bytes; send fewer IDs at a time");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail);
        }
        cause = error.source();
    }
    Problem::bad_request("the body ended early")
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// One line of text that is safe on a terminal: no control characters, and none that hide or reorder others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
// The pattern is `printable::is_plain_line`, except for characters beyond 16 bits.
#[schema(value_type = String, min_length = 1, max_length = 1000, pattern = r"^[^\s\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]([^\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB])*$")]
pub(super) struct Line(String);

impl TryFrom<String> for Line {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if printable::is_plain_line(&text) {
            Ok(Self(text))
        } else {
            Err(format!("it {NOT_PLAIN}"))
        }
    }
}

impl Line {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An optional number from `LEAST` to `MOST`.
pub(super) fn within<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    number: D,
) -> Result<Option<u64>, D::Error> {
    let Some(given) = Option::<Number>::deserialize(number)? else {
        return Ok(None);
    };
    let number = given.as_u64().or_else(|| whole(given.as_f64()?));
    let number = number.filter(|number| (LEAST..=MOST).contains(number));
    number.map(Some).ok_or_else(|| {
        D::Error::custom(format!("{given} is not a whole number, {LEAST} to {MOST}"))
    })
}

/// A whole number that has to be there, of at most `MOST`.
pub(super) fn up_to<'de, const MOST: u64, D: Deserializer<'de>>(
    number: D,
) -> Result<u64, D::Error> {
    let number = within::<0, MOST, D>(number)?;
    number.ok_or_else(|| D::Error::custom("null is not a whole number"))
}

/// In JSON, 5.0 and 5 are the same number.
fn whole(number: f64) -> Option<u64> {
    if number.fract() == 0.0 {
        format!("{number:.0}").parse().ok()
    } else {
        None
    }
}

/// A list of 1 to `MOST` items.
pub(super) fn some<'de, const MOST: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    list: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(list)?;
    if (1..=MOST).contains(&list.len()) {
        return Ok(list);
    }
    Err(D::Error::custom(format!(
        "it names {} items; name 1 to {MOST}",
        list.len()
    )))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

//! Error responses, as `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{Class, Classify, Failure};
use crate::operations::dead_letters::DeadLetterError;

/// The `Retry-After` where the failure names none.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The body of each response that is not 2xx (RFC 9457)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: status and code identify the problem.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "about:blank")]
    kind: &'static str,
    /// The HTTP status in words.
    #[schema(value_type = String, example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// For people: what is wrong and what to do.
    detail: String,
    /// A stable word. The code of a service's failure is a heading of the runbook.
    #[schema(value_type = String, example = "no_such_user")]
    code: Cow<'static, str>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            retry_after: None,
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// A change of the same kind is in progress.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        let retry_after = Some(RETRY_AFTER);
        Self {
            retry_after,
            ..Self::new(StatusCode::CONFLICT, "busy", detail)
        }
    }

    /// Too many requests are in progress.
    pub(super) fn overloaded() -> Self {
        let detail =
            "this worker has too many requests in progress; try again, or ask another worker";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        Self {
            retry_after: Some(RETRY_AFTER),
            ..problem
        }
    }

    /// A service took too long; which one is unknown.
    pub(super) fn timeout(within: Duration) -> Self {
        let detail = format!(
            "no response within {} s: `offboarder doctor` says which service is at fault",
            within.as_secs()
        );
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail);
        Self {
            retry_after: Some(RETRY_AFTER),
            ..problem
        }
    }

    /// A defect of this program.
    pub(super) fn panicked() -> Self {
        let detail = "the handler panicked; the log of this worker says where";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "panicked", detail)
    }

    /// Whether the request would be admitted with a token.
    pub(super) fn asks_for_a_token(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// Adds to the detail.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.detail = format!("{}; {more}", self.detail);
        self
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = match failure.class {
            Class::Systemic | Class::Transient | Class::Throttled | Class::UnknownOutcome => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Class::Permanent(_) | Class::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry = status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = retry.then(|| failure.retry_after.unwrap_or(RETRY_AFTER));
        Self {
            retry_after,
            ..Self::new(status, failure.code.as_str(), failure.text)
        }
    }
}

impl From<DeadLetterError> for Problem {
    fn from(error: DeadLetterError) -> Self {
        let text = error.to_string();
        match error {
            DeadLetterError::Failed(failure) => failure.into(),
            DeadLetterError::NoSuchGroup { .. } => Self::not_found("no_such_group", text),
            DeadLetterError::Ambiguous { .. } => {
                Self::new(StatusCode::CONFLICT, "ambiguous_group", text)
            }
            DeadLetterError::Refused(_) => {
                Self::new(StatusCode::CONFLICT, "access_still_there", text)
            }
        }
    }
}

impl<E: Classify> From<E> for Problem {
    fn from(error: E) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(code = %self.code, detail = self.detail, "the admin API answered with an error");
        }
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"offboarder\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(retry_after) = retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(retry_after.as_secs().max(1)),
            );
        }
        response
    }
}

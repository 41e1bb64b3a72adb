//! Error responses, as `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::address::RunbookUrl;
use crate::failure::{Class, Classify, Code, Failure};
use crate::operations::dead_letters::DeadLetterError;
use crate::operations::operation::StopError;

/// The `Retry-After` where the failure names none.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The body of each response that is not 2xx (RFC 9457)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The section of the runbook if the code has one and `OFFBOARDER_RUNBOOK_URL` is set, or else `about:blank`: status
    /// and code identify the problem.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "about:blank")]
    kind: Cow<'static, str>,
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
            kind: "about:blank".into(),
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

    /// Too many requests are in progress.
    pub(super) fn overloaded() -> Self {
        Self::busy(
            "this worker has too many requests in progress; try again, or ask another worker",
        )
    }

    /// Of the requests that cost much, as many as may be are in progress.
    pub(super) fn costly_overloaded(limit: usize) -> Self {
        Self::busy(&format!(
            "{limit} plans, checks of evidence or series are in progress on this worker, and there may not be more; try again, \
             or ask another worker"
        ))
    }

    fn busy(detail: &str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        Self {
            retry_after: Some(RETRY_AFTER),
            ..problem
        }
    }

    /// Who may sign in is unknown. The caller may be nobody, so that the cause is only in the log.
    pub(super) fn no_people() -> Self {
        let detail = "the people file cannot be used now, so that no key is known; the log of this worker says why, and tokens work";
        let code = Code::SettingsUnreadable.as_str();
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
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

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The status in words.
    pub(super) const fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn code(&self) -> &str {
        &self.code
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

impl From<StopError> for Problem {
    fn from(error: StopError) -> Self {
        let text = error.to_string();
        match error {
            StopError::Failed(failure) => failure.into(),
            StopError::NoSuchOperation(_) => Self::not_found("no_such_operation", text),
            StopError::Ended { .. } => Self::new(StatusCode::CONFLICT, "has_ended", text),
        }
    }
}

impl<E: Classify> From<E> for Problem {
    fn from(error: E) -> Self {
        Failure::from(error).into()
    }
}

/// Gives a problem whose code has a section in the runbook a link to it.
pub(super) fn linked(response: Response, runbook: Option<&RunbookUrl>) -> Response {
    let problem = response.extensions().get::<Arc<Problem>>().cloned();
    let Some((runbook, problem)) = runbook.zip(problem) else {
        return response;
    };
    if Code::ALL.iter().all(|code| code.as_str() != problem.code) {
        return response;
    }
    let linked = Problem {
        kind: runbook.section(&problem.code).into(),
        ..Problem::clone(&problem)
    };
    let body = serde_json::to_vec(&linked).unwrap_or_default();
    let mut parts = response.into_parts().0;
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(code = %self.code, detail = self.detail, "the admin API answered with an error");
        }
        let retry_after = self.retry_after;
        let mut response = (status, Json(&self)).into_response();
        response.extensions_mut().insert(Arc::new(self));
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), 1024).await;
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_with_a_code_of_the_runbook_links_to_its_section() {
        let runbook = RunbookUrl::parse("https://wiki/runbook").unwrap();
        let failure = Failure::new(Class::Systemic, Code::CxoneTimeout, "slow");
        let problem = Problem::from(failure);
        let kind = async |problem: &Problem, runbook| {
            let response = linked(problem.clone().into_response(), runbook);
            assert_eq!(response.status().as_u16(), problem.status);
            let body = body(response).await;
            assert_eq!(body["code"], problem.code.as_ref());
            body["type"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            kind(&problem, Some(&runbook)).await,
            "https://wiki/runbook#cxone_timeout"
        );
        assert_eq!(kind(&problem, None).await, "about:blank");
        // A word that is no code has no section.
        let missing = Problem::not_found("no_such_user", "x");
        assert_eq!(kind(&missing, Some(&runbook)).await, "about:blank");
    }
}

//! What became of the order of an operation.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::job::UserId;
use crate::operations::dead_letters::{DeadLetter, Skipped};
use crate::operations::operation::OperationView;
use crate::ports::operations::OperationKind;

/// The set that an operation would have
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationPreview {
    /// Always true: nothing was changed.
    pub(super) dry_run: bool,
    /// What it would do.
    pub(super) kind: OperationKind,
    /// The dead letters that it would work on.
    pub(crate) letters: Vec<DeadLetter>,
    /// Dead letters that it would leave in the queue, and why.
    pub(crate) skipped: Vec<Skipped>,
    /// The users whom it would check.
    pub(super) users: Vec<UserId>,
}

/// An operation that was begun, or the set that it would have.
pub(crate) enum Begun {
    Preview(OperationPreview),
    Operation(Box<OperationView>),
}

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        let view = match self {
            Self::Preview(preview) => return Json(preview).into_response(),
            Self::Operation(view) => view,
        };
        let location = format!("/api/v1/operations/{}", view.id);
        let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

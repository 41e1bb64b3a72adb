//! The answers that are no success.

use serde_json::json;
use uuid::Uuid;

use super::super::reply::Reply;

/// An error in the form of this API.
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({
        "message": message, "code": code, "status": status,
        "contextId": Uuid::new_v4(), "details": [], "errors": [],
    });
    Reply::json(status, body.to_string())
}

pub(super) fn bad_request(message: &str) -> Reply {
    error(400, "bad.request", message)
}

pub(super) fn not_found(what: &str) -> Reply {
    error(
        404,
        "not.found",
        &format!("The requested {what} was not found"),
    )
}

/// What the API does not have: a gateway answers, without JSON.
pub(super) fn no_such_operation() -> Reply {
    Reply::new(404, "text/html", "<html><body>Not Found</body></html>")
}

/// Another version than the current one, as this tenant says it.
pub(super) fn version_conflict(status: u16, current: u64) -> Reply {
    let code = if status == 409 {
        "general.conflict"
    } else {
        "bad.request"
    };
    let message =
        format!("The version of the request does not match the current version {current}");
    error(status, code, &message)
}

/// Nothing that this token may do.
pub(super) fn missing_permissions(any_of: &[&str]) -> Reply {
    let list = any_of.join(", ");
    if any_of.len() == 1 {
        let message = format!(
            "Unable to perform the requested action. You are missing the following permission(s): {list}"
        );
        error(403, "missing.permissions", &message)
    } else {
        let message = format!(
            "Unable to perform the requested action. You must have at least one of the following permissions assigned: {list}"
        );
        error(403, "missing.any.permissions", &message)
    }
}

pub(super) fn not_authorized() -> Reply {
    error(
        403,
        "not.authorized",
        "You are not authorized to perform the requested action.",
    )
}

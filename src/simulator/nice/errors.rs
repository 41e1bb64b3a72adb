//! Errors, in the form of each service.

use serde_json::json;

use super::place::{Service, service};
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;
use crate::simulator::world::now;

/// A handler's answer, or the refusal that ends it.
pub(super) type Answer = Result<Reply, Box<Reply>>;

pub(super) fn error(call: &Call, status: u16, code: &str, message: &str) -> Reply {
    let body = match service(&call.path) {
        Service::Auth => json!({ "error": code, "errorDescription": message }),
        // What fails before UserHub is reached.
        Service::UserHub if status == 401 => json!({
            "timestamp": now().to_string(), "status": status, "error": "Unauthorized",
            "message": message, "path": call.path,
        }),
        Service::UserHub if call.operation == "search_teams" => {
            json!({ "message": code, "detailedMessage": message, "httpCode": status })
        }
        Service::UserHub => json!({
            "code": code, "details": { "message": message }, "hostName": "sim-userhub-1",
            "entityType": null, "errors": [],
        }),
        Service::Acd => json!({ "error": code, "error_description": message }),
    };
    let mut reply = Reply::json(status, body.to_string());
    if service(&call.path) == Service::Acd {
        reply.header("icstatusdescription", message);
    }
    reply
}

pub(super) fn refuse<T>(
    call: &Call,
    status: u16,
    code: &str,
    message: &str,
) -> Result<T, Box<Reply>> {
    Err(Box::new(error(call, status, code, message)))
}

/// Something about the form of the call is wrong.
pub(super) fn bad<T>(call: &Call, message: &str) -> Result<T, Box<Reply>> {
    refuse(call, 400, "invalid_request", message)
}

pub(super) fn not_found<T>(call: &Call, message: &str) -> Result<T, Box<Reply>> {
    refuse(call, 404, "not_found", message)
}

/// A path or version that is not served: no JSON.
pub(super) fn leads_nowhere() -> Reply {
    Reply::new(
        404,
        "text/html",
        "<html><head><title>404</title></head><body>Not Found</body></html>",
    )
}

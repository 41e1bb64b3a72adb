//! An answer before it is sent, so that a fault can still change it.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::world::system_now;

/// The answer of an operation.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the call changed anything.
    pub(super) applied: bool,
}

const JSON: &str = "application/json";
pub(super) const SCIM: &str = "application/scim+json";

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            applied: false,
        };
        if !reply.body.is_empty() {
            reply.header("content-type", content_type);
        }
        reply
    }

    pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, JSON, body)
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, JSON, Vec::new())
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            json!({"code": code, "message": message}).to_string(),
        )
    }

    pub(super) fn scim_error(status: u16, scim_type: Option<&str>, detail: &str) -> Self {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(), "detail": detail,
        });
        if let (Some(scim_type), Some(members)) = (scim_type, body.as_object_mut()) {
            members.insert("scimType".to_owned(), scim_type.into());
        }
        Self::new(status, SCIM, body.to_string())
    }

    pub(super) fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// Adds a header; an invalid one is left out.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
    }

    pub(super) fn with_etag(mut self, etag: Option<String>) -> Self {
        if let Some(etag) = etag {
            self.header("etag", &etag);
        }
        self
    }

    pub(super) fn into_response(self, body: Option<Body>) -> Response {
        let body = body.unwrap_or_else(|| Body::from(self.body));
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        let now = httpdate::fmt_http_date(system_now());
        if let Ok(now) = HeaderValue::from_str(&now) {
            // A fault may have set another one.
            response.headers_mut().entry(header::DATE).or_insert(now);
        }
        response
    }
}

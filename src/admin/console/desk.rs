//! What the console works with, and who sends a request.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use crate::admin::api::Api;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::sessions::{Known, SessionDesk};

#[derive(Clone)]
pub(super) struct Console {
    pub(super) api: Api,
    pub(super) desk: Arc<SessionDesk>,
}

impl FromRef<Console> for Api {
    fn from_ref(console: &Console) -> Self {
        console.api.clone()
    }
}

/// Whom a cookie names.
pub(super) enum Visitor {
    Caller(Caller),
    /// There is no cookie that counts.
    Nobody,
    /// It is unknown, since Redis does not answer.
    Unknown,
}

impl Console {
    /// Who sends a request with a cookie.
    pub(super) async fn visitor(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Visitor, Problem> {
        if !self.desk.has_cookie(headers) {
            return Ok(Visitor::Nobody);
        }
        if !self.desk.reach().is_host(uri, headers) {
            let detail = "this is not the address of the console; it is OFFBOARDER_ADMIN_ORIGIN, or localhost";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail));
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            self.desk.check_origin(uri, headers)?;
        }
        Ok(match self.desk.caller(headers).await? {
            Known::Caller(caller) => Visitor::Caller(caller),
            Known::Nobody => Visitor::Nobody,
            Known::Unknown => Visitor::Unknown,
        })
    }
}

use reqwest::Method;

use super::answer::{code_of, is_the_apis};
use super::client::{Answered, Client};
use super::error::CxoneError;
use super::transport::{Permit, Request};
use crate::failpoint::effect;
use crate::job::UserId;
use crate::ports::QuotaClass;

/// How a DELETE was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeleteAnswer {
    Deleted,
    /// 202: gone when a read says 404.
    Accepted,
    Gone,
    /// 403 other than a missing scope, 409, 422, 423: not this user.
    Refused {
        code: Option<String>,
    },
    /// 405 or 501: not at this tenant.
    NotOffered {
        code: Option<String>,
    },
}

impl Client {
    /// Waits until a DELETE may be sent: whoever has the permit looks at the guards, and sends.
    pub(crate) async fn deletion_permit(&self) -> Result<Permit, CxoneError> {
        self.shared.transport.ready(QuotaClass::Routing).await
    }

    /// Deletes the user for good: one call, sent now. A token that is refused, or a quota that is spent, is an
    /// error: what waits has to look at the guards again.
    pub(crate) async fn delete_user(
        &self,
        user_id: UserId,
        permit: &Permit,
    ) -> Result<Answered<DeleteAnswer>, CxoneError> {
        const CALL: &str = "delete_user";
        let url = self.user_url(user_id)?;
        let request = Request::new(Method::DELETE, url, QuotaClass::Routing, "iam:write");
        let reply = effect(
            "the DELETE",
            self.shared.transport.send_now(&request, permit),
        )
        .await?;
        let code = code_of(&reply.body);
        let is_own = is_the_apis(&reply.body);
        let value = match reply.status() {
            200 | 204 => DeleteAnswer::Deleted,
            202 => DeleteAnswer::Accepted,
            404 | 410 if is_own => DeleteAnswer::Gone,
            403 if is_own => DeleteAnswer::Refused { code },
            409 | 422 | 423 => DeleteAnswer::Refused { code },
            405 | 501 => DeleteAnswer::NotOffered { code },
            _ => return Err(self.refused(CALL, &reply.what, reply.refusal())),
        };
        self.shared.refusals.passed(CALL);
        Ok(Answered {
            value,
            call: reply.call,
        })
    }
}

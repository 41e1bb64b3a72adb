//! The DELETE of a user.

use async_trait::async_trait;
use reqwest::Method;

use super::access::is_empty_or_object;
use super::client::{GenesysClient, is_conflict, maybe_done};
use crate::adapters::http::{ApiError, Permit, Request, code_of, is_the_apis};
use crate::failpoint::effect;
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Answered, DeleteAnswer, QuotaClass, ReadyDeletion};

/// The note of a DELETE that was accepted.
const SOFT: &str = "a soft deletion: an administrator can restore the user";

pub(super) struct Deletion {
    client: GenesysClient,
    user_id: UserId,
    permit: Permit,
}

impl GenesysClient {
    pub(super) async fn prepare_deletion(&self, user_id: UserId) -> Result<Deletion, Failure> {
        Ok(Deletion {
            client: self.clone(),
            user_id,
            permit: self.api.transport.ready(QuotaClass::Routing, false).await?,
        })
    }
}

#[async_trait]
impl ReadyDeletion for Deletion {
    async fn send(&self) -> Result<Answered<DeleteAnswer>, Failure> {
        const CALL: &str = "delete_user";

        let api = &self.client.api;
        let url = self.client.paths().user(&self.user_id.to_string())?;
        let request = Request::write(
            Method::DELETE,
            url,
            QuotaClass::Routing,
            "directory:user:delete",
        );
        let sending = api.transport.send_now(&request, &self.permit);
        let reply = effect("the DELETE", sending).await?;

        let code = code_of(&reply.body);
        let is_own = is_the_apis(&reply.body);
        let value = match reply.status() {
            // Somebody else's answer: reads show whether the API got the DELETE.
            status @ 200..=299 if !is_empty_or_object(&reply.body) => {
                let why = format!("{status}, and the body is no JSON object");
                let lost = ApiError::AnswerLost {
                    what: reply.what.clone(),
                    why,
                };
                return Err(api.refused(CALL, &reply.what, lost).into());
            }
            200 | 204 => DeleteAnswer::Deleted,
            202 => DeleteAnswer::Accepted,
            _ if reply.says_missing() => DeleteAnswer::Gone,
            // The service met it, not a version of ours: no answer about this user. A later attempt checks the guards again
            // before it sends another.
            _ if is_conflict(&reply) => return Err(changed(&reply.what)),
            403 | 409 if is_own => DeleteAnswer::Refused { code },
            _ => {
                let refusal = maybe_done(reply.refusal());
                return Err(api.refused(CALL, &reply.what, refusal).into());
            }
        };
        api.succeeded(CALL);

        let note = matches!(value, DeleteAnswer::Deleted | DeleteAnswer::Accepted)
            .then(|| SOFT.to_owned());
        Ok(Answered {
            value,
            call: Call { note, ..reply.call },
        })
    }
}

fn changed(what: &str) -> Failure {
    let text =
        format!("{what}: the user changed while the API deleted it, or cannot be deleted now");
    Failure::new(Class::Transient, Code::CxoneVersionConflict, text)
}

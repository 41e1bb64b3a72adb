//! The DELETE of a user.

use async_trait::async_trait;
use reqwest::Method;

use super::client::Client;
use crate::adapters::http::{ApiError, Permit, Request, code_of, is_the_apis};
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::{Answered, DeleteAnswer, QuotaClass, ReadyDeletion};

pub(super) struct Deletion {
    client: Client,
    user_id: UserId,
    permit: Permit,
}

impl Client {
    pub(super) async fn prepare_deletion(&self, user_id: UserId) -> Result<Deletion, ApiError> {
        Ok(Deletion {
            client: self.clone(),
            user_id,
            permit: self.api.transport.ready(QuotaClass::Routing, false).await?,
        })
    }
}

impl Deletion {
    async fn delete(&self) -> Result<Answered<DeleteAnswer>, ApiError> {
        const CALL: &str = "delete_user";

        let api = &self.client.api;
        let url = self.client.paths().user(self.user_id)?;
        let request = Request::write(Method::DELETE, url, QuotaClass::Routing, "iam:write");
        let sending = api.transport.send_now(&request, &self.permit);
        let reply = effect("the DELETE", sending).await?;

        let code = code_of(&reply.body);
        let is_own = is_the_apis(&reply.body);
        let value = match reply.status() {
            200 | 204 => DeleteAnswer::Deleted,
            202 => DeleteAnswer::Accepted,
            404 | 410 if is_own => DeleteAnswer::Gone,
            403 if is_own => DeleteAnswer::Refused { code },
            409 | 422 | 423 => DeleteAnswer::Refused { code },
            405 | 501 => DeleteAnswer::NotOffered { code },
            _ => {
                return Err(api.refused(CALL, &reply.what, reply.refusal()));
            }
        };
        api.succeeded(CALL);
        Ok(Answered {
            value,
            call: reply.call,
        })
    }
}

#[async_trait]
impl ReadyDeletion for Deletion {
    async fn send(&self) -> Result<Answered<DeleteAnswer>, Failure> {
        Ok(self.delete().await?)
    }
}

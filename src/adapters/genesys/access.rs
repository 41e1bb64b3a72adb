//! Ends the user's access: the account, and then what it still has.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{GenesysClient, is_conflict};
use super::documents::{User, UserState};
use super::users::UserRead;
use crate::adapters::http::{ApiError, Conflicts, Request, Write};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Answered, Deactivation, QuotaClass};

const NO_TOKEN: &str = "the user has no token";
/// The note of an answer that promises more than it has done.
const WILL_BE_REVOKED: &str = "accepted: the tokens will be revoked, and no read shows when";

impl GenesysClient {
    /// Reads and writes until a write is accepted, or none is needed.
    pub(super) async fn deactivate_user(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        const WHAT: &str = "user";

        let mut conflicts = Conflicts::default();
        loop {
            let user = match self.read_user(user_id).await? {
                UserRead::Found { user, call } => {
                    calls.push(call);
                    user
                }
                UserRead::Missing { absent, proof } => {
                    calls.extend([absent, proof]);
                    return Ok(Deactivation::NotNeeded { active: None });
                }
            };
            if user.state != UserState::Active {
                let active = user.account().active;
                return Ok(Deactivation::NotNeeded { active });
            }

            let written = self.write_inactive(user_id, &user).await?;
            calls.push(written.call);
            match written.value {
                Write::Done | Write::Shown => return Ok(Deactivation::Written),
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(Some(&user.version.to_string()), WHAT)?,
            }
        }
    }

    pub(super) async fn write_inactive(
        &self,
        user_id: UserId,
        read: &User,
    ) -> Result<Answered<Write>, ApiError> {
        self.write_state(user_id, read, "inactive").await
    }

    /// Writes the state and nothing else: where `state` is given, the API changes no other member.
    pub(super) async fn write_state(
        &self,
        user_id: UserId,
        read: &User,
        state: &str,
    ) -> Result<Answered<Write>, ApiError> {
        let body = json!({ "version": read.version, "state": state });
        let request = Request {
            removes_access: true,
            body: Some(body.to_string().into_bytes()),
            ..Request::write(
                Method::PATCH,
                self.paths().user(&user_id.to_string())?,
                QuotaClass::Routing,
                "directory:user:edit",
            )
        };
        self.write("patch_user", request).await
    }

    /// Ends all sessions of the user. No read would show whether they ended, so that only an answer of the API counts.
    pub(super) async fn revoke_tokens(&self, user_id: UserId) -> Result<Call, Failure> {
        const CALL: &str = "delete_tokens";
        const WHAT: &str = "tokens of the user";

        let mut conflicts = Conflicts::default();
        loop {
            let request = Request {
                removes_access: true,
                ..Request::write(
                    Method::DELETE,
                    self.paths().tokens(&user_id.to_string())?,
                    QuotaClass::Routing,
                    "oauth:token:delete",
                )
            };
            let reply = self.try_write(request).await?;
            let note = match reply.status() {
                _ if is_conflict(&reply) => {
                    conflicts.met(None, WHAT)?;
                    continue;
                }
                202 if is_empty_or_object(&reply.body) => Some(WILL_BE_REVOKED.to_owned()),
                200..=299 if is_empty_or_object(&reply.body) => None,
                200..=299 => return Err(reply.unreadable("the body is no JSON object").into()),
                _ if reply.says_missing() => Some(NO_TOKEN.to_owned()),
                _ => return Err(self.api.refused(CALL, &reply.what, reply.refusal()).into()),
            };
            self.api.succeeded(CALL);
            return Ok(Call { note, ..reply.call });
        }
    }
}

pub(super) fn is_empty_or_object(body: &[u8]) -> bool {
    body.is_empty() || matches!(serde_json::from_slice(body), Ok(Value::Object(_)))
}

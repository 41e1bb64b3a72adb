//! Ends the user's access: the account, and then what it still has.

use reqwest::Method;
use serde_json::json;

use super::client::GenesysClient;
use super::documents::{User, UserState};
use super::users::UserRead;
use crate::adapters::http::{ApiError, Conflicts, Request, Write};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Answered, Deactivation, QuotaClass};

const NO_TOKEN: &str = "the user has no token";

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
                Write::Done => return Ok(Deactivation::Written),
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(Some(&user.version.to_string()), WHAT)?,
            }
        }
    }

    /// Writes the state and nothing else: where `state` is given, the API changes no other member.
    pub(super) async fn write_inactive(
        &self,
        user_id: UserId,
        read: &User,
    ) -> Result<Answered<Write>, ApiError> {
        let body = json!({ "version": read.version, "state": "inactive" });
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

    /// Ends all sessions of the user.
    pub(super) async fn revoke_tokens(&self, user_id: UserId) -> Result<Call, Failure> {
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
            let Answered { value, call } = self.write("delete_tokens", request).await?;
            match value {
                Write::Done => return Ok(call),
                Write::Gone => {
                    return Ok(Call {
                        note: Some(NO_TOKEN.to_owned()),
                        ..call
                    });
                }
                Write::Conflict => conflicts.met(None, WHAT)?,
            }
        }
    }
}

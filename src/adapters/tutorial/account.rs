//! Accounts. Two parts of the API know them, IAM and SCIM, and one of the two may answer 404 for every user: so a missing
//! user counts as missing only when neither part knows it.

use reqwest::Method;

use super::client::{Client, SCIM};
use super::documents::{is_user, parse_account, with_active};
use super::types::ScimUser;
use crate::adapters::http::{ApiError, Conflicts, Reply, Request, TWICE, Write, unwritable};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Account, AccountRead, Answered, Deactivation, QuotaClass};

/// What the whole API says of a user's account.
pub(super) struct ScimRead {
    /// `None` only where no part of the API knows the user.
    user: Option<ScimUser>,
    calls: Vec<Call>,
}

impl ScimRead {
    pub(super) fn account(self) -> Option<Account> {
        self.user.map(|user| user.account)
    }

    pub(super) fn into_parts(self) -> (Option<ScimUser>, Vec<Call>) {
        (self.user, self.calls)
    }
}

impl From<ScimRead> for AccountRead {
    fn from(read: ScimRead) -> Self {
        Self {
            account: read.user.map(|user| user.account),
            calls: read.calls,
        }
    }
}

impl Client {
    /// One read; see [`crate::ports::Tenant::user_exists`].
    pub(super) async fn exists_in_iam(&self, user_id: UserId) -> Result<Answered<bool>, ApiError> {
        let reply = self.api.send(self.user_request(user_id)?).await?;
        existence(reply, user_id)
    }

    /// A user who is missing is read a second time after a pause.
    pub(super) async fn find_in_iam(&self, user_id: UserId) -> Result<Answered<bool>, ApiError> {
        let request = self.user_request(user_id)?;
        let first = existence(self.api.send(request.clone()).await?, user_id)?;
        if first.value {
            return Ok(first);
        }

        let second = existence(self.api.send_again(request).await?, user_id)?;
        let note = (!second.value).then(|| TWICE.to_owned());
        Ok(Answered {
            value: second.value,
            call: Call {
                note,
                ..second.call
            },
        })
    }

    fn user_request(&self, user_id: UserId) -> Result<Request<'static>, ApiError> {
        let url = self.paths().user(user_id)?;
        Ok(Request::read(
            Method::GET,
            url,
            QuotaClass::Routing,
            "user:read",
        ))
    }

    pub(super) async fn scim_user(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<ScimUser>>, ApiError> {
        let url = self.paths().scim_user(user_id)?;
        let request = Request {
            media_type: SCIM,
            ..Request::read(Method::GET, url, QuotaClass::Scim, "scim:read")
        };
        self.api
            .read(request, |reply| {
                parse_account(user_id, &reply.body, reply.etag())
            })
            .await
    }

    /// Writes the whole SCIM user back, active or not.
    pub(super) async fn put_active(
        &self,
        user_id: UserId,
        read: &ScimUser,
        active: bool,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, ApiError> {
        const CALL: &str = "put_scim_user";

        let url = self.paths().scim_user(user_id)?;
        let request = Request {
            media_type: SCIM,
            if_match,
            body: Some(with_active(read, active).map_err(|why| unwritable(CALL, why))?),
            ..Request::write(Method::PUT, url, QuotaClass::Scim, "scim:write")
        };
        let shows = |reply: &Reply| {
            let stored = parse_account(user_id, &reply.body, None);
            stored.is_ok_and(|user| user.account.active == Some(active))
        };
        self.write(CALL, request, shows).await
    }

    /// Reads and writes until a write is accepted, or none is needed.
    pub(super) async fn deactivate_account(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        const WHAT: &str = "SCIM user";

        let mut conflicts = Conflicts::default();
        loop {
            let read = self.read_account(user_id).await?;
            calls.extend(read.calls);
            let Some(user) = read.user else {
                return Ok(Deactivation::NotNeeded { active: None });
            };
            let active = user.account.active;
            if active == Some(false) {
                return Ok(Deactivation::NotNeeded { active });
            }

            let version = user.version.as_deref();
            let if_match = conflicts.if_match(version);
            let written = self.put_active(user_id, &user, false, if_match).await?;
            calls.push(written.call);
            match written.value {
                Write::Done => return Ok(Deactivation::Written),
                Write::Shown => return Ok(Deactivation::Shown),
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(version, WHAT)?,
            }
        }
    }

    /// Where SCIM has no such user and IAM knows the user, SCIM's 404 says nothing about the user's access.
    pub(super) async fn read_account(&self, user_id: UserId) -> Result<ScimRead, ApiError> {
        const CALL: &str = "get_scim_user";

        let mut read = self.scim_user(user_id).await;
        if is_foreign_404(&read) {
            self.api.pause().await;
            read = self.scim_user(user_id).await;
        }

        let missing = match read {
            Ok(Answered {
                value: Some(user),
                call,
            }) => {
                self.api.succeeded(CALL);
                return Ok(ScimRead {
                    user: Some(user),
                    calls: vec![call],
                });
            }
            Ok(Answered { value: None, call }) => Ok(call),
            Err(
                foreign @ ApiError::Foreign {
                    status: 404 | 410, ..
                },
            ) => Err(foreign),
            Err(error) => return Err(error),
        };

        let known = self.find_in_iam(user_id).await?;
        if known.value {
            let missing_at = self.paths().scim_user(user_id)?;
            let refusal = contradiction(&known.call, missing_at.path());
            return Err(self.api.refused(CALL, &user_id.to_string(), refusal));
        }
        Ok(ScimRead {
            user: None,
            calls: vec![missing?, known.call],
        })
    }

    /// Asks SCIM for a user whom IAM does not know; an error where SCIM does know the user.
    pub(super) async fn missing_in_scim(&self, user_id: UserId) -> Result<Call, ApiError> {
        let Answered { value, call } = self.scim_user(user_id).await?;
        match value {
            None => Ok(call),
            Some(_) => Err(contradiction(&call, self.paths().user(user_id)?.path())),
        }
    }
}

fn is_foreign_404<T>(read: &Result<T, ApiError>) -> bool {
    matches!(
        read,
        Err(ApiError::Foreign {
            status: 404 | 410,
            ..
        })
    )
}

fn contradiction(knows: &Call, missing: &str) -> ApiError {
    ApiError::Contradiction {
        knows: format!("{} {}", knows.method, knows.path),
        status: knows.status,
        missing: format!("GET {missing}"),
    }
}

fn existence(reply: Reply, user_id: UserId) -> Result<Answered<bool>, ApiError> {
    let value = match reply.status() {
        // A proxy's log-in page is not a user.
        200 => is_user(&reply.body, user_id)
            .map(|()| true)
            .map_err(|why| reply.unreadable(why))?,
        _ if reply.says_missing() => false,
        _ => return Err(reply.refusal()),
    };
    Ok(Answered {
        value,
        call: reply.call,
    })
}

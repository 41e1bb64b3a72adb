//! Whether an account exists: the IAM API and SCIM are asked, since one of them may answer 404 to everybody.

use reqwest::Method;

use super::client::{Answered, Client, TWICE};
use super::document::{ScimUser, is_user};
use super::error::CxoneError;
use super::transport::{Reply, Request};
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::QuotaClass;

/// An account, as SCIM shows it.
#[derive(Debug)]
pub(crate) struct Account {
    /// `None` only where the IAM API does not know the user either.
    pub user: Option<ScimUser>,
    pub calls: Vec<Call>,
}

impl Client {
    /// Whether the user exists. One look: `false` is enough to confirm our own accepted deletion, and no more.
    pub(crate) async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, CxoneError> {
        let reply = self.send(self.user_request(user_id)?).await?;
        existence(reply, user_id)
    }

    /// Whether the user exists; who is missing is looked for a second time after a pause.
    pub(crate) async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, CxoneError> {
        let request = self.user_request(user_id)?;
        let first = existence(self.send(request.clone()).await?, user_id)?;
        if first.value {
            return Ok(first);
        }
        let Answered { value, call } = existence(self.send_again(request).await?, user_id)?;
        let note = (!value).then(|| TWICE.to_owned());
        Ok(Answered {
            value,
            call: Call { note, ..call },
        })
    }

    fn user_request(&self, user_id: UserId) -> Result<Request<'static>, CxoneError> {
        Ok(Request::new(
            Method::GET,
            self.user_url(user_id)?,
            QuotaClass::Routing,
            "user:read",
        ))
    }

    /// The account. Where SCIM has none and the IAM API knows the user, SCIM's 404 says nothing of the access.
    pub(crate) async fn account(&self, user_id: UserId) -> Result<Account, CxoneError> {
        const CALL: &str = "get_scim_user";
        let mut seen = self.scim_user(user_id).await;
        if matches!(
            seen,
            Err(CxoneError::Foreign {
                status: 404 | 410,
                ..
            })
        ) {
            tokio::time::sleep(self.shared.second_look).await;
            seen = self.scim_user(user_id).await;
        }
        let missing = match seen {
            Ok(Answered {
                value: Some(user),
                call,
            }) => {
                self.shared.refusals.passed(CALL);
                return Ok(Account {
                    user: Some(user),
                    calls: vec![call],
                });
            }
            Ok(Answered { value: None, call }) => Ok(call),
            Err(
                foreign @ CxoneError::Foreign {
                    status: 404 | 410, ..
                },
            ) => Err(foreign),
            Err(error) => return Err(error),
        };
        let known = self.find_user(user_id).await?;
        if known.value {
            let refusal = contradiction(&known.call, self.scim_url(user_id)?.path());
            return Err(self.refused(CALL, &user_id.to_string(), refusal));
        }
        Ok(Account {
            user: None,
            calls: vec![missing?, known.call],
        })
    }

    /// Asks SCIM for a user whom the IAM API does not know: `Err` where it does.
    pub(crate) async fn missing_in_scim(&self, user_id: UserId) -> Result<Call, CxoneError> {
        let Answered { value, call } = self.scim_user(user_id).await?;
        match value {
            None => Ok(call),
            Some(_) => Err(contradiction(&call, self.user_url(user_id)?.path())),
        }
    }
}

fn contradiction(knows: &Call, missing: &str) -> CxoneError {
    CxoneError::Contradiction {
        knows: format!("{} {}", knows.method, knows.path),
        status: knows.status,
        missing: format!("GET {missing}"),
    }
}

fn existence(reply: Reply, user_id: UserId) -> Result<Answered<bool>, CxoneError> {
    let value = match reply.status() {
        // A page to log in at is no user.
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

//! Accounts: UserHub has them. Where it does not know a user, ACD is asked, too: a deactivated employee may be missing in
//! one of the two.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, get, object, removal, right};
use super::documents::{User, parse_user};
use crate::adapters::http::{ApiError, Conflicts, Reply, TWICE};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Account, AccountRead, Answered, Deactivation};

const READ: &str = "get_user";

/// The note of a read of ACD that shows an inactive agent of a user whom UserHub does not know.
const ACD_ALONE: &str = "UserHub does not know the user, and the agent is inactive";

/// What the whole API says of an account.
struct WholeRead {
    account: Option<Account>,
    is_external: bool,
    calls: Vec<Call>,
}

impl Client {
    /// One read of UserHub.
    pub(super) async fn read_user_once(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<User>>, ApiError> {
        let request = get(self.paths().user(user_id)?, right::VIEW_EMPLOYEES);
        let reply = self.api.send(request).await?;
        let value = match reply.status() {
            200 => {
                let members = object(&reply, right::VIEW_EMPLOYEES)?;
                parse_user(&members, user_id).map_err(|why| reply.unreadable(why))?
            }
            _ if reply.says_missing() => None,
            _ => return Err(self.refuse(READ, user_id, &reply)),
        };
        self.api.succeeded(READ);
        Ok(Answered {
            value,
            call: reply.call,
        })
    }

    /// The same; a user who is missing is read a second time after a pause.
    pub(super) async fn read_user(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<User>>, ApiError> {
        let first = self.read_user_once(user_id).await?;
        if first.value.is_some() {
            return Ok(first);
        }

        self.api.pause().await;
        let mut second = self.read_user_once(user_id).await?;
        if second.value.is_none() {
            second.call.note = Some(TWICE.to_owned());
        }
        Ok(second)
    }

    /// Whether one of the two parts knows the user.
    pub(super) async fn find_anywhere(&self, user_id: UserId) -> Result<Answered<bool>, ApiError> {
        let user = self.read_user(user_id).await?;
        if user.value.is_some() {
            return Ok(Answered {
                value: true,
                call: user.call,
            });
        }
        let agent = self.read_agent(user_id).await?;
        Ok(match agent.value {
            Some(_) => Answered {
                value: true,
                call: agent.call,
            },
            None => Answered {
                value: false,
                call: user.call,
            },
        })
    }

    /// Asks ACD for a user whom UserHub does not know; an error where ACD does know an agent of it.
    pub(super) async fn missing_in_acd(&self, user_id: UserId) -> Result<Call, ApiError> {
        let read = self.read_agent(user_id).await?;
        match read.value {
            None => Ok(read.call),
            Some(_) => Err(self.contradiction(user_id, read.call)),
        }
    }

    pub(super) async fn read_account(&self, user_id: UserId) -> Result<AccountRead, ApiError> {
        let read = self.read_whole(user_id).await?;
        Ok(AccountRead {
            account: read.account,
            calls: read.calls,
        })
    }

    async fn read_whole(&self, user_id: UserId) -> Result<WholeRead, ApiError> {
        let user = self.read_user(user_id).await?;
        if let Some(known) = user.value {
            return Ok(WholeRead {
                account: Some(known.account),
                is_external: known.is_external,
                calls: vec![user.call],
            });
        }

        let agent = self.read_agent(user_id).await?;
        let mut calls = vec![user.call, agent.call];
        let account = match agent.value {
            None => None,
            Some(agent) if agent.active == Some(false) => {
                if let Some(call) = calls.last_mut() {
                    call.note = Some(ACD_ALONE.to_owned());
                }
                Some(Account {
                    active: agent.active,
                    user_name: agent.user_name,
                })
            }
            Some(_) => {
                let knows = calls.swap_remove(1);
                return Err(self.contradiction(user_id, knows));
            }
        };
        Ok(WholeRead {
            account,
            is_external: false,
            calls,
        })
    }

    fn contradiction(&self, user_id: UserId, knows: Call) -> ApiError {
        let why = "and knows an agent of this user, whom UserHub does not know, twice: nothing counts as done; check in \
                   the admin console whether the employee exists and is active";
        let refusal = ApiError::Withheld {
            what: format!("{} {}", knows.method, knows.path),
            status: knows.status,
            why: why.to_owned(),
            correlation_id: knows.correlation_id.unwrap_or_default(),
        };
        self.api.refused(READ, &user_id.to_string(), refusal)
    }

    /// Has UserHub deactivate the account, if it is active. Each run begins by reading, so that nobody is refused whom the
    /// identity provider deactivated.
    pub(super) async fn deactivate_account(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        const CALL: &str = "deactivate_user";

        let mut conflicts = Conflicts::default();
        loop {
            let read = self.read_whole(user_id).await?;
            calls.extend(read.calls);
            let active = read.account.and_then(|account| account.active);
            if active != Some(true) {
                return Ok(Deactivation::NotNeeded { active });
            }
            self.is_not_our_own(user_id).await?;

            let body = json!({ "userIds": [user_id] });
            let url = self.paths().deactivate()?;
            let request = removal(Method::POST, url, right::EDIT_EMPLOYEES, Some(&body));
            let reply = self.send_write(request).await?;
            let refused = match reply.status() {
                200..=299 if !is_listed(&reply)? => {
                    self.api.succeeded(CALL);
                    calls.push(reply.call);
                    return Ok(Deactivation::Written);
                }
                200..=299 => self.withheld(
                    CALL,
                    user_id,
                    &reply,
                    format!(
                        "and lists the user in notDeletedUserIds{}",
                        advice(read.is_external)
                    ),
                ),
                _ if reply.says_missing() => {
                    conflicts.vanished("account")?;
                    continue;
                }
                400 | 403 | 409 | 422 if read.is_external => self.withheld(
                    CALL,
                    user_id,
                    &reply,
                    format!("which refuses the deactivation{}", advice(true)),
                ),
                _ => self.refuse(CALL, user_id, &reply),
            };
            return Err(refused.into());
        }
    }
}

const fn advice(is_external: bool) -> &'static str {
    if is_external {
        ": an identity provider manages the employee (externalIdentity is set); deactivate the account there, then replay \
         the user"
    } else {
        ": it was not deactivated; try it in the admin console, which names the reason"
    }
}

/// Whether a success lists the one user that was sent as not deactivated. An answer without a body lists nobody; whether
/// the account is inactive, a read shows.
fn is_listed(reply: &Reply) -> Result<bool, ApiError> {
    if reply.body.is_empty() {
        return Ok(false);
    }
    let members = object(reply, right::EDIT_EMPLOYEES)?;
    match members.get("notDeletedUserIds") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Array(users)) => Ok(!users.is_empty()),
        Some(_) => Err(reply.unreadable("notDeletedUserIds is not a list")),
    }
}

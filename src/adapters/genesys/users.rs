//! Reads of a user. By default the API does not find deleted users; asked for deleted ones, it shows them. So the proof
//! that a user is not there is not an absence: it is a read that shows the user as deleted. Only if neither read knows
//! the user, a second try after a pause has to say the same.

use reqwest::Method;

use super::client::GenesysClient;
use super::documents::{User, UserState, parse_user};
use crate::adapters::http::{ApiError, Reply, Request, TWICE};
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{AccountRead, Answered, QuotaClass};

const DELETED: &str = "state=deleted: the API shows the user as deleted";

/// What both reads say.
pub(super) enum UserRead {
    Found {
        user: User,
        call: Call,
    },
    Missing {
        /// The read by default.
        absent: Call,
        /// The read of deleted users.
        proof: Call,
    },
}

/// What one try says.
enum Once {
    Found {
        user: User,
        call: Call,
    },
    Deleted {
        absent: Call,
        proof: Call,
    },
    /// Neither read knows the user.
    Unknown {
        absent: Call,
        proof: Call,
    },
}

impl GenesysClient {
    pub(super) async fn read_user(&self, user_id: UserId) -> Result<UserRead, ApiError> {
        let mut once = self.read_user_once(user_id).await?;
        if matches!(once, Once::Unknown { .. }) {
            self.api.pause().await;
            once = self.read_user_once(user_id).await?;
        }

        Ok(match once {
            Once::Found { user, call } => UserRead::Found { user, call },
            Once::Deleted { absent, proof } => UserRead::Missing {
                absent,
                proof: noted(proof, DELETED),
            },
            Once::Unknown { absent, proof } => UserRead::Missing {
                absent: noted(absent, TWICE),
                proof: noted(proof, format!("state=deleted: {TWICE}")),
            },
        })
    }

    async fn read_user_once(&self, user_id: UserId) -> Result<Once, ApiError> {
        let user = user_id.to_string();
        let reply = self.api.send(read(self.paths().user(&user)?)).await?;
        if let Some(read) = found(user_id, &reply)?
            && read.state != UserState::Deleted
        {
            return Ok(Once::Found {
                user: read,
                call: reply.call,
            });
        }

        let request = read(self.paths().deleted_user(&user)?);
        let deleted = self.api.send(request).await?;
        let absent = reply.call;
        match found(user_id, &deleted)? {
            None => Ok(Once::Unknown {
                absent,
                proof: deleted.call,
            }),
            Some(read) if read.state == UserState::Deleted => Ok(Once::Deleted {
                absent,
                proof: deleted.call,
            }),
            Some(_) => Err(deleted.unreadable(
                "asked for deleted users it shows this one as not deleted, and asked for others it does not find it",
            )),
        }
    }

    pub(super) async fn exists(&self, user_id: UserId) -> Result<Answered<bool>, ApiError> {
        Ok(match self.read_user(user_id).await? {
            UserRead::Found { call, .. } => Answered { value: true, call },
            UserRead::Missing { proof, .. } => Answered {
                value: false,
                call: proof,
            },
        })
    }

    /// Whether the user reads as deleted. A user whom neither read knows does not: both may lag, or answer for another
    /// reason.
    pub(super) async fn is_shown_as_deleted(
        &self,
        user_id: UserId,
    ) -> Result<Answered<bool>, ApiError> {
        Ok(match self.read_user_once(user_id).await? {
            Once::Deleted { proof, .. } => Answered {
                value: true,
                call: noted(proof, DELETED),
            },
            Once::Found { call, .. } | Once::Unknown { proof: call, .. } => {
                Answered { value: false, call }
            }
        })
    }

    pub(super) async fn prove_missing(&self, user_id: UserId) -> Result<Call, ApiError> {
        match self.read_user(user_id).await? {
            UserRead::Missing { proof, .. } => Ok(proof),
            UserRead::Found { call, .. } => Err(ApiError::Unreadable {
                what: format!("{} {}", call.method, call.path),
                why: "it finds the user, whom the reads before it did not find".to_owned(),
            }),
        }
    }

    pub(super) async fn read_account(&self, user_id: UserId) -> Result<AccountRead, ApiError> {
        Ok(match self.read_user(user_id).await? {
            UserRead::Found { user, call } => AccountRead {
                account: Some(user.account()),
                calls: vec![call],
            },
            UserRead::Missing { absent, proof } => AccountRead {
                account: None,
                calls: vec![absent, proof],
            },
        })
    }
}

fn read(url: url::Url) -> Request<'static> {
    // The document names no permission for it.
    Request::read(Method::GET, url, QuotaClass::Routing, "to view users")
}

/// `None` where the API says that it does not find the user.
fn found(user_id: UserId, reply: &Reply) -> Result<Option<User>, ApiError> {
    match reply.status() {
        200 => parse_user(user_id, &reply.body)
            .map(Some)
            .map_err(|why| reply.unreadable(why)),
        _ if reply.says_missing() => Ok(None),
        _ => Err(reply.refusal()),
    }
}

fn noted(call: Call, note: impl Into<String>) -> Call {
    Call {
        note: Some(note.into()),
        ..call
    }
}

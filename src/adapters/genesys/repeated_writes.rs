//! Writes that a rehearsal made are made once more: how a repetition is answered, no public source says. Each asks for what
//! is so already, and only of a user who reads as inactive.

use uuid::Uuid;

use super::clearing::{OF_GROUPS, REFUSED};
use super::client::GenesysClient;
use super::documents::{User, UserState};
use super::users::UserRead;
use crate::adapters::http::observed;
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Observation, Seen};

const MEMBERSHIP: &str = "taking away a membership by group";
const AGAIN: &str = "taking away a membership twice";
const TOKENS: &str = "deleting tokens twice";
const STATE: &str = "a repeated deactivation";
const DELETION: &str = "deleting a user";

impl GenesysClient {
    pub(super) async fn repeat_accepted(
        &self,
        user_id: UserId,
        calls: &[Call],
    ) -> Vec<Observation> {
        let deletion =
            "a rehearsal deletes nobody: the calls in the manifest of the first deletion show it";
        let mut all = vec![
            observed(
                Some("genesys-5"),
                MEMBERSHIP,
                membership_seen(user_id, calls),
            ),
            observed(
                Some("genesys-6"),
                DELETION,
                Seen::Unknown(deletion.to_owned()),
            ),
        ];
        let user = match self.inactive(user_id).await {
            Ok(user) => user,
            Err(why) => {
                let checks = [AGAIN, TOKENS, STATE];
                all.extend(checks.map(|check| observed(None, check, why.clone())));
                return all;
            }
        };

        all.push(observed(
            None,
            AGAIN,
            seen(self.leave_again(user_id, calls).await),
        ));
        let tokens = self.revoke_tokens(user_id).await;
        all.push(observed(
            None,
            TOKENS,
            seen(tokens.map(|call| answered(&call))),
        ));
        let written = self.write_inactive(user_id, &user).await;
        let written = written.map(|written| answered(&written.call));
        all.push(observed(None, STATE, seen(written.map_err(Failure::from))));
        all
    }

    async fn inactive(&self, user_id: UserId) -> Result<User, Seen> {
        match self.read_user(user_id).await {
            Ok(UserRead::Found { user, .. }) if user.state == UserState::Inactive => Ok(user),
            Ok(_) => {
                let why = "the user does not read as inactive, so nothing was repeated";
                Err(Seen::Unknown(why.to_owned()))
            }
            Err(error) => Err(Seen::Failed(error.into())),
        }
    }

    /// Of our own calls; what a checkpoint names of another user is not repeated.
    async fn leave_again(&self, user_id: UserId, calls: &[Call]) -> Result<Seen, Failure> {
        let mut accepted = calls
            .iter()
            .filter(|call| (200..=299).contains(&call.status));
        let left = accepted.find_map(|call| Some((queue_left(user_id, call)?, call.status)));
        let Some((queue, before)) = left else {
            return Ok(Seen::Unknown("no membership was taken away".to_owned()));
        };
        let again = self.leave_queue_of_groups(user_id, queue).await?;
        Ok(Seen::Fact(format!(
            "{before}, and then {}",
            again.call.status
        )))
    }
}

fn seen(result: Result<Seen, Failure>) -> Seen {
    result.unwrap_or_else(Seen::Failed)
}

fn answered(call: &Call) -> Seen {
    Seen::Fact(call.status.to_string())
}

/// The queue that a DELETE of the user's membership names.
fn queue_left(user_id: UserId, call: &Call) -> Option<Uuid> {
    let (_, of) = call.path.split_once("/routing/queues/")?;
    let (queue, user) = of.split_once("/members/")?;
    let is_ours = call.method == "DELETE" && user.parse::<UserId>() == Ok(user_id);
    is_ours.then(|| queue.parse().ok()).flatten()
}

/// How the off-boarding's own calls were answered.
fn membership_seen(user_id: UserId, calls: &[Call]) -> Seen {
    let of_groups = |call: &&Call| {
        let note = call.note.as_deref();
        queue_left(user_id, call).is_some() && (note == Some(OF_GROUPS) || note == Some(REFUSED))
    };
    let mut statuses: Vec<u16> = calls
        .iter()
        .filter(of_groups)
        .map(|call| call.status)
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
    if words.is_empty() {
        Seen::Unknown("the user was in no queue that has its members by groups".to_owned())
    } else {
        Seen::Fact(words.join(", "))
    }
}

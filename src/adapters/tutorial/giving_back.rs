//! What an off-boarding takes from a user, read before it, and given back one by one.

use super::client::Client;
use super::documents::{
    named_in, parse_references, profile_with_queue, queue_with_owner, queue_with_supervisor,
};
use super::types::{Queue, QueueId};
use crate::adapters::http::{Conflicts, Write, unwritable};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::manifest::Possession;
use crate::ports::{GivenBack, keep};

const OWNER: &str = "queue_owner";
const SUPERVISOR: &str = "queue_supervisor";
const MEMBER: &str = "queue_member";

const QUEUE_GONE: &str = "the queue does not exist any more";

/// What an object says of something that is to be given back.
enum Look<W> {
    There,
    Never(String),
    /// It is missing, and this is written.
    Missing(W),
}

impl Client {
    /// In the order in which a run takes them.
    pub(super) async fn read_possessions(
        &self,
        user_id: UserId,
    ) -> Result<Option<Vec<Possession>>, Failure> {
        let mut possessions = Vec::new();
        let mut members = Vec::new();
        match self.read_profile(user_id).await?.value {
            Some(profile) => {
                let references = parse_references(&profile.document)
                    .map_err(|why| unwritable("get_routing_profile", why))?;
                for (queue_id, reference) in profile.queues.iter().zip(references) {
                    members.push(Possession::new(MEMBER, queue_id).with(reference.get()));
                    let Some(queue) = self.read_queue(queue_id, user_id).await?.value else {
                        continue;
                    };
                    possessions.extend(named(&queue, user_id)?);
                }
            }
            None if self.find_in_iam(user_id).await?.value => {}
            None => return Ok(None),
        }
        // They come back in the reverse order, which is then that of the profile.
        possessions.extend(members.into_iter().rev());

        let account = self.read_account(user_id).await?.account();
        if account.is_some_and(|account| account.active == Some(true)) {
            possessions.push(Possession::new(Possession::ACCOUNT, &user_id));
        }
        Ok(Some(possessions))
    }

    pub(super) async fn give_one_back(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        if possession.kind == Possession::ACCOUNT {
            return self.activate_account(user_id, calls).await;
        }
        // Before-images are stored as text, and may be forged.
        let Ok(queue_id) = possession.reference.parse::<QueueId>() else {
            return Ok(GivenBack::Not("the ID cannot be used in a URL".to_owned()));
        };
        match possession.kind.as_str() {
            MEMBER => self.join_queue(user_id, &queue_id, possession, calls).await,
            OWNER | SUPERVISOR => {
                self.name_in_queue(user_id, &queue_id, possession, calls)
                    .await
            }
            other => Ok(GivenBack::Not(format!("the kind {other} is not known"))),
        }
    }

    /// Puts the queue into the user's profile.
    async fn join_queue(
        &self,
        user_id: UserId,
        queue_id: &QueueId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        const WHAT: &str = "routing profile of the user";
        let mut conflicts = Conflicts::default();
        let mut written = false;

        loop {
            let Some(profile) = keep(calls, self.read_profile(user_id).await?) else {
                return Ok(GivenBack::Not("the user has no routing profile".to_owned()));
            };
            if profile.queues.contains(queue_id) {
                return Ok(GivenBack::shown(written));
            }
            if written {
                conflicts.met(profile.version.as_deref(), WHAT)?;
            } else if keep(calls, self.read_queue(queue_id, user_id).await?).is_none() {
                return Ok(GivenBack::Not(QUEUE_GONE.to_owned()));
            }

            let body = profile_with_queue(&profile, queue_id, possession.detail.as_deref());
            let body = body.map_err(|why| unwritable("patch_routing_profile", why))?;
            let version = profile.version.as_deref();
            let if_match = conflicts.if_match(version);
            let write = self.write_profile(user_id, body, if_match, |_reply| false);
            match keep(calls, write.await?) {
                Write::Done | Write::Shown => written = true,
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(version, WHAT)?,
            }
        }
    }

    /// Makes the user owner or supervisor of the queue, unless another one owns it now.
    async fn name_in_queue(
        &self,
        user_id: UserId,
        queue_id: &QueueId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        let mut conflicts = Conflicts::default();
        let mut written = false;

        loop {
            let Some(queue) = keep(calls, self.read_queue(queue_id, user_id).await?) else {
                return Ok(GivenBack::Not(QUEUE_GONE.to_owned()));
            };
            let version = queue.version.as_deref();
            let body = match look(&queue, user_id, possession)? {
                Look::There => return Ok(GivenBack::shown(written)),
                Look::Never(why) => return Ok(GivenBack::Not(why)),
                Look::Missing(body) => body,
            };
            if written {
                conflicts.met(version, "queue")?;
            }
            let if_match = conflicts.if_match(version);
            let write = self.write_queue(&queue.id, body, if_match);
            match keep(calls, write.await?) {
                Write::Done | Write::Shown => written = true,
                Write::Gone => conflicts.vanished("queue")?,
                Write::Conflict => conflicts.met(version, "queue")?,
            }
        }
    }

    async fn activate_account(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        const WHAT: &str = "SCIM user";
        let mut conflicts = Conflicts::default();
        let mut written = false;

        loop {
            let read = self.read_account(user_id).await?;
            let (user, read_calls) = read.into_parts();
            calls.extend(read_calls);
            let Some(user) = user else {
                return Ok(GivenBack::Not("the account does not exist".to_owned()));
            };
            if user.account.active == Some(true) {
                return Ok(GivenBack::shown(written));
            }
            let version = user.version.as_deref();
            if written {
                // Reads may lag behind the write.
                self.api.pause().await;
                conflicts.met(version, WHAT)?;
            }
            let if_match = conflicts.if_match(version);
            let write = self.put_active(user_id, &user, true, if_match);
            match keep(calls, write.await?) {
                Write::Done | Write::Shown => written = true,
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(version, WHAT)?,
            }
        }
    }
}

/// As what a queue names the user.
fn named(queue: &Queue, user_id: UserId) -> Result<Vec<Possession>, Failure> {
    let named = named_in(queue, user_id).map_err(|why| unwritable("get_queue", why))?;
    let owner = named.owner.map(|raw| (OWNER, raw));
    let supervisor = named.supervisor.map(|raw| (SUPERVISOR, raw));
    Ok(owner
        .into_iter()
        .chain(supervisor)
        .map(|(kind, raw)| Possession::new(kind, &queue.id).with(&raw))
        .collect())
}

fn look(queue: &Queue, user_id: UserId, possession: &Possession) -> Result<Look<Vec<u8>>, Failure> {
    let unreadable = |why| Failure::from(unwritable("get_queue", why));
    let named = named_in(queue, user_id).map_err(unreadable)?;
    let detail = possession.detail.as_deref();

    if possession.kind == SUPERVISOR {
        if named.supervisor.is_some() {
            return Ok(Look::There);
        }
        let body = queue_with_supervisor(queue, user_id, detail);
        return body.map(Look::Missing).map_err(unreadable);
    }
    Ok(match (named.owner, named.other_owner) {
        (Some(_), _) => Look::There,
        (None, Some(_)) => Look::Never("the queue has another owner now".to_owned()),
        (None, None) => {
            let body = queue_with_owner(queue, user_id, detail);
            Look::Missing(body.map_err(unreadable)?)
        }
    })
}

//! What an off-boarding takes from a user, read before it, and given back one by one.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::clearing::{QUEUE_MEMBER, SKILL};
use super::client::GenesysClient;
use super::documents::{
    GroupKind, Memberships, Queue, UserState, parse_group_version, parse_memberships,
};
use super::routing::ASSIGN_SKILLS;
use super::users::UserRead;
use crate::adapters::http::{ApiError, Conflicts, Request, Write};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::manifest::Possession;
use crate::ports::{Answered, GivenBack, QuotaClass, keep};

const GROUP: &str = "group";
const TEAM: &str = "team";
/// Of a group where no read showed whether the user was in it, and of a list that the API did not have.
const UNKNOWN: &str = "\"unknown\"";
/// Instead of the IDs of a list that the API did not have.
const ALL: &str = "all";
const GONE: &str = "it does not exist any more";

impl GenesysClient {
    /// In the order in which a run takes them.
    pub(super) async fn read_possessions(
        &self,
        user_id: UserId,
    ) -> Result<Option<Vec<Possession>>, Failure> {
        let UserRead::Found { user, .. } = self.read_user(user_id).await? else {
            return Ok(None);
        };
        let mut possessions = Vec::new();
        match self.read_queues(user_id).await?.items {
            Some(queues) => {
                let members = queues.iter();
                possessions.extend(members.map(|queue| Possession::new(QUEUE_MEMBER, &queue.id)));
                possessions.extend(self.groups_to_leave(user_id, &queues).await?);
            }
            None => possessions.push(not_shown(QUEUE_MEMBER)),
        }
        match self.read_skills(user_id).await?.items {
            Some(skills) => possessions.extend(skills.iter().map(|skill| {
                let own = Possession::new(SKILL, &skill.id);
                match &skill.proficiency {
                    Some(proficiency) => own.with(proficiency),
                    None => own,
                }
            })),
            None => possessions.push(not_shown(SKILL)),
        }
        if user.state == UserState::Active {
            possessions.push(Possession::new(Possession::ACCOUNT, &user_id));
        }
        Ok(Some(possessions))
    }

    /// The groups and teams that a run leaves, and the user is in.
    async fn groups_to_leave(
        &self,
        user_id: UserId,
        queues: &[Queue],
    ) -> Result<Vec<Possession>, Failure> {
        let mut seen = HashSet::new();
        let groups: Vec<_> = queues
            .iter()
            .flat_map(|queue| &queue.groups)
            .filter(|group| self.leave_groups && seen.insert(group.id))
            .collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }

        let known = self.memberships(user_id, &mut Vec::new()).await?;
        Ok(groups
            .into_iter()
            .filter_map(|group| match &group.kind {
                GroupKind::Group => match &known.groups {
                    Some(groups) => groups
                        .contains(&group.id)
                        .then(|| Possession::new(GROUP, &group.id)),
                    None => Some(Possession::new(GROUP, &group.id).with(UNKNOWN)),
                },
                GroupKind::Team => {
                    let own = Possession::new(TEAM, &group.id);
                    match known.team {
                        Some(team) => (team == group.id).then_some(own),
                        None => Some(own.with(UNKNOWN)),
                    }
                }
                GroupKind::Other(_) => None,
            })
            .collect())
    }

    async fn memberships(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Memberships, Failure> {
        let url = self.paths().memberships(&user_id.to_string())?;
        let request = Request::read(Method::GET, url, QuotaClass::Routing, "to view users");
        let read = self
            .api
            .read(request, |reply| parse_memberships(user_id, &reply.body));
        Ok(keep(calls, read.await?).unwrap_or(Memberships {
            groups: None,
            team: None,
        }))
    }

    pub(super) async fn give_one_back(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        if possession.kind == Possession::ACCOUNT {
            return self.activate_user(user_id, calls).await;
        }
        if possession.detail.as_deref() == Some(UNKNOWN) {
            let why = if possession.reference == ALL {
                "the API did not show which the user had"
            } else {
                "no read showed whether the user was in it: the API left that out"
            };
            return Ok(GivenBack::Not(why.to_owned()));
        }
        // Before-images are stored as text, and may be forged.
        let Ok(id) = possession.reference.parse::<Uuid>() else {
            return Ok(GivenBack::Not("the ID is no UUID".to_owned()));
        };
        let detail = possession.detail.as_deref();

        let mut conflicts = Conflicts::default();
        let mut written = false;
        loop {
            if self
                .has(user_id, &possession.kind, id, written, calls)
                .await?
            {
                return Ok(GivenBack::shown(written));
            }
            if written {
                conflicts.met(None, "membership")?;
            }
            let Some((name, request)) = self
                .addition(user_id, &possession.kind, id, detail, calls)
                .await?
            else {
                return Ok(GivenBack::Not(GONE.to_owned()));
            };
            match keep(calls, self.write(name, request).await?) {
                Write::Done | Write::Shown => written = true,
                Write::Gone => return Ok(GivenBack::Not(GONE.to_owned())),
                Write::Conflict => conflicts.met(None, "membership")?,
            }
        }
    }

    /// Whether the user has it now. After a write, reads may lag.
    async fn has(
        &self,
        user_id: UserId,
        kind: &str,
        id: Uuid,
        written: bool,
        calls: &mut Vec<Call>,
    ) -> Result<bool, Failure> {
        for pause in [false, true] {
            if pause {
                self.api.pause().await;
            }
            let has = match kind {
                QUEUE_MEMBER => {
                    let listed = self.read_queues(user_id).await?;
                    calls.extend(listed.calls);
                    let queues = listed.items.unwrap_or_default();
                    queues.iter().any(|queue| queue.id == id)
                }
                SKILL => {
                    let listed = self.read_skills(user_id).await?;
                    calls.extend(listed.calls);
                    let skills = listed.items.unwrap_or_default();
                    skills.iter().any(|skill| skill.id == id)
                }
                GROUP => {
                    let known = self.memberships(user_id, calls).await?;
                    known.groups.is_some_and(|groups| groups.contains(&id))
                }
                _ => self.memberships(user_id, calls).await?.team == Some(id),
            };
            if has || !written {
                return Ok(has);
            }
        }
        Ok(false)
    }

    /// The write that gives it back; `None` if it does not exist.
    async fn addition(
        &self,
        user_id: UserId,
        kind: &str,
        id: Uuid,
        detail: Option<&str>,
        calls: &mut Vec<Call>,
    ) -> Result<Option<(&'static str, Request<'static>)>, Failure> {
        let user = user_id.to_string();
        Ok(Some(match kind {
            QUEUE_MEMBER => (
                "post_queue_members",
                adds(
                    Method::POST,
                    self.paths().queue_members(id)?,
                    "routing:queueMember:manage",
                    &json!([{ "id": user }]),
                ),
            ),
            SKILL => {
                let proficiency = detail.and_then(|text| serde_json::from_str::<Value>(text).ok());
                let body = json!([{ "id": id, "proficiency": proficiency.unwrap_or(json!(0)) }]);
                let url = self.paths().all_skills(&user)?;
                (
                    "patch_skills",
                    adds(Method::PATCH, url, ASSIGN_SKILLS, &body),
                )
            }
            GROUP => {
                let Some(version) = keep(calls, self.group_version(id).await?) else {
                    return Ok(None);
                };
                let body = json!({ "memberIds": [user], "version": version });
                let url = self.paths().group_members(id)?;
                (
                    "post_group_members",
                    adds(Method::POST, url, "to edit groups", &body),
                )
            }
            _ => {
                let body = json!({ "memberIds": [user] });
                let url = self.paths().team_members(id)?;
                (
                    "post_team_members",
                    adds(Method::POST, url, "groups:team:assign", &body),
                )
            }
        }))
    }

    async fn group_version(&self, group: Uuid) -> Result<Answered<Option<u64>>, ApiError> {
        let url = self.paths().group(group)?;
        let request = Request::read(Method::GET, url, QuotaClass::Routing, "to view groups");
        self.api
            .read(request, |reply| parse_group_version(&reply.body))
            .await
    }

    async fn activate_user(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        const WHAT: &str = "user";
        let mut conflicts = Conflicts::default();
        let mut written = false;
        loop {
            let user = match self.read_user(user_id).await? {
                UserRead::Found { user, call } => {
                    calls.push(call);
                    user
                }
                UserRead::Missing { absent, proof } => {
                    calls.extend([absent, proof]);
                    return Ok(GivenBack::Not("the account does not exist".to_owned()));
                }
            };
            if user.state == UserState::Active {
                return Ok(GivenBack::shown(written));
            }
            if written {
                // Reads may lag behind the write.
                self.api.pause().await;
                conflicts.met(None, WHAT)?;
            }
            match keep(calls, self.write_state(user_id, &user, "active").await?) {
                Write::Done | Write::Shown => written = true,
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(Some(&user.version.to_string()), WHAT)?,
            }
        }
    }
}

/// A list that the API did not have, of a user whom it had: what was on it is unknown, and that is not nothing.
fn not_shown(kind: &str) -> Possession {
    Possession::new(kind, ALL).with(UNKNOWN)
}

fn adds(method: Method, url: Url, scope: &'static str, body: &Value) -> Request<'static> {
    Request {
        body: Some(body.to_string().into_bytes()),
        ..Request::write(method, url, QuotaClass::Routing, scope)
    }
}

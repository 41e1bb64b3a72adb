//! What an inactive account still has: access keys, which are credentials of their own, and the session of its agent.
//! Whether the deactivation ends them by itself, no source says; so each is ended, and each is evidence.

use reqwest::Method;
use serde_json::json;

use super::client::{Client, object, removal, right, urgent};
use super::documents::{AccessKey, parse_keys};
use super::known_agents::AgentOf;
use super::numbers::Number;
use super::own::our_own;
use crate::adapters::http::ApiError;
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::machine::Call;

/// How the note of the first list of keys ends: whether the deactivation ended keys by itself.
pub(super) const KEYS_AFTER: &str = "access keys were active after the deactivation";

impl Client {
    /// Keys first, since a key could begin a session.
    pub(super) async fn end_all_access(
        &self,
        user_id: UserId,
        agent: Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        self.disable_keys(user_id, calls).await?;

        match self.known_agent(user_id, agent, calls).await? {
            AgentOf::Number(agent) => Ok(self.log_out(user_id, agent, calls).await?),
            AgentOf::Nobody | AgentOf::UserGone => Ok(()),
        }
    }

    async fn disable_keys(&self, user_id: UserId, calls: &mut Vec<Call>) -> Result<(), Failure> {
        let keys = self.read_keys(user_id, calls).await?;
        if keys.iter().any(|key| self.own.is_key(&key.id)) {
            return Err(our_own());
        }
        let count = keys.len();
        let active: Vec<AccessKey> = keys.into_iter().filter(|key| key.is_active).collect();
        if let Some(list) = calls.last_mut()
            && count > 0
        {
            let active = active.len();
            list.note = Some(format!("{active} of {count} {KEYS_AFTER}"));
        }
        if active.is_empty() {
            return Ok(());
        }
        for key in &active {
            self.disable_key(user_id, &key.id, calls).await?;
        }

        // Reads may lag behind writes.
        for pause in [false, true] {
            if pause {
                self.api.pause().await;
            }
            let mut proof = Vec::new();
            let keys = self.read_keys(user_id, &mut proof).await?;
            if !keys.iter().any(|key| key.is_active) {
                calls.extend(proof);
                return Ok(());
            }
        }
        let text = "access keys of the user were disabled, and still read as active";
        Err(Failure::new(
            Class::Transient,
            Code::CxoneNotConverged,
            text,
        ))
    }

    /// All access keys of the user. A 404 says nothing of the keys of a user who exists.
    pub(super) async fn read_keys(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<AccessKey>, ApiError> {
        const CALL: &str = "get_access_keys";

        let of_user = user_id.to_string();
        let url = self.paths().access_keys(&[("userId", &of_user)])?;
        let reply = self.api.send(urgent(url, right::VIEW_KEYS)).await?;
        let keys = match reply.status() {
            204 => Vec::new(),
            200 => {
                let members = object(&reply, right::VIEW_KEYS)?;
                parse_keys(&members, user_id).map_err(|why| reply.unreadable(why))?
            }
            _ if reply.says_missing() => {
                // UserHub may not show a deactivated employee whom ACD still knows.
                let found = self.find_anywhere(user_id).await?;
                if found.value {
                    return Err(self.refuse(CALL, user_id, &reply));
                }
                calls.push(found.call);
                Vec::new()
            }
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        calls.push(reply.call);
        Ok(keys)
    }

    async fn disable_key(
        &self,
        user_id: UserId,
        key: &str,
        calls: &mut Vec<Call>,
    ) -> Result<(), ApiError> {
        const CALL: &str = "disable_access_key";

        let of_user = user_id.to_string();
        let query = [("accessKeyId", key), ("userId", of_user.as_str())];
        let url = self.paths().access_keys(&query)?;
        let body = json!({ "isActive": false });
        let request = removal(Method::PATCH, url, right::EDIT_KEYS, Some(&body));
        let reply = self.send_write(request).await?;
        match reply.status() {
            200..=299 => self.api.succeeded(CALL),
            // It may have been deleted in between: the list decides.
            404 | 410 if reply.says_missing() => {}
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        }
        calls.push(Call {
            note: Some(format!("access key {key}")),
            ..reply.call
        });
        Ok(())
    }

    async fn log_out(
        &self,
        user_id: UserId,
        agent: Number,
        calls: &mut Vec<Call>,
    ) -> Result<(), ApiError> {
        const CALL: &str = "log_out_agent";

        let url = self.paths().logout(agent)?;
        let request = removal(Method::POST, url, right::LOG_OUT, None);
        let reply = self.send_write(request).await?;
        let note = match reply.status() {
            // The document has the form of an error there, too.
            200 | 202 if reply.is_own() => return Err(self.refuse(CALL, user_id, &reply)),
            200 | 202 if !reply.body.is_empty() => {
                object(&reply, right::LOG_OUT)?;
                None
            }
            200 | 202 | 204 => None,
            status @ (404 | 409) if reply.is_own() => Some(format!(
                "refused with {status}, which is taken for \"no session\""
            )),
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        calls.push(Call { note, ..reply.call });
        Ok(())
    }
}

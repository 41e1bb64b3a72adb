//! The client: what its calls have in common; the calls are in the other files, see [`super`].

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value};
use url::Url;

use super::documents::hides_rows;
use super::known_agents::KnownAgents;
use super::own_key::Own;
use super::paths::Paths;
use crate::adapters::http::{Api, ApiError, ApiOptions, Dialect, Grant, Reply, Request};
use crate::failpoint::effect;
use crate::job::UserId;
use crate::ports::QuotaClass;

const DIALECT: Dialect = Dialect {
    right: RIGHT,
    correlation_header: "CorrelationId",
    own_correlation_header: Some("CorrelationId"),
    // No source names them: a 403 is asked again of nobody, by the steps.
    missing_right: &[],
    hides_missing_rights: true,
    not_found: &[],
    own_error: &["httpCode", "detailedMessage", "hostName", "entityType"],
    error_header: Some("icStatusDescription"),
};
const RIGHT: &str = "permission";

/// The rights that calls need. NICE names those of employees only; the others say what the role has to allow.
pub(super) mod right {
    pub(in super::super) const VIEW_EMPLOYEES: &str = "Employees View";
    pub(in super::super) const EDIT_EMPLOYEES: &str = "Employees Edit";
    pub(in super::super) const VIEW_AGENTS: &str = "to view agents, of all teams";
    pub(in super::super) const VIEW_SKILLS: &str = "to view the skills of agents, of all teams";
    pub(in super::super) const EDIT_SKILLS: &str = "to edit the skills of agents, of all teams";
    pub(in super::super) const VIEW_GROUPS: &str = "to view the groups of agents, of all teams";
    pub(in super::super) const EDIT_GROUPS: &str = "to edit the groups of agents, of all teams";
    pub(in super::super) const VIEW_TEAMS: &str = "to view teams";
    pub(in super::super) const VIEW_KEYS: &str = "to view access keys of other employees";
    pub(in super::super) const EDIT_KEYS: &str = "to edit access keys of other employees";
    pub(in super::super) const LOG_OUT: &str = "to log agents out, of all teams";
    pub(in super::super) const VIEW_CONTACTS: &str = "to view completed contacts, of all teams";
}

/// The API. Cheap to clone; clones share token, quota, connections, and what was found out about agents.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) api: Arc<Api>,
    paths: Arc<Paths>,
    pub(super) agents: Arc<KnownAgents>,
    pub(super) own: Arc<Own>,
    /// Longest interval of one query, in days.
    pub(super) window_days: Option<u32>,
}

impl Client {
    /// `api_version` is that of ACD, e.g. `34.0`.
    pub(crate) fn new(
        options: ApiOptions,
        api_version: &str,
        window_days: Option<u32>,
    ) -> Result<Self, ApiError> {
        let own_key = match &options.grant {
            Grant::ClientCredentials => None,
            Grant::AccessKey { id, .. } => Some(id.clone()),
        };
        let api = Api::new(options, &DIALECT)?;
        Ok(Self {
            paths: Arc::new(Paths::new(api.base().clone(), api_version)),
            api: Arc::new(api),
            agents: Arc::default(),
            own: Arc::new(Own::new(own_key)),
            window_days,
        })
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Sends a write. Its success is only that it was accepted.
    pub(super) async fn send_write(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        effect("the API write", self.api.send(request)).await
    }

    /// The error for an answer that was not expected. `name` is the name of the call, the same for every user.
    pub(super) fn refuse(&self, name: &'static str, user_id: UserId, reply: &Reply) -> ApiError {
        match reply.status() {
            200..=299 => reply.unreadable("a success that this call does not have"),
            _ => self
                .api
                .refused(name, &user_id.to_string(), reply.refusal()),
        }
    }

    /// The error for an answer that is a success, and says that nothing was done or that nothing can be concluded.
    pub(super) fn withheld(
        &self,
        name: &'static str,
        user_id: UserId,
        reply: &Reply,
        why: String,
    ) -> ApiError {
        let withheld = ApiError::Withheld {
            what: reply.what.clone(),
            status: reply.status(),
            why,
            correlation_id: reply.call.correlation_id.clone().unwrap_or_default(),
        };
        self.api.refused(name, &user_id.to_string(), withheld)
    }
}

/// The object that an answer is. Rows that the role may not see make it worthless: what is hidden is not absent.
pub(super) fn object(reply: &Reply, right: &'static str) -> Result<Map<String, Value>, ApiError> {
    let Ok(Value::Object(members)) = serde_json::from_slice(&reply.body) else {
        return Err(reply.unreadable("not a JSON object, but something else"));
    };
    let hidden = hides_rows(members.get("hiddenAgents")).map_err(|why| reply.unreadable(why))?;
    if hidden {
        return Err(hides(reply, right));
    }
    Ok(members)
}

/// The role sees less than there is.
pub(super) fn hides(reply: &Reply, right: &'static str) -> ApiError {
    lacks(reply.what.clone(), right)
}

pub(super) const fn lacks(what: String, right: &'static str) -> ApiError {
    ApiError::MissingScope {
        what,
        right: RIGHT,
        scope: right,
    }
}

/// All calls share one budget, which is that of routing.
pub(super) fn get(url: Url, right: &'static str) -> Request<'static> {
    Request::read(Method::GET, url, QuotaClass::Routing, right)
}

/// A read on the way to the end of a user's access.
pub(super) fn urgent(url: Url, right: &'static str) -> Request<'static> {
    Request {
        removes_access: true,
        ..get(url, right)
    }
}

/// A call that takes access away, whatever its method.
pub(super) fn removal(
    method: Method,
    url: Url,
    right: &'static str,
    body: Option<&Value>,
) -> Request<'static> {
    Request {
        removes_access: true,
        body: body.map(|body| body.to_string().into_bytes()),
        ..Request::write(method, url, QuotaClass::Routing, right)
    }
}

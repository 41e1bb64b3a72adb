//! What is read from the documents of the API. What cannot be understood is an error, and never passes for "inactive", "no
//! agent" or "empty".

use serde_json::{Map, Value};

use super::numbers::Number;
use crate::job::UserId;
use crate::ports::Account;

pub(super) type Members = Map<String, Value>;

/// An employee, as UserHub has it.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) account: Account,
    /// Whether UserHub names an agent of ACD; `None` where it does not say.
    pub(super) is_agent: Option<bool>,
    /// An identity provider manages the employee.
    pub(super) is_external: bool,
}

/// An agent, as ACD has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) number: Number,
    pub(super) active: Option<bool>,
    pub(super) user_name: Option<String>,
}

/// An access key of an employee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessKey {
    pub(super) id: String,
    pub(super) is_active: bool,
}

/// `user` that is missing from an answer means that there is none; an answer of another shape does not.
pub(super) fn parse_user(members: &Members, user_id: UserId) -> Result<Option<User>, String> {
    let user = match members.get("user") {
        None if members.is_empty() => return Ok(None),
        Some(Value::Null) => return Ok(None),
        Some(Value::Object(user)) => user,
        None | Some(_) => return Err("user is missing, or not an object".to_owned()),
    };
    if !is_user(user.get("id"), user_id) {
        return Err("it has the id of another user, or none".to_owned());
    }

    let active = match text(user, "status") {
        Some("DELETED") => false,
        Some("UNREGISTERED" | "PENDING" | "ACTIVE" | "BLOCKED") => true,
        Some(_) | None => return Err("status is missing, or an unknown word".to_owned()),
    };
    let is_agent = match user.get("acdInfos") {
        None | Some(Value::Null) => None,
        Some(Value::Array(infos)) => Some(!infos.is_empty()),
        Some(_) => return Err("acdInfos is not a list".to_owned()),
    };
    Ok(Some(User {
        account: Account {
            active: Some(active),
            user_name: name(user),
        },
        is_agent,
        is_external: match user.get("externalIdentity") {
            None | Some(Value::Null) => false,
            Some(identity) => identity.as_str() != Some(""),
        },
    }))
}

/// The agent of this user, if the list has one: the row that names the user, and never another.
pub(super) fn parse_agent(members: &Members, user_id: UserId) -> Result<Option<Agent>, String> {
    let agents = list(members, "agents")?;
    if agents.is_empty() {
        return Ok(None);
    }

    let mut ours = agents
        .iter()
        .filter(|agent| is_user(user_of(agent), user_id));
    let (Some(agent), None) = (ours.next(), ours.next()) else {
        return Err("it has agents, and not exactly one of this user".to_owned());
    };
    let number = agent.get("agentId").and_then(Number::of);
    Ok(Some(Agent {
        number: number.ok_or("agentId is not a number from 1 on")?,
        active: agent.get("isActive").and_then(Value::as_bool),
        user_name: agent.as_object().and_then(name),
    }))
}

/// The user of the one agent with this number.
pub(super) fn parse_user_of(members: &Members, agent: Number) -> Result<Option<UserId>, String> {
    let agents = list(members, "agents")?;
    let mut ours = agents
        .iter()
        .filter(|row| row.get("agentId").and_then(Number::of) == Some(agent));
    match (agents.is_empty(), ours.next(), ours.next()) {
        (true, _, _) => Ok(None),
        (false, Some(row), None) => {
            let user_id = user_of(row)
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok());
            Ok(Some(user_id.ok_or("the agent names no user")?))
        }
        (false, _, _) => Err("it has agents, and not exactly the one asked for".to_owned()),
    }
}

/// All keys of the user. A key that does not say whether it is active is not an inactive one.
pub(super) fn parse_keys(members: &Members, user_id: UserId) -> Result<Vec<AccessKey>, String> {
    let rows = list(members, "accessKeys")?;
    let total = match members.get("totalRecords") {
        None | Some(Value::Null) => None,
        Some(total) => Some(
            total
                .as_u64()
                .ok_or_else(|| "totalRecords is not a number".to_owned())?,
        ),
    };
    let next = members.get("_links").and_then(|links| links.get("next"));
    let has_next = next.is_some_and(|next| !next.is_null() && next.as_str() != Some(""));
    if total.is_some_and(|total| total != rows.len() as u64) || (total.is_none() && has_next) {
        return Err("it does not list all access keys of the user".to_owned());
    }

    rows.iter()
        .map(|row| {
            // Where a row does not name its owner, the call that disables it does.
            let owner = row.get("userId").filter(|owner| !owner.is_null());
            if owner.is_some() && !is_user(owner, user_id) {
                return Err("it lists an access key of another user".to_owned());
            }
            let id = row.get("accessKeyId").and_then(Value::as_str);
            let is_plain =
                |id: &&str| (1..=256).contains(&id.len()) && !id.contains(char::is_control);
            let is_active = row.get("isActive").and_then(Value::as_bool);
            Ok(AccessKey {
                id: id
                    .filter(is_plain)
                    .ok_or("an access key without an ID")?
                    .to_owned(),
                is_active: is_active.ok_or("an access key without isActive")?,
            })
        })
        .collect()
}

/// Why a removal was not done, if its answer says so: an empty answer says nothing, and a success may hold failures.
pub(super) fn failure_inside(members: &Members) -> Result<Option<String>, String> {
    let results = match members.get("resultSet") {
        None => members,
        Some(Value::Object(inner)) => inner,
        Some(_) => return Err("resultSet is not an object".to_owned()),
    };
    let errors = match results.get("errorCount") {
        None | Some(Value::Null) => 0,
        Some(count) => count.as_u64().ok_or("errorCount is not a number")?,
    };
    let failed = ["agentResults", "skillResults"]
        .into_iter()
        .filter_map(|member| results.get(member))
        .filter_map(Value::as_array)
        .flatten()
        .any(|result| result.get("success") != Some(&Value::Bool(true)));

    let why = match (errors, failed) {
        (0, false) => None,
        (0, true) => Some("and a result in it is no success".to_owned()),
        (errors, _) => Some(format!("and counts {errors} errors in it")),
    };
    Ok(why)
}

/// The numbers `member` of all rows, without repetition.
pub(super) fn numbers(rows: &[Value], member: &str) -> Result<Vec<Number>, String> {
    let mut numbers: Vec<Number> = Vec::new();
    for row in rows {
        let number = row.get(member).and_then(Number::of);
        let number = number.ok_or_else(|| format!("{member} is not a number from 1 on"))?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// A list that has to be there.
pub(super) fn list<'a>(members: &'a Members, member: &str) -> Result<&'a [Value], String> {
    match members.get(member) {
        Some(Value::Array(rows)) => Ok(rows),
        Some(_) | None => Err(format!("{member} is missing, or not a list")),
    }
}

/// `hiddenAgents`: rows that the role may not see, as their number or as a list.
pub(super) fn hides_rows(hidden: Option<&Value>) -> Result<bool, String> {
    match hidden {
        None | Some(Value::Null | Value::Bool(false)) => Ok(false),
        Some(Value::Bool(true)) => Ok(true),
        Some(Value::Array(rows)) => Ok(!rows.is_empty()),
        Some(Value::Number(count)) => Ok(count.as_u64() != Some(0)),
        Some(Value::String(_) | Value::Object(_)) => {
            Err("hiddenAgents is not of the expected shape".to_owned())
        }
    }
}

pub(super) fn is_user(id: Option<&Value>, user_id: UserId) -> bool {
    let id = id.and_then(Value::as_str);
    id.is_some_and(|id| id.parse::<UserId>().is_ok_and(|id| id == user_id))
}

/// The spelling differs between versions.
fn user_of(agent: &Value) -> Option<&Value> {
    agent.get("userId").or_else(|| agent.get("userID"))
}

fn name(members: &Members) -> Option<String> {
    text(members, "userName")
        .filter(|name| !name.trim().is_empty())
        .map(str::to_owned)
}

fn text<'a>(members: &'a Members, member: &str) -> Option<&'a str> {
    members.get(member).and_then(Value::as_str)
}

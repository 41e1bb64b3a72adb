//! Lists that are read whole: skills and groups of an agent, and the teams with their leads.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, get, object, right, urgent};
use super::documents::{is_user, list, numbers};
use super::numbers::Number;
use super::paths::LIST_PAGE;
use crate::adapters::http::{ApiError, Reply, Request};
use crate::job::UserId;
use crate::machine::Call;

/// No list of one agent, and no tenant's teams, are longer: it is a loop.
const MOST_ROWS: usize = 100_000;

/// The pages of a list as far as they are read.
struct Pages {
    rows: Vec<Value>,
    total: Option<u64>,
}

impl Pages {
    /// Adds a page; `Ok(true)` once all rows of the total are here.
    fn add(&mut self, reply: &Reply, member: &str, right: &'static str) -> Result<bool, ApiError> {
        let moved = |why: String| ApiError::PagesMoved {
            what: reply.what.clone(),
            why,
        };
        if reply.status() == 204 {
            return match self.total {
                None => Ok(true),
                Some(_) => Err(moved("the list ends before its total".to_owned())),
            };
        }

        let members = object(reply, right)?;
        let total = members.get("totalRecords").and_then(Value::as_u64);
        let total =
            total.ok_or_else(|| reply.unreadable("totalRecords is missing, or no number"))?;
        if self.total.is_some_and(|before| before != total) {
            return Err(moved("the total changed from page to page".to_owned()));
        }
        self.total = Some(total);

        let is_empty = total == 0 && matches!(members.get(member), None | Some(Value::Null));
        let rows = if is_empty {
            &[]
        } else {
            list(&members, member).map_err(|why| reply.unreadable(why))?
        };
        self.rows.extend_from_slice(rows);

        let seen = self.rows.len() as u64;
        if seen > total || self.rows.len() > MOST_ROWS {
            return Err(moved("the list has more rows than its total".to_owned()));
        }
        if rows.is_empty() && seen < total {
            return Err(moved("the list ends before its total".to_owned()));
        }
        Ok(seen == total)
    }
}

impl Client {
    /// Reads page after page until the rows are as many as the total, which must not change in between. `page` makes the
    /// request for the page that begins after a number of rows.
    async fn read_list(
        &self,
        name: &'static str,
        user_id: UserId,
        member: &str,
        page: impl Fn(u64) -> Result<Request<'static>, ApiError>,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Value>, ApiError> {
        let mut pages = Pages {
            rows: Vec::new(),
            total: None,
        };
        loop {
            let request = page(pages.rows.len() as u64)?;
            let right = request.scope;
            let reply = self.api.send(request).await?;
            if !matches!(reply.status(), 200 | 204) {
                return Err(self.refuse(name, user_id, &reply));
            }
            let is_whole = pages.add(&reply, member, right)?;
            calls.push(reply.call);
            if is_whole {
                self.api.succeeded(name);
                return Ok(pages.rows);
            }
        }
    }

    /// All skills of the agent, active or not.
    pub(super) async fn skills_of(
        &self,
        user_id: UserId,
        agent: Number,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Number>, ApiError> {
        let rows = self.skill_rows_of(user_id, agent, calls).await?;
        let unreadable = |why| match self.paths().skills_of(agent, 0, LIST_PAGE) {
            Ok(url) => ApiError::Unreadable {
                what: format!("GET {}", url.path()),
                why,
            },
            Err(error) => error,
        };
        numbers(&rows, "skillId").map_err(unreadable)
    }

    /// The same, with what each assignment says.
    pub(super) async fn skill_rows_of(
        &self,
        user_id: UserId,
        agent: Number,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Value>, ApiError> {
        let page = |skip| {
            let url = self.paths().skills_of(agent, skip, LIST_PAGE)?;
            Ok(urgent(url, right::VIEW_SKILLS))
        };
        let rows = self
            .read_list("get_skills", user_id, "agentSkillAssignments", page, calls)
            .await?;
        let what = format!(
            "GET {}",
            self.paths().skills_of(agent, 0, LIST_PAGE)?.path()
        );
        let skills = match numbers(&rows, "skillId") {
            Ok(skills) => skills,
            Err(why) => return Err(ApiError::Unreadable { what, why }),
        };
        // A repetition hides a skill that was passed over between two pages, while the total is still reached.
        if skills.len() < rows.len() {
            let why = "a skill came twice".to_owned();
            return Err(ApiError::PagesMoved { what, why });
        }
        Ok(rows)
    }

    /// All groups of the agent: one answer, which is not paged.
    pub(super) async fn groups_of(
        &self,
        user_id: UserId,
        agent: Number,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Number>, ApiError> {
        const CALL: &str = "get_groups";

        let url = self.paths().groups_of(agent)?;
        let reply = self.api.send(urgent(url, right::VIEW_GROUPS)).await?;
        let groups = match reply.status() {
            204 => Vec::new(),
            200 => {
                let members = object(&reply, right::VIEW_GROUPS)?;
                let rows = list(&members, "agentGroups").map_err(|why| reply.unreadable(why))?;
                numbers(rows, "groupId").map_err(|why| reply.unreadable(why))?
            }
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        calls.push(reply.call);
        Ok(groups)
    }

    /// The teams that the user leads, as they are called. There is no filter by lead, so all are read.
    pub(super) async fn teams_led_by(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<String>, ApiError> {
        let rows = self
            .read_list(
                "search_teams",
                user_id,
                "teams",
                |skip| self.teams(skip, LIST_PAGE),
                calls,
            )
            .await?;
        let led = rows
            .iter()
            .filter(|team| is_user(team.get("leadUserId"), user_id));
        Ok(led.map(shown).collect())
    }

    /// A search that reads, although it is a POST.
    pub(super) fn teams(&self, skip: u64, top: u64) -> Result<Request<'static>, ApiError> {
        let body = json!({ "fields": ["id", "name", "leadUserId"], "skip": skip, "top": top });
        Ok(Request {
            method: Method::POST,
            body: Some(body.to_string().into_bytes()),
            ..get(self.paths().teams()?, right::VIEW_TEAMS)
        })
    }
}

/// The ID of a team, since its name is the tenant's own text.
fn shown(team: &Value) -> String {
    let id = team.get("id").and_then(Value::as_str).unwrap_or_default();
    let plain: String = id.chars().filter(char::is_ascii_graphic).take(64).collect();
    if plain.is_empty() {
        "without an ID".to_owned()
    } else {
        plain
    }
}

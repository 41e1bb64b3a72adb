//! What only a real user shows: what is left of an employee who is inactive, and what is given of its contacts. Reads only.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::DATE;
use serde_json::Value;

use super::client::{Client, right};
use super::documents::{Members, User, parse_user};
use super::facts::contact_facts;
use super::known_agents::AgentOf;
use super::numbers::Number;
use super::survey_words::word;
use crate::adapters::http::{ApiError, Reply, observed, rows, seen, status_of};
use crate::job::UserId;
use crate::ports::{Observation, Seen};

const STATUS: &str = "status of the employee";
const AGENT: &str = "agent of an inactive employee";
const INACTIVE_CONTACTS: &str = "contacts of an inactive agent";
const WINDOW: &str = "longest window";
const REACH: &str = "contacts of a day a year ago";
const LATENESS: &str = "age of the newest contact";
const LAST_AGENT: &str = "contacts that end with another agent";
const KEYS: &str = "access keys";

/// Of the employee, as far as it could be read.
struct Employee {
    /// The vendor's word.
    status: Option<String>,
    user: Option<User>,
    answer: String,
}

impl Employee {
    fn is_active(&self) -> Option<bool> {
        self.user.as_ref()?.account.active
    }
}

impl Client {
    pub(super) async fn survey_user(&self, user_id: UserId) -> Vec<Observation> {
        let employee = match self.employee(user_id).await {
            Ok(employee) => employee,
            Err(error) => {
                let failed = Seen::Failed(error.into());
                return vec![observed(Some("cxone-6"), STATUS, failed)];
            }
        };
        let keys = self.keys_counted(user_id).await;
        let mut all = vec![
            observed(Some("cxone-6"), STATUS, status_seen(&employee)),
            observed(None, "managed by an identity provider", managed(&employee)),
            observed(Some("cxone-13"), KEYS, seen(keys)),
        ];

        let agent = self.find_agent(user_id, &mut Vec::new()).await;
        let number = match &agent {
            Ok(AgentOf::Number(number)) => Some(*number),
            _ => None,
        };
        all.push(observed(
            Some("cxone-7"),
            AGENT,
            agent_seen(&employee, agent),
        ));
        if let Some(number) = number {
            all.extend(self.contacts_seen(number, employee.is_active()).await);
        } else {
            let rows = [
                ("cxone-8", INACTIVE_CONTACTS),
                ("cxone-9", WINDOW),
                ("cxone-10", LATENESS),
                ("cxone-11", LAST_AGENT),
            ];
            all.extend(rows.map(|(question, check)| {
                let why = "no number of an agent is known".to_owned();
                observed(Some(question), check, Seen::Unknown(why))
            }));
        }
        all
    }

    async fn employee(&self, user_id: UserId) -> Result<Employee, ApiError> {
        let reply = self
            .brief(self.paths().user(user_id), right::VIEW_EMPLOYEES)
            .await?;
        let members = match reply.status() {
            200 => serde_json::from_slice::<Members>(&reply.body)
                .map_err(|_no_object| reply.unreadable("not a JSON object"))?,
            _ if reply.says_missing() => Members::new(),
            _ => return Err(reply.refusal()),
        };
        let status = members.get("user").and_then(|user| user.get("status"));
        Ok(Employee {
            status: status.and_then(word).map(str::to_owned),
            // A word that this release does not know is what is asked for here.
            user: parse_user(&members, user_id).ok().flatten(),
            answer: status_of(&reply),
        })
    }

    async fn keys_counted(&self, user_id: UserId) -> Result<Seen, ApiError> {
        let keys = self.read_keys(user_id, &mut Vec::new()).await?;
        let active = keys.iter().filter(|key| key.is_active).count();
        Ok(Seen::Fact(format!("{active} of {} are active", keys.len())))
    }

    async fn contacts_seen(&self, agent: Number, active: Option<bool>) -> Vec<Observation> {
        let days = i64::from(self.window_days.unwrap_or(30));
        let now = self.api.transport.clock.now();
        let window = [before(now, days), now];
        let year_ago = [before(now, 366), before(now, 365)];
        let (read, reach) = tokio::join!(
            self.window_of(agent, window, 0, u64::from(self.api.page_size())),
            self.window_of(agent, year_ago, 0, 1),
        );

        let mut all = vec![
            observed(Some("cxone-9"), WINDOW, window_seen(&read, days)),
            observed(Some("cxone-9"), REACH, reach_seen(&reach)),
        ];
        let of_inactive = match (active, &read) {
            (Some(true), _) => Seen::Unknown("the user is active".to_owned()),
            (_, Ok(Window::Rows { total, .. })) if *total > 0 => {
                Seen::Fact(format!("{total} in the last {days} days are given"))
            }
            _ => Seen::Unknown(format!("none in the last {days} days are given")),
        };
        all.push(observed(Some("cxone-8"), INACTIVE_CONTACTS, of_inactive));

        let (newest, others) = match read {
            Ok(Window::Rows { total, ids }) if total > 0 => (
                self.newest_seen(agent, window, total).await,
                self.others_seen(agent, window, total, &ids).await,
            ),
            _ => {
                let none = || Seen::Unknown(format!("no contacts in the last {days} days"));
                (Ok(none()), Ok(none()))
            }
        };
        all.push(observed(Some("cxone-10"), LATENESS, seen(newest)));
        all.push(observed(Some("cxone-11"), LAST_AGENT, seen(others)));
        all
    }

    async fn window_of(
        &self,
        agent: Number,
        [from, to]: [Timestamp; 2],
        skip: u64,
        top: u64,
    ) -> Result<Window, ApiError> {
        let reply = self
            .api
            .send(self.contacts(agent, from, to, skip, top)?)
            .await?;
        match reply.status() {
            204 => Ok(Window::Rows {
                total: 0,
                ids: BTreeSet::new(),
            }),
            200 => {
                let read = || {
                    let page = rows(&reply.body, "completedContacts")?;
                    let total: Option<u64> = page.member("totalRecords")?;
                    let ids = page.ranges.unwrap_or_default().into_iter();
                    let ids = ids.filter_map(|range| contact_facts(reply.body.get(range)?).id);
                    Ok(Window::Rows {
                        total: total.ok_or_else(|| "totalRecords is missing".to_owned())?,
                        ids: ids.collect(),
                    })
                };
                read().map_err(|why: String| reply.unreadable(why))
            }
            400 | 404 | 422 if reply.is_own() => Ok(Window::Refused(status_of(&reply))),
            _ => Err(reply.refusal()),
        }
    }

    /// How long ago the last contact of the window ended: it had appeared by then.
    async fn newest_seen(
        &self,
        agent: Number,
        [from, to]: [Timestamp; 2],
        total: u64,
    ) -> Result<Seen, ApiError> {
        let last = self.contacts(agent, from, to, total.saturating_sub(1), 1)?;
        let reply = self.api.send(last).await?;
        let unknown = |why: &str| Ok(Seen::Unknown(why.to_owned()));
        if reply.status() != 200 {
            return unknown("the last contact of the window is not given");
        }
        let page = rows(&reply.body, "completedContacts").map_err(|why| reply.unreadable(why))?;
        let row = page.ranges.unwrap_or_default().into_iter().next();
        let facts = row.and_then(|range| Some(contact_facts(reply.body.get(range)?)));
        let Some(end) = facts.and_then(|facts| facts.end.or(facts.start)) else {
            return unknown("the newest contact names no time");
        };

        let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
        let server = date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| Timestamp::try_from(date).ok());
        let now = server.unwrap_or_else(|| self.api.transport.clock.now());
        let minutes = now.duration_since(end).as_mins();
        Ok(Seen::Fact(format!(
            "it ended {minutes} minutes ago: a contact may appear as late as that, or sooner"
        )))
    }

    /// Compares what the agent took part in with the contacts that bear its number. The vendor documents no shape of it.
    async fn others_seen(
        &self,
        agent: Number,
        [from, to]: [Timestamp; 2],
        total: u64,
        ids: &BTreeSet<String>,
    ) -> Result<Seen, ApiError> {
        if total > ids.len() as u64 {
            let why =
                format!("the user has {total} contacts, too many to compare; ask with another");
            return Ok(Seen::Unknown(why));
        }
        let text = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        // 4 is a call.
        let query = [
            ("startDate", text(from)),
            ("endDate", text(to)),
            ("mediaTypeId", "4".to_owned()),
        ];
        let query = query
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let url = self.paths().history_of(agent, &query);
        let reply = self.brief(url, right::VIEW_CONTACTS).await?;
        let took_part = ids_in(&reply);
        Ok(match took_part {
            None => Seen::Unknown(format!("interaction-history answers {}", status_of(&reply))),
            Some(took_part) => {
                let others = took_part.difference(ids).count();
                Seen::Fact(format!(
                    "{others} of {} calls that the agent took part in are not among its {total} contacts",
                    took_part.len()
                ))
            }
        })
    }
}

/// What a query of contacts came to.
enum Window {
    Rows { total: u64, ids: BTreeSet<String> },
    Refused(String),
}

fn before(now: Timestamp, days: i64) -> Timestamp {
    let hours = days.saturating_mul(24);
    now.checked_sub(SignedDuration::from_hours(hours))
        .unwrap_or(now)
}

fn status_seen(employee: &Employee) -> Seen {
    let Some(word) = &employee.status else {
        let answer = &employee.answer;
        return Seen::Fact(format!("{answer} without a user: UserHub does not show it"));
    };
    match employee.is_active() {
        Some(true) => Seen::Unknown(format!("the user is active ({word})")),
        Some(false) => Seen::Fact(format!("{word}, which is read as inactive")),
        None => Seen::Bad {
            detail: format!("{word}, or the document beside it, is unknown to this release"),
            remedy: "report this row to us; until then users in this state are dead letters"
                .to_owned(),
        },
    }
}

fn managed(employee: &Employee) -> Seen {
    match &employee.user {
        None => Seen::Unknown("UserHub shows no employee".to_owned()),
        Some(user) if user.is_external => Seen::Fact(
            "yes (externalIdentity is set): deactivate the account there, should CXone refuse it"
                .to_owned(),
        ),
        Some(_) => Seen::Fact("no".to_owned()),
    }
}

fn agent_seen(employee: &Employee, agent: Result<AgentOf, ApiError>) -> Seen {
    match agent {
        Err(error @ ApiError::Withheld { .. }) => Seen::Bad {
            detail: format!("ACD gives no agent where UserHub names one: {error}"),
            remedy: "such users are dead letters: report this row to us, and archive before the deactivation".to_owned(),
        },
        Err(error) => Seen::Failed(error.into()),
        Ok(AgentOf::UserGone) => Seen::Unknown("the API does not know the user".to_owned()),
        Ok(AgentOf::Nobody) if employee.is_active() == Some(false) => Seen::Bad {
            detail: "neither part names an agent of this inactive employee".to_owned(),
            remedy: "if the employee was an agent before, its contacts would not be found: report this row to us".to_owned(),
        },
        Ok(AgentOf::Nobody) => Seen::Unknown("the user is no agent".to_owned()),
        Ok(AgentOf::Number(_)) if employee.is_active() == Some(true) => {
            Seen::Unknown("the user is active, and its agent is readable".to_owned())
        }
        Ok(AgentOf::Number(_)) => Seen::Fact("still readable".to_owned()),
    }
}

fn window_seen(read: &Result<Window, ApiError>, days: i64) -> Seen {
    match read {
        Ok(Window::Rows { total, .. }) => Seen::Good(format!(
            "{days} days are accepted; {total} contacts are in the last"
        )),
        Ok(Window::Refused(status)) => Seen::Bad {
            detail: format!("a window of {days} days is refused: {status}"),
            remedy: "set OFFBOARDER_CXONE_WINDOW to fewer days, e.g. 7d".to_owned(),
        },
        Err(error) => Seen::Failed(error.clone().into()),
    }
}

fn reach_seen(read: &Result<Window, ApiError>) -> Seen {
    match read {
        Ok(Window::Rows { total, .. }) => Seen::Fact(format!("accepted; {total} are given")),
        Ok(Window::Refused(status)) => Seen::Bad {
            detail: format!("refused: {status}"),
            remedy: "set OFFBOARDER_CXONE_HISTORY to as far back as the tenant gives contacts"
                .to_owned(),
        },
        Err(error) => Seen::Failed(error.clone().into()),
    }
}

/// The contacts of the first list whose rows name some.
fn ids_in(reply: &Reply) -> Option<BTreeSet<String>> {
    let ids_of = |rows: &Vec<Value>| -> Option<BTreeSet<String>> {
        let ids = rows.iter().map(|row| match row.get("contactId")? {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        });
        ids.collect()
    };
    match (reply.status(), serde_json::from_slice::<Value>(&reply.body)) {
        (204, _) => Some(BTreeSet::new()),
        (200, Ok(Value::Array(rows))) => ids_of(&rows),
        (200, Ok(Value::Object(members))) => members
            .values()
            .filter_map(Value::as_array)
            .find_map(ids_of),
        _ => None,
    }
}

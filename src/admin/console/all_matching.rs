//! Acts on all users of a batch who match the filters, not only on those of one page. The form carries the set as it was when somebody
//! looked; if others match since, nothing is done.

use std::collections::{BTreeSet, HashSet};

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::json;
use url::form_urlencoded;

use super::act::{Act, Confirm, link};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::replay_or_discard::REPLAY;
use super::{holding, parts};
use crate::admin::api::batch_matching::{MATCHING_AT_MOST, matching};
use crate::admin::api::{Api, holds};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::{BatchId, UserId};
use crate::people::Permission;

pub(super) const HOLD: &str = "/batches/{batch}/hold";
/// The parameter of a replay that has the filters of users.
const FILTERS: &str = "matching";
/// From this number of users on, the number has to be typed.
const TYPED_FROM: usize = 10;

/// The ways to the acts, below the users of a page. `all` is how many match, if the page has all of them.
pub(super) fn ways(caller: &Caller, batch: &BatchId, asked: &Asked, all: Option<usize>) -> Markup {
    let hold = asked.at(&format!("/batches/{batch}/hold"));
    let filters: String =
        form_urlencoded::byte_serialize(format!("?{}", asked.filters()).as_bytes()).collect();
    let replay = format!("{REPLAY}?batch={batch}&{FILTERS}={filters}");
    let who = all.map_or_else(
        || "all that match".to_owned(),
        |all| format!("all {} that match", parts::number(all as u64)),
    );
    html! {
        p {
            "Instead of ticks, also those on other pages: "
            (link(caller, Permission::Hold, &hold, &format!("Put {who} on hold"))) " · "
            (link(caller, Permission::Replay, &replay, &format!("Replay {who}")))
        }
    }
}

/// The users whom the filters of users of a replay mean, of those who have a dead letter; `None` if the replay has no such filters.
pub(super) async fn to_replay(
    api: &Api,
    asked: &Asked,
) -> Result<Option<HashSet<UserId>>, Problem> {
    // It begins with a question mark, since a parameter that is empty counts as missing.
    let Some(filters) = asked.get(FILTERS).strip_prefix('?') else {
        return Ok(None);
    };
    let batch: BatchId = asked.get("batch").parse().map_err(Problem::bad_request)?;
    let filters = Asked::of("", filters);
    let found = matching(api, &batch, filters.read(&[])?, true).await?;
    let found = found.ok_or_else(too_many)?;
    Ok(Some(found.into_iter().collect()))
}

/// The parameters that are not those of dead letters.
pub(super) const NOT_OF_DEAD_LETTERS: [(&str, &str); 1] = [(FILTERS, "")];

fn too_many() -> Problem {
    let most = parts::number(MATCHING_AT_MOST as u64);
    let detail =
        format!("more than {most} users match; filter more, and do it in parts. Nothing was done");
    Problem::new(StatusCode::CONFLICT, "too_large", detail)
}

/// Those who match now, or as they were when somebody looked.
struct Frozen {
    batch: BatchId,
    users: BTreeSet<UserId>,
    /// When they were read, as it is shown.
    at: Markup,
    /// That in words, for the form.
    at_text: String,
}

impl Frozen {
    async fn now(api: &Api, batch: &BatchId, asked: &Asked) -> Result<Self, Problem> {
        let at = api.now();
        let found = matching(api, batch, asked.read(&[("cursor", "")])?, false).await?;
        Ok(Self {
            batch: batch.clone(),
            users: found.ok_or_else(too_many)?,
            at: parts::time(at),
            at_text: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        })
    }

    /// What the form carried.
    fn seen(batch: &BatchId, given: &Given) -> Result<Self, Problem> {
        let users: Result<BTreeSet<UserId>, _> =
            given.words("set").into_iter().map(str::parse).collect();
        let at = given.get("seen").to_owned();
        Ok(Self {
            batch: batch.clone(),
            users: users.map_err(|error| Problem::bad_request(error.to_string()))?,
            at: html! { (at) },
            at_text: at,
        })
    }

    fn act(&self, asked: &Asked, still: bool) -> Act {
        let ids: Vec<String> = self.users.iter().map(ToString::to_string).collect();
        let count = parts::count(self.users.len() as u64, "user");
        let confirm = (self.users.len() >= TYPED_FROM).then(|| Confirm {
            label: format!("Type {} to confirm", self.users.len()),
        });
        Act {
            title: format!("Put users of batch {} on hold", self.batch),
            menu: Menu::Batches,
            path: asked.at(&format!("/batches/{}/hold", self.batch)),
            permission: Permission::Hold,
            button: if still {
                "Put those that you saw on hold"
            } else {
                "Put on hold"
            },
            explanation: html! {
                p.answer { "You are about to put " strong { (count) } " on hold, as of " (self.at) "." }
                p { "Users on hold are deactivated and archived, never deleted. Workers read the holds right before each deletion." }
            },
            fields: html! {
                input type="hidden" name="set" value=(ids.join(" "));
                input type="hidden" name="seen" value=(self.at_text);
                @if still { input type="hidden" name="still" value="true"; }
            },
            confirm,
        }
    }

    fn page(
        &self,
        caller: &Caller,
        asked: &Asked,
        given: &Given,
        refused: Option<&Problem>,
    ) -> Page {
        if self.users.is_empty() {
            let body = html! {
                h1 { "Put users of batch " (self.batch) " on hold" }
                p.answer { "Nobody matches." }
                p { a href={ "/batches/" (self.batch) "/users" } { "Users of the batch" } }
            };
            return Page::new("Nobody matches", Menu::Batches, body);
        }
        self.act(asked, given.get("still") == "true")
            .page(caller, given, refused)
    }

    /// The form again, since others match by now.
    fn grown(&self, caller: &Caller, asked: &Asked, given: &Given, came: usize) -> Page {
        let act = self.act(asked, true);
        let body = html! {
            p.fault role="alert" { "Since you looked, " (parts::number(came as u64)) " more came. Nothing was done." }
            p { a href=(act.path) { "Look again" } }
            (act.page(caller, given, None).body)
        };
        Page {
            status: StatusCode::CONFLICT,
            ..Page::new(act.title, Menu::Batches, body)
        }
    }
}

pub(super) async fn hold_form(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    asked: Asked,
) -> Result<Page, Problem> {
    let frozen = Frozen::now(&api, &batch, &asked).await?;
    Ok(frozen.page(&caller, &asked, &Given::default(), None))
}

pub(super) async fn hold(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    asked: Asked,
    given: Given,
) -> Result<Page, Problem> {
    caller.demand(Permission::Hold)?;
    let seen = Frozen::seen(&batch, &given)?;
    if seen.users.is_empty() || seen.users.len() > MATCHING_AT_MOST {
        return Err(Problem::bad_request("the form has no users; look again"));
    }
    if given.get("still") != "true" {
        let now = Frozen::now(&api, &batch, &asked).await?;
        let came = now.users.difference(&seen.users).count();
        if came > 0 {
            return Ok(seen.grown(&caller, &asked, &given, came));
        }
    }
    let change = async {
        if seen.users.len() >= TYPED_FROM {
            given.confirm(&seen.users.len().to_string(), "The number of users")?;
        }
        let signed = given.order(&caller, json!({}))?;
        let users = seen.users.iter().copied().collect();
        holds::add_all(api, &caller, users, signed).await
    };
    match change.await {
        Ok(changed) => Ok(holding::changed_page("Put users on hold", &changed, false)),
        Err(problem) => Ok(seen.page(&caller, &asked, &given, Some(&problem))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;

    fn local() -> Caller {
        Caller::token(SignIn::Loopback, false)
    }

    fn batch() -> BatchId {
        "b-1".parse().unwrap()
    }

    fn given(users: usize) -> Given {
        let ids: Vec<String> = (0..users)
            .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
            .collect();
        Given::of(&[("set", &ids.join(" ")), ("seen", "03:12:07 UTC")])
    }

    #[test]
    fn the_ways_keep_the_filters_and_say_how_many_only_if_that_is_known() {
        let asked = Asked::of("/batches/b-1/users", "state=Archived&q=3f&cursor=x");
        let text = ways(&local(), &batch(), &asked, None).into_string();
        for expected in [
            "/batches/b-1/hold?state=Archived&amp;q=3f\"",
            "matching=%3Fstate%3DArchived%26q%3D3f\"",
            "Put all that match on hold",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let text = ways(&local(), &batch(), &asked, Some(1_204)).into_string();
        assert!(text.contains("Replay all 1,204 that match"), "{text}");
    }

    #[test]
    fn the_form_carries_the_set_and_its_moment_and_from_ten_users_on_the_number_is_typed() {
        let asked = Asked::of("/batches/b-1/hold", "state=Archived");
        let page = |users| {
            let given = given(users);
            let seen = Frozen::seen(&batch(), &given).unwrap();
            seen.page(&local(), &asked, &given, None).body.into_string()
        };
        let text = page(9);
        assert!(
            text.contains("9 users</strong> on hold, as of 03:12:07 UTC"),
            "{text}"
        );
        assert!(
            text.contains("action=\"/batches/b-1/hold?state=Archived\""),
            "{text}"
        );
        assert!(
            text.contains("000000000008\"") && !text.contains("Type 9"),
            "{text}"
        );
        assert!(page(10).contains("Type 10 to confirm"));
        assert!(page(0).contains("Nobody matches."));
    }

    #[test]
    fn a_set_that_grew_is_refused_and_the_set_that_was_seen_is_offered() {
        let asked = Asked::of("/batches/b-1/hold", "");
        let given = given(2);
        let seen = Frozen::seen(&batch(), &given).unwrap();
        let page = seen.grown(&local(), &asked, &given, 3);
        assert_eq!(page.status, StatusCode::CONFLICT);
        let text = page.body.into_string();
        for expected in [
            "3 more came. Nothing was done.",
            "name=\"still\"",
            "2 users</strong>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}

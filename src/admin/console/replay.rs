//! The page of a replay or a discard that is to begin: what is in the set, and whether it is still the same when somebody confirms it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, Confirm};
use super::all_matching::{NOT_OF_DEAD_LETTERS, to_replay};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::parts;
use super::replay_or_discard::What;
use crate::admin::api::begun::Begun;
use crate::admin::api::{Api, operations};
use crate::admin::caller::Caller;
use crate::admin::picked::Picked;
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::job::UserId;
use crate::operations::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterId, Skipped};
use crate::operations::operation::OperationView;

/// A page carries the IDs of its set.
const AT_ONCE: usize = 1000;
/// From this number of users on, the number has to be typed.
const TYPED_FROM: usize = 10;

/// What would be replayed or discarded now.
struct Set {
    what: What,
    at: Timestamp,
    dead_letters: Vec<DeadLetter>,
    skipped: Vec<Skipped>,
    /// The operation that was begun last.
    newest: Option<OperationView>,
}

impl Set {
    async fn look(what: What, api: &Api, caller: &Caller, asked: &Asked) -> Result<Self, Problem> {
        let mut filter: DeadLetterFilter = asked.read(&NOT_OF_DEAD_LETTERS)?;
        if let Some(users) = to_replay(api, asked).await? {
            if users.is_empty() {
                return Ok(Self::empty(what, api.now()));
            }
            filter.user = users;
        }
        let looks = Given::of(&[("why", "to look"), ("who", "to look")]);
        let order = Picked {
            filter: filter.or_limit(AT_ONCE),
            rest: looks.order(caller, what.members(json!({ "dryRun": true })))?,
        };
        let at = api.now();
        let preview = match operations::frozen(api.clone(), caller.clone(), order).await? {
            Begun::Preview(preview) => preview,
            Begun::Operation(_) => return Err(Problem::panicked()),
        };
        let newest = Asked::of("", "limit=1").read(&[])?;
        let newest = operations::list(State(api.clone()), Query(newest)).await?;
        Ok(Self {
            what,
            at,
            dead_letters: preview.letters,
            skipped: preview.skipped,
            newest: newest.0.operations.into_iter().next(),
        })
    }

    /// Nobody is meant; a filter without users would mean all dead letters.
    const fn empty(what: What, at: Timestamp) -> Self {
        Self {
            what,
            at,
            dead_letters: Vec::new(),
            skipped: Vec::new(),
            newest: None,
        }
    }

    fn newest_id(&self) -> String {
        self.newest
            .as_ref()
            .map_or_else(|| "none".to_owned(), |newest| newest.id.to_string())
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.dead_letters
            .iter()
            .map(|one| one.id.as_str())
            .collect()
    }

    /// Without what came since somebody looked.
    fn only(mut self, seen: &BTreeSet<&str>) -> Self {
        self.dead_letters
            .retain(|one| seen.contains(one.id.as_str()));
        self
    }

    /// How many people a slip would reach. A message that names nobody counts as one.
    fn users(&self) -> usize {
        let named: HashSet<UserId> = self
            .dead_letters
            .iter()
            .filter_map(|one| one.user_id)
            .collect();
        let nameless = self
            .dead_letters
            .iter()
            .filter(|one| one.user_id.is_none())
            .count();
        named.len() + nameless
    }

    /// What has to be typed; a discard loses messages, and cannot be undone.
    fn typed(&self) -> Option<usize> {
        match self.what {
            What::Replay => Some(self.users()).filter(|users| *users >= TYPED_FROM),
            What::Discard => Some(self.dead_letters.len()),
        }
    }

    fn act(&self, asked: &Asked, given: &Given, is_moved: bool) -> Act {
        let messages = parts::count(self.dead_letters.len() as u64, "dead letter");
        let users = parts::count(self.users() as u64, "user");
        let confirm = self.typed().map(|typed| Confirm {
            label: format!("Type {typed} to confirm"),
        });
        let ids: Vec<&str> = self.ids().into_iter().collect();
        let rate = given.or("rate", "5/s");
        Act {
            title: self.what.title().to_owned(),
            menu: Menu::DeadLetters,
            path: asked.at(self.what.path()),
            permission: self.what.permission(),
            button: self.what.button(is_moved),
            explanation: html! {
                p.answer { "You are about to " (self.what.verb()) " " strong { (messages) " of " (users) } ", as of " (parts::time(self.at)) "." }
                @if self.dead_letters.len() >= AT_ONCE { p { "At most " (parts::number(AT_ONCE as u64)) " at a time: there may be more." } }
                p { (self.what.explanation()) }
                (self.left_out())
            },
            fields: html! {
                input type="hidden" name="set" value=(ids.join(" "));
                input type="hidden" name="seen" value=(self.newest_id());
                @if is_moved { input type="hidden" name="still" value="true"; }
                div { label for="rate" { "At most, e.g. 5/s or 30/m" } input #rate name="rate" value=(rate) maxlength="6" required; }
            },
            confirm,
        }
    }

    fn left_out(&self) -> Markup {
        let mut whys: BTreeMap<&str, u64> = BTreeMap::new();
        for skipped in &self.skipped {
            *whys.entry(&skipped.why).or_default() += 1;
        }
        html! {
            @if !whys.is_empty() {
                p { "Left out, and left in the queue:" }
                ul { @for (why, count) in &whys { li { (parts::number(*count)) ": " (why) } } }
            }
        }
    }

    fn page(
        &self,
        caller: &Caller,
        asked: &Asked,
        given: &Given,
        refused: Option<&Problem>,
    ) -> Page {
        if self.dead_letters.is_empty() {
            let body = html! {
                h1 { (self.what.title()) }
                p.answer {
                    @match self.what {
                        What::Replay => "Nothing to replay: no dead letter that matches is safe to replay now.",
                        What::Discard => "Nothing to discard: no dead letter matches.",
                    }
                }
                (self.left_out())
                p { a href="/dead-letters" { "Dead letters" } }
            };
            return Page::new(self.what.title(), Menu::DeadLetters, body);
        }
        self.act(asked, given, given.get("still") == "true")
            .page(caller, given, refused)
    }
}

pub(super) async fn form(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
) -> Result<Page, Problem> {
    show(What::Replay, &api, &caller, &asked).await
}

pub(super) async fn discard_form(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
) -> Result<Page, Problem> {
    show(What::Discard, &api, &caller, &asked).await
}

async fn show(what: What, api: &Api, caller: &Caller, asked: &Asked) -> Result<Page, Problem> {
    let set = Set::look(what, api, caller, asked).await?;
    Ok(set.page(caller, asked, &Given::default(), None))
}

/// What changed since somebody looked, in words; `None` if nothing did.
fn moved(set: &Set, seen: &BTreeSet<&str>, given: &Given) -> Option<String> {
    let now = set.ids();
    let came = now.difference(seen).count();
    let gone = seen.difference(&now).count();
    let mut changes = Vec::new();
    // Who confirms those that were seen knows that others came.
    if came > 0 && given.get("still") != "true" {
        changes.push(format!("{came} more came"));
    }
    if gone > 0 {
        let not = match set.what {
            What::Replay => ", or not safe to replay any more",
            What::Discard => "",
        };
        changes.push(format!("{gone} are gone{not}"));
    }
    if let Some(newest) = &set.newest
        && given.get("seen") != set.newest_id()
    {
        changes.push(format!(
            "{} began an operation at {:.0}",
            newest.who, newest.at
        ));
    }
    (!changes.is_empty()).then(|| {
        format!(
            "Since you looked, {}. Nothing was done.",
            changes.join(", ")
        )
    })
}

pub(super) async fn begin(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
    given: Given,
) -> Result<Response, Problem> {
    order(What::Replay, api, caller, asked, given).await
}

pub(super) async fn discard(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
    given: Given,
) -> Result<Response, Problem> {
    order(What::Discard, api, caller, asked, given).await
}

async fn order(
    what: What,
    api: Api,
    caller: Caller,
    asked: Asked,
    given: Given,
) -> Result<Response, Problem> {
    let seen: BTreeSet<&str> = given.words("set").into_iter().collect();
    let set = Set::look(what, &api, &caller, &asked).await?;
    if let Some(text) = moved(&set, &seen, &given) {
        let again = asked.at(what.path());
        return Ok(
            moved_page(&set.only(&seen), &caller, &asked, &given, &text, &again).into_response(),
        );
    }
    let set = set.only(&seen);
    let ids: Result<HashSet<DeadLetterId>, _> = seen.iter().map(|id| id.parse()).collect();
    let order = async {
        if let Some(typed) = set.typed() {
            given.confirm(&typed.to_string(), "The number in the set")?;
        }
        let filter = DeadLetterFilter {
            letter: ids.map_err(Problem::bad_request)?,
            // The audit log then names the batch, and its page has the replay.
            batch: match asked.get("batch") {
                "" => None,
                batch => Some(batch.parse().map_err(Problem::bad_request)?),
            },
            ..DeadLetterFilter::default()
        };
        let members = what.members(json!({ "rate": given.get("rate") }));
        let rest = given.order(&caller, members)?;
        operations::frozen(api.clone(), caller.clone(), Picked { filter, rest }).await
    };
    match order.await {
        Ok(Begun::Operation(begun)) => {
            Ok(Redirect::to(&format!("/operations/{}", begun.id)).into_response())
        }
        Ok(Begun::Preview(_)) => Err(Problem::panicked()),
        Err(problem) => Ok(set
            .page(&caller, &asked, &given, Some(&problem))
            .into_response()),
    }
}

fn moved_page(
    set: &Set,
    caller: &Caller,
    asked: &Asked,
    given: &Given,
    text: &str,
    again: &str,
) -> Page {
    let shown = if set.dead_letters.is_empty() {
        html! {}
    } else {
        set.act(asked, given, true).page(caller, given, None).body
    };
    let body = html! {
        p.fault role="alert" { (text) }
        p { a href=(again) { "Look again" } }
        (shown)
    };
    Page {
        status: StatusCode::CONFLICT,
        ..Page::new(set.what.title(), Menu::DeadLetters, body)
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;

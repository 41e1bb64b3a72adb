//! What people decide about a plan, by forms.

use std::str::FromStr;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, Confirm, done};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::{parts, words};
use crate::admin::api::{Api, plan_decisions, plans};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Query};
use crate::guards::approval::PlanKind;
use crate::job::PlanName;
use crate::operations::plans::{PlanState, StoredPlan};
use crate::people::{Permission, Role};

/// `{change}` is one of [`PlanChange`].
pub(super) const PATH: &str = "/plans/{plan}/{change}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlanChange {
    Approve,
    Reject,
    Revoke,
    Withdraw,
    Apply,
}

impl PlanChange {
    pub(super) const ALL: [Self; 5] = [
        Self::Approve,
        Self::Reject,
        Self::Revoke,
        Self::Withdraw,
        Self::Apply,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Revoke => "revoke",
            Self::Withdraw => "withdraw",
            Self::Apply => "apply",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Approve => "Approve exactly this",
            Self::Reject => "Reject",
            Self::Revoke => "Revoke the approval",
            Self::Withdraw => "Withdraw",
            Self::Apply => "Send the users",
        }
    }

    pub(super) const fn permission(self) -> Permission {
        match self {
            Self::Approve | Self::Reject | Self::Revoke => Permission::Approve,
            Self::Withdraw | Self::Apply => Permission::Submit,
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Approve => {
                "Workers may delete exactly the users that this plan names. One who changed since waits, and is not deleted."
            }
            Self::Reject => {
                "Nobody is deleted by this plan, for good. Access is removed all the same."
            }
            Self::Revoke => "Deletions that were not sent yet stop within a minute, for good.",
            Self::Withdraw => "The plan is given up, for good. Nobody else is deleted by it.",
            Self::Apply => {
                "The users lose their access now, without an approval. Their deletions wait until the plan is approved."
            }
        }
    }

    /// What is said after a decision.
    const fn done(self) -> &'static str {
        match self {
            Self::Approve => "Your approval is stored.",
            Self::Reject => "Rejected.",
            Self::Revoke => "Revoked. Deletions that were not sent yet stop within a minute.",
            Self::Withdraw => "Withdrawn.",
            Self::Apply => "Sent.",
        }
    }

    pub(super) fn path(self, plan: &PlanName) -> String {
        format!("/plans/{plan}/{}", self.word())
    }

    /// Whether it is offered for a plan of this state.
    pub(super) const fn fits(self, state: PlanState, kind: PlanKind) -> bool {
        let is_open = matches!(state, PlanState::Waiting | PlanState::Approved);
        match self {
            Self::Approve | Self::Reject => matches!(state, PlanState::Waiting),
            Self::Revoke => matches!(state, PlanState::Approved),
            Self::Withdraw => is_open,
            Self::Apply => is_open && matches!(kind, PlanKind::Users),
        }
    }
}

impl FromStr for PlanChange {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let known = Self::ALL.into_iter().find(|change| change.word() == text);
        known.ok_or_else(|| Problem::not_found("not_found", "this page does not exist"))
    }
}

/// A change of a plan as it is stored now.
struct Asking {
    change: PlanChange,
    plan: StoredPlan,
}

impl Asking {
    async fn read(api: &Api, path: &[String; 2]) -> Result<Self, Problem> {
        let [name, change] = path;
        let change = change.parse()?;
        let name: PlanName = name
            .parse()
            .map_err(|why| Problem::bad_request(format!("the path: {why}")))?;
        let wanted = Asked::of("", "limit=1").read(&[])?;
        let Json(shown) = plans::show(State(api.clone()), At(name), Query(wanted)).await?;
        Ok(Self {
            change,
            plan: shown.plan,
        })
    }

    fn act(&self, caller: &Caller) -> Act {
        let said = self.plan.said.as_ref();
        let [deletions, users] =
            said.map_or([0, 0], |said| [said.totals.delete, said.totals.users]);
        let typed = match self.change {
            PlanChange::Approve => Some(format!("Type the number of deletions, {deletions}")),
            PlanChange::Apply => Some(format!("Type the number of users, {users}")),
            PlanChange::Reject | PlanChange::Revoke | PlanChange::Withdraw => None,
        };
        Act {
            title: format!(
                "{}: plan {:.16}",
                self.change.label(),
                self.plan.digest.to_string()
            ),
            menu: Menu::Plans,
            path: self.change.path(&self.plan.digest),
            permission: self.change.permission(),
            button: self.change.label(),
            explanation: html! {
                p.answer { (parts::count(users, "user")) ", " (parts::count(deletions, "deletion")) "." }
                p { (self.change.explanation()) }
                p { a href={ "/plans/" (self.plan.digest) } { "The plan" } }
            },
            fields: self.emergency(caller),
            confirm: typed.map(|label| Confirm { label }),
        }
    }

    /// The field for the second key of an admin. What is typed there is never shown again.
    fn emergency(&self, caller: &Caller) -> Markup {
        let is_offered = self.change == PlanChange::Approve && caller.role == Role::Admin;
        html! {
            @if is_offered {
                details {
                    summary { "In an emergency, alone" }
                    div { label for="glass" { "Your second key; an alert and each manifest will say so" } input #glass type="password" name="glass" autocomplete="off"; }
                }
            }
        }
    }

    /// Does it; what there is to say afterwards.
    async fn decide(&self, api: Api, caller: &Caller, given: &Given) -> Result<Markup, Problem> {
        caller.demand(self.change.permission())?;
        let name = At(self.plan.digest.clone());
        let signing = Extension(caller.clone());
        let api = State(api);
        let Json(plan) = match self.change {
            PlanChange::Approve => {
                let typed = given.get("confirm").replace(',', "");
                let count: u64 = typed.parse().map_err(|_typed| {
                    Problem::bad_request("Type the number of deletions; nothing was done.")
                })?;
                let second_key = Some(given.get("glass")).filter(|key| !key.is_empty());
                let members = json!({ "count": count, "breakGlassKey": second_key });
                let order = Body(given.order(caller, members)?);
                plan_decisions::approve(api, signing, name, order).await?
            }
            PlanChange::Reject => {
                let order = Body(given.order(caller, json!({}))?);
                plan_decisions::reject(api, signing, name, order).await?
            }
            PlanChange::Revoke => {
                let order = Body(given.order(caller, json!({}))?);
                plan_decisions::revoke(api, signing, name, order).await?
            }
            PlanChange::Withdraw => {
                let order = Body(given.order(caller, json!({}))?);
                plan_decisions::withdraw(api, signing, name, order).await?
            }
            PlanChange::Apply => {
                let said = self.plan.said.as_ref();
                let users = said.map_or(0, |said| said.totals.users);
                given.confirm(&users.to_string(), "The number of users")?;
                let order = Body(given.order(caller, json!({}))?);
                let sent = plan_decisions::apply(api, signing, name, order)
                    .await?
                    .0
                    .sent;
                return Ok(
                    html! { p.answer { (self.change.done()) " " (parts::count(sent, "user")) @if sent == 1 { " is" } @else { " are" } " in the queue." } },
                );
            }
        };
        Ok(html! {
            p.answer { (self.change.done()) }
            p { "The plan: " (words::plan(plan.state)) "." @if let Some(why) = &plan.why_not { " " bdi { (why) } } }
        })
    }
}

pub(super) async fn form(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<[String; 2]>,
) -> Result<Page, Problem> {
    let asking = Asking::read(&api, &path).await?;
    Ok(asking.act(&caller).page(&caller, &Given::default(), None))
}

pub(super) async fn decide(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<[String; 2]>,
    given: Given,
) -> Result<Page, Problem> {
    let asking = Asking::read(&api, &path).await?;
    let act = asking.act(&caller);
    let body = match asking.decide(api, &caller, &given).await {
        Ok(body) => body,
        Err(problem) => return Ok(act.page(&caller, &given, Some(&problem))),
    };
    let plan = format!("/plans/{}", asking.plan.digest);
    Ok(done(&act.title, act.menu, &body, [&plan, "The plan"]))
}

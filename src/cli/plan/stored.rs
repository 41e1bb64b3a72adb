//! `plan list`, `show`, `diff`, `approve` and the others: plans that are stored.

use serde_json::json;

use super::desk::Office;
use super::each::plan_again;
use super::rule;
use super::shown::{NAMED_USERS, facts, list_rows, short, user_rows};
use crate::cli::columns;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{
    ActArgs, Output, OutputArgs, ask, is_on_terminal, json as print_json, say, table,
};
use crate::config::{Settings, Sources, TenantSettings};
use crate::guards::approval::{PlanAct, PlanActs, PlanKind, Stored};
use crate::job::PlanName;
use crate::operations::plans::{
    Decision, Difference, PlanState, Signatory, StoredPlan, differences,
};
use crate::people::Permission;

/// How many plans are listed, if the command does not say.
const LISTED: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Lists stored plans, the newest first
    #[command(
        alias = "ls",
        after_help = "Examples:\n  offboarder plan list\n  offboarder plan list --state waiting --output json"
    )]
    List {
        /// Only plans in this state: waiting, approved, expired, rejected, revoked, withdrawn, stale or altered
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<PlanState>,
        /// Maximum number of plans
        #[arg(long, value_name = "N", default_value_t = LISTED)]
        limit: usize,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Shows a stored plan, what people decided about it, and its users
    #[command(after_help = "Example:\n  offboarder plan show 9f86d081884c7d65")]
    Show {
        #[command(flatten)]
        digest: Digest,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Compares a stored plan with another one, or with what is so now
    ///
    /// With one digest, the users of the plan are read again, and nothing is changed; the reads count against the quota
    /// that the workers share. The exit status is 1 if there is a difference.
    #[command(after_help = "Examples:
  offboarder plan diff 9f86d081884c7d65
  offboarder plan diff 9f86d081884c7d65 4e07408562bedb8b")]
    Diff {
        #[command(flatten)]
        digest: Digest,
        /// Digest of the plan to compare with
        #[arg(value_name = "DIGEST")]
        other: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Approves the deletions of a plan; needs the role approver or admin, and is refused to the person who made it
    #[command(
        after_help = "Example:\n  offboarder plan approve 9f86d081884c7d65 --count 9812 --why 'HR confirms the list'"
    )]
    Approve {
        #[command(flatten)]
        digest: Digest,
        /// Number of deletions that the plan shows
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// In an emergency: approve as an admin alone, with `OFFBOARDER_BREAK_GLASS_KEY`; manifests and reports say so
        #[arg(long)]
        break_glass: bool,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Forbids a plan, for good
    #[command(
        after_help = "Example:\n  offboarder plan reject 9f86d081884c7d65 --why 'the wrong list'"
    )]
    Reject(DecisionArgs),
    /// Takes all approvals of a plan back, for good; deletions that were not sent yet stop within a minute
    #[command(
        after_help = "Example:\n  offboarder plan revoke 9f86d081884c7d65 --why 'the wrong list'"
    )]
    Revoke(DecisionArgs),
    /// Gives a plan up; only the person who made it, or an admin, may do so
    #[command(
        after_help = "Example:\n  offboarder plan withdraw 9f86d081884c7d65 --why 'not needed'"
    )]
    Withdraw(DecisionArgs),
    /// Asks for a weaker rule of approvals: the one in the settings of this command
    ///
    /// Workers keep the strictest rule that they ever found in the archive store, until a plan like this one is approved
    /// under it, and put in force with --apply.
    #[command(after_help = "Examples:
  OFFBOARDER_GUARD_APPROVAL=deletions:100 offboarder plan rule --why 'the teams are larger now'
  offboarder plan rule --apply 9f86d081884c7d65 --why 'bob approved it'")]
    Rule {
        /// Put the rule of this approved plan in force
        #[arg(long, value_name = "DIGEST")]
        apply: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Digest {
    /// Digest of the plan, or at least 8 characters that it begins with
    #[arg(value_name = "DIGEST")]
    digest: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct DecisionArgs {
    #[command(flatten)]
    digest: Digest,
    #[command(flatten)]
    act: ActArgs,
}

fn state(text: &str) -> Result<PlanState, &'static str> {
    let known = PlanState::ALL
        .into_iter()
        .find(|state| state.as_str() == text);
    known.ok_or("waiting, approved, expired, rejected, revoked, withdrawn, stale or altered")
}

pub(super) async fn run(verb: &Verb, sources: &Sources) -> Result<Exit, CliError> {
    match verb {
        Verb::List {
            state,
            limit,
            output,
        } => list(&opened(sources).await?, *state, *limit, output.output).await,
        Verb::Show { digest, output } => {
            show(&opened(sources).await?, &digest.digest, output.output).await
        }
        Verb::Diff {
            digest,
            other: Some(other),
            output,
        } => {
            let office = opened(sources).await?;
            diff(&office, &digest.digest, other, output.output).await
        }
        Verb::Diff {
            digest,
            other: None,
            output,
        } => {
            let settings = TenantSettings::read(sources)?;
            now(&settings, &digest.digest, output.output).await
        }
        Verb::Approve {
            digest,
            count,
            break_glass,
            act,
        } => {
            let office = opened(sources).await?;
            approve(&office, (&digest.digest, *count, *break_glass), act).await
        }
        Verb::Reject(args) => decide(sources, Decision::Reject, args).await,
        Verb::Revoke(args) => decide(sources, Decision::Revoke, args).await,
        Verb::Withdraw(args) => decide(sources, Decision::Withdraw, args).await,
        Verb::Rule {
            apply: Some(digest),
            act,
        } => rule::apply(&opened(sources).await?, digest, act).await,
        Verb::Rule { apply: None, act } => rule::ask(&TenantSettings::read(sources)?, act).await,
    }
}

async fn opened(sources: &Sources) -> Result<Office, CliError> {
    Office::open(&Settings::read(sources)?).await
}

async fn list(
    office: &Office,
    state: Option<PlanState>,
    limit: usize,
    output: Output,
) -> Result<Exit, CliError> {
    let wanted = |plan: &StoredPlan| state.is_none_or(|state| plan.state == state);
    let (plans, more) = office.desk().list(limit, wanted).await?;
    if output == Output::Json {
        print_json(&json!({ "plans": plans, "more": more }))?;
        return Ok(Exit::Ok);
    }
    if plans.is_empty() {
        say("no stored plan matches; `offboarder plan --save` makes one");
        return Ok(Exit::Ok);
    }
    say(table(columns::PLANS, plans.iter().map(list_rows)));
    if more {
        say(format!("only the newest {limit} are shown: --limit N"));
    }
    Ok(Exit::Ok)
}

async fn show(office: &Office, digest: &str, output: Output) -> Result<Exit, CliError> {
    let desk = office.desk();
    let now = desk.open(&desk.find(digest).await?).await?;
    let view = desk.view(&now);
    let users = desk.users(&now.plan).await?;
    if output == Output::Json {
        print_json(&json!({ "plan": view, "acts": acts(&now.acts), "users": users }))?;
        return Ok(Exit::Ok);
    }
    for fact in facts(&view) {
        say(fact);
    }
    if view
        .said
        .as_ref()
        .is_some_and(|said| said.kind == PlanKind::Users)
    {
        say("");
        say(table(
            columns::PLANNED,
            users.iter().take(NAMED_USERS).map(user_rows),
        ));
        let left = users.len().saturating_sub(NAMED_USERS);
        if left > 0 {
            say(format!("and {left} more: --output json shows all"));
        }
    }
    Ok(Exit::Ok)
}

fn acts(acts: &PlanActs) -> serde_json::Value {
    let all = |acts: &[Stored<PlanAct>]| -> Vec<_> {
        acts.iter()
            .map(|act| json!({ "storedAt": act.at, "act": act.value }))
            .collect()
    };
    json!({
        "approvals": all(&acts.approvals),
        "rejections": all(&acts.rejections),
        "revocations": all(&acts.revocations),
        "withdrawn": all(acts.withdrawn.as_slice()),
        "applied": all(acts.applied.as_slice()),
        "moved": acts.moved,
    })
}

async fn diff(
    office: &Office,
    before: &str,
    after: &str,
    output: Output,
) -> Result<Exit, CliError> {
    let desk = office.desk();
    let before = desk.open(&desk.find(before).await?).await?;
    let after = desk.open(&desk.find(after).await?).await?;
    let before = desk.users(&before.plan).await?;
    let found = differences(before, desk.users(&after.plan).await?);
    compared(&found, output)
}

/// Reads the users of a plan again, and compares.
async fn now(settings: &TenantSettings, digest: &str, output: Output) -> Result<Exit, CliError> {
    let office = Office::open(&settings.base).await?;
    let desk = office.desk();
    let before = desk.open(&desk.find(digest).await?).await?;
    let before = desk.users(&before.plan).await?;
    let after = plan_again(settings, &before).await?;
    compared(&differences(before, after), output)
}

fn compared(found: &[Difference], output: Output) -> Result<Exit, CliError> {
    if output == Output::Json {
        print_json(&json!({ "differences": found }))?;
    } else if found.is_empty() {
        say("no difference");
    } else {
        let rows = found
            .iter()
            .map(|one| [one.user_id.to_string(), one.text.clone()]);
        say(table(columns::PLAN_DIFFERENCES, rows));
    }
    Ok(if found.is_empty() {
        Exit::Ok
    } else {
        Exit::Bad
    })
}

async fn approve(
    office: &Office,
    (digest, count, break_glass): (&str, Option<u64>, bool),
    act: &ActArgs,
) -> Result<Exit, CliError> {
    let name = office.desk().find(digest).await?;
    let view = office.desk().show(&name).await?;
    facts(&view).into_iter().for_each(say);
    let count = match count {
        Some(count) => count,
        None if is_on_terminal() => {
            let typed = ask("Type the number of deletions to approve exactly this plan: ")?;
            typed.parse().map_err(|_odd| {
                CliError::bad("nothing was approved: that is not the number of deletions")
            })?
        }
        None => {
            return Err(CliError::usage(
                "say how many deletions you approve: --count N, as `offboarder plan show` says",
            ));
        }
    };
    act.ask_why()?;
    let by = office.signatory(Permission::Approve, |acting| act.operator(acting))?;
    let key = if break_glass {
        Some(office.break_glass_key()?)
    } else {
        None
    };
    let decision = office.desk().approval(count, key, &by)?;
    decided(office, &name, decision, &by).await
}

async fn decide(
    sources: &Sources,
    decision: Decision,
    args: &DecisionArgs,
) -> Result<Exit, CliError> {
    let office = opened(sources).await?;
    let name = office.desk().find(&args.digest.digest).await?;
    let view = office.desk().show(&name).await?;
    facts(&view).into_iter().for_each(say);
    args.act.agree("that cannot be undone. Continue?")?;
    let by = office.signatory(decision.permission(), |acting| args.act.operator(acting))?;
    decided(&office, &name, decision, &by).await
}

async fn decided(
    office: &Office,
    name: &PlanName,
    decision: Decision,
    by: &Signatory,
) -> Result<Exit, CliError> {
    let view = office.desk().decide(name, decision, by).await?;
    let why = view
        .why_not
        .map_or_else(String::new, |why| format!(": {why}"));
    say(format!(
        "{} is {}{why}; workers follow within a minute",
        short(name),
        view.state.as_str()
    ));
    Ok(Exit::Ok)
}

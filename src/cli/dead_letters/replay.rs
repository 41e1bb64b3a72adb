use std::sync::Arc;

use super::super::acting::acting;
use super::super::columns;
use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::follow::{Followed, Follower, left};
use super::super::output::{Output, json as print_json, say, table};
use super::args::{ReplayArgs, by_group, demand_a_filter, names, nothing_found};
use crate::config::WorkerSettings;
use crate::failure::Failure;
use crate::operations::dead_letters::{
    DeadLetter, GroupReport, Replay, ReplayPlan, ReplayReport, ReplayResult,
};
use crate::operations::operation::{Manner, OperationEnd, OperationReport, Order, replay_order};
use crate::people::Permission;

pub(super) async fn replay(args: &ReplayArgs, settings: &WorkerSettings) -> Result<Exit, CliError> {
    let filter = args.filter.filter();
    demand_a_filter(&filter)?;
    let nothing_found = nothing_found(&filter);
    let broker = compose::broker(&settings.queue)?;
    let services = Arc::new(
        compose::unproven_services(&settings.base, &settings.cxone, "dead-letters").await?,
    );
    let replay = Replay {
        broker: &*broker,
        checkpoints: &*services.checkpoints,
        services: &services,
        canary: args.canary,
        anyway: args.anyway,
    };

    let plan = replay.plan(filter).await?;
    if plan.is_empty() {
        print(args, &plan.dry_run(), None)?;
        return Ok(nothing_found);
    }
    if args.report.dry_run || plan.to_replay() == 0 {
        let report = plan.dry_run();
        print(args, &report, None)?;
        return Ok(exit(&report));
    }
    let acting = acting(&settings.base, Permission::Replay).await?;
    args.act.agree(&format!(
        "{} dead letters will be replayed ({}), {} stay in the queue. Continue?",
        plan.to_replay(),
        by_group(&plan.by_group()),
        plan.to_skip()
    ))?;

    let stores = compose::operation_stores(&settings.base).await?;
    let follower = Follower::new(stores, Some(broker));
    let order = order(args, plan);
    let begun = follower
        .place()
        .begin(order, &args.act.operator(&acting))
        .await?;
    match follower.follow_begun(&begun, args.detach.detach).await? {
        // The report is printed even if only the audit log is unreachable.
        Followed::Ended(end) => ended(args, *end, None),
        Followed::Unrecorded(end, failure) => ended(args, *end, Some(failure)),
        Followed::Left => left(begun.id, args.detach.detach, args.report.output.output),
    }
}

fn order(args: &ReplayArgs, plan: ReplayPlan) -> Order {
    let canary = args.canary.then_some(args.canary_wait);
    replay_order(plan, Manner::new(args.rate, canary, args.anyway))
}

fn ended(
    args: &ReplayArgs,
    end: OperationEnd,
    unrecorded: Option<Failure>,
) -> Result<Exit, CliError> {
    let OperationReport::Replay(report) = end.report else {
        return Err(CliError::bad("the operation was no replay"));
    };
    let failure = end.error.or(unrecorded);
    let error = failure.as_ref().map(ToString::to_string);
    print(args, &report, error.as_deref())?;
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(exit(&report)),
    }
}

fn exit(report: &ReplayReport) -> Exit {
    if report.skipped.is_empty() && report.stopped.is_none() {
        Exit::Ok
    } else if report.moved.is_empty() && report.cleared.is_empty() {
        Exit::Refused
    } else {
        Exit::Bad
    }
}

fn print(args: &ReplayArgs, report: &ReplayReport, error: Option<&str>) -> Result<(), CliError> {
    if args.report.output.output == Output::Json {
        return print_json(&ReplayResult {
            dry_run: args.report.dry_run,
            report,
            error,
        });
    }

    let moved = if args.report.dry_run {
        "would go"
    } else {
        "moved"
    };
    for group in &report.groups {
        print_group(group, moved, args.report.dry_run);
    }
    if args.report.verbose {
        print_rows(report, moved);
    }
    say(format!(
        "{moved}: {}, cleared: {}, skipped: {}{}",
        report.moved.len(),
        report.cleared.len(),
        report.skipped.len(),
        if args.report.verbose {
            ""
        } else {
            "; -v shows each"
        }
    ));
    Ok(())
}

fn print_group(group: &GroupReport, moved: &str, dry_run: bool) {
    let step = if group.step.is_empty() {
        String::new()
    } else {
        format!(", step {}", group.step)
    };
    say(format!("{}  {}{step}", group.group, group.code));
    say(format!(
        "  {moved}: {}, cleared: {}, skipped: {}",
        group.moved, group.cleared, group.skipped
    ));
    if group.moved > 0 && !dry_run {
        say(format!(
            "  of those moved: {} got past the step, {} came back, {} wait or have another fault, {} not known yet",
            group.got_past, group.came_back, group.otherwise, group.open
        ));
        if group.open > 0 {
            say(format!(
                "  `offboarder dead-letters groups --group {}` shows the rest later",
                group.group
            ));
        }
    }
    match &group.stopped {
        Some(why) => say(format!("  stopped: {why}")),
        None if group.skipped > 0 => say(format!("  skipped: {}", group.why)),
        None => {}
    }
}

fn print_rows(report: &ReplayReport, moved: &str) {
    let row = |what: &str, dead_letter: &DeadLetter, why: &str| {
        let [id, user, _] = names(dead_letter);
        let reason = dead_letter.reason.to_string();
        [what.to_owned(), id, user, reason, why.to_owned()]
    };
    let published = "an earlier replay, which was interrupted, had published it";
    let rows = report.moved.iter().map(|one| row(moved, one, ""));
    let rows = rows.chain(
        report
            .cleared
            .iter()
            .map(|one| row("cleared", one, published)),
    );
    let skipped = report.skipped.iter();
    let rows =
        rows.chain(skipped.map(|skipped| row("skipped", &skipped.dead_letter, &skipped.why)));
    say(table(columns::REPLAYED, rows));
}

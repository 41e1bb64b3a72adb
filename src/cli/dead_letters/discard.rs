use std::sync::Arc;

use super::super::acting::acting;
use super::super::columns;
use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::follow::{Followed, Follower, left};
use super::super::output::{Output, json as print_json, say, table};
use super::args::{DiscardArgs, by_group, demand_a_filter, names, nothing_found};
use crate::clock::Clock;
use crate::config::BrokerSettings;
use crate::failure::Failure;
use crate::operations::dead_letters::{Discard, DiscardResult, Discarded};
use crate::operations::operation::{Manner, OperationEnd, OperationReport, discard_order};
use crate::people::Permission;

pub(super) async fn discard(
    args: &DiscardArgs,
    settings: &BrokerSettings,
) -> Result<Exit, CliError> {
    let filter = args.filter.filter();
    demand_a_filter(&filter)?;
    let nothing_found = nothing_found(&filter);
    let broker = compose::broker(&settings.queue)?;
    let store = compose::archive_store(&settings.base).await?;
    let discard = Discard {
        broker: &*broker,
        store: &store,
        clock: &Clock::system(),
    };

    let plan = discard.plan(filter).await?;
    let count = plan.to_discard();
    if args.report.dry_run || count == 0 {
        let result = discard.dry_run(plan);
        let dry_run = args.report.dry_run;
        print(args, &DiscardResult { dry_run, ..result })?;
        return Ok(if count == 0 { nothing_found } else { Exit::Ok });
    }
    let acting = acting(&settings.base, Permission::Discard).await?;
    args.act.agree(&format!(
        "{count} dead letters will be discarded for good ({}). Continue?",
        by_group(&plan.by_group())
    ))?;

    let stores = compose::operation_stores(&settings.base).await?;
    let follower = Follower::new(stores, Some(Arc::clone(&broker)));
    let order = discard_order(plan, Manner::default());
    let begun = follower
        .place()
        .begin(order, &args.act.operator(&acting))
        .await?;
    match follower.follow_begun(&begun, args.detach.detach).await? {
        Followed::Ended(end) => ended(args, *end, None),
        Followed::Unrecorded(end, failure) => ended(args, *end, Some(failure)),
        Followed::Left => left(begun.id, args.detach.detach, args.report.output.output),
    }
}

fn ended(
    args: &DiscardArgs,
    end: OperationEnd,
    unrecorded: Option<Failure>,
) -> Result<Exit, CliError> {
    let OperationReport::Discard(result) = end.report else {
        return Err(CliError::bad("the operation was no discard"));
    };
    print(args, &result)?;
    if let Some(failure) = end.error.or(unrecorded) {
        return Err(failure.into());
    }
    let is_whole = result.gone.is_empty() && result.stopped.is_none();
    Ok(if is_whole { Exit::Ok } else { Exit::Bad })
}

fn print(args: &DiscardArgs, result: &DiscardResult) -> Result<(), CliError> {
    if args.report.output.output == Output::Json {
        return print_json(result);
    }

    let done = if result.dry_run {
        "would be discarded"
    } else {
        "discarded"
    };
    for (group, count) in result.by_group() {
        say(format!("{group}  {done}: {count}"));
    }
    if args.report.verbose {
        let rows = result
            .discarded
            .iter()
            .map(|Discarded { dead_letter, copy }| {
                let [id, user, _] = names(dead_letter);
                [id, user, dead_letter.reason.to_string(), copy.clone()]
            });
        say(table(columns::DISCARDED, rows));
    }
    if let Some(why) = &result.stopped {
        say(format!("stopped: {why}"));
    }
    say(format!(
        "{done}: {}, taken off by someone else: {}{}",
        result.discarded.len(),
        result.gone.len(),
        if args.report.verbose {
            ""
        } else {
            "; -v shows each"
        }
    ));
    Ok(())
}

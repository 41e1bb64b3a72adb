use super::super::columns;
use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, json as print_json, say, table};
use super::args::{DiscardArgs, by_group, demand_a_filter, names, nothing_found};
use crate::clock::Clock;
use crate::config::BrokerSettings;
use crate::operations::dead_letters::{Discard, DiscardResult, Discarded};

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
    if args.report.dry_run {
        print(args, &discard.dry_run(plan))?;
        return Ok(if count == 0 { nothing_found } else { Exit::Ok });
    }
    if count > 0 {
        args.act.agree(&format!(
            "{count} dead letters will be discarded for good ({}). Continue?",
            by_group(&plan.by_group())
        ))?;
    }

    let discarded = discard.execute(plan, &args.act.operator()).await;
    print(args, &discarded.done)?;
    if let Some(failure) = discarded.failure {
        return Err(failure.into());
    }
    Ok(match (count, discarded.done.gone.len()) {
        (0, _) => nothing_found,
        (_, 0) => Exit::Ok,
        (_, _) => Exit::Bad,
    })
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

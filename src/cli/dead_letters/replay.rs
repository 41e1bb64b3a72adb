use std::sync::Arc;

use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, json as print_json, say, table};
use super::{ReplayArgs, names, nothing_found};
use crate::config::{Cxone, Queue, Settings};
use crate::operations::dead_letters::{Judge, Letter, Replay, ReplayTold, Report, look};
use crate::registers::audit_log::AuditLog;

pub(super) async fn replay(
    args: &ReplayArgs,
    settings: &Settings<Cxone, Queue>,
) -> Result<Exit, CliError> {
    let pick = args.pick.pick(None);
    let broker = compose::broker(&settings.queue)?;
    let services = Arc::new(compose::unproven_services(settings, "dead-letters").await?);
    let replay = Replay {
        broker: &*broker,
        checkpoints: &*services.checkpoints,
        pace: args.rate,
        canary: args.canary.then_some(args.canary_wait),
    };
    let mut report = Report::default();
    let (letters, _more) = look(&*broker, &pick).await?;
    if letters.is_empty() {
        tell(args, &report, None)?;
        return Ok(nothing_found(&pick));
    }
    let judge = Judge::new(Arc::clone(&services));
    let chosen = replay
        .choose(&judge, letters, args.anyway, &mut report)
        .await;
    let count = chosen.len();
    if args.dry_run {
        report.moved = chosen;
    } else if count > 0 {
        let skipped = report.skipped.len();
        let question =
            format!("{count} letters will be replayed, {skipped} stay where they are. Go on?");
        args.act.agree(&question)?;
        let by = args.act.operator();
        let audit_log = AuditLog::new(services.archive_store.clone(), services.clock.clone());
        let result = replay
            .on_record(&audit_log, &by, (&pick, args.anyway), chosen, &mut report)
            .await;
        // What was moved is told first: the log of acts may be what is out of reach.
        let error = result.as_ref().err().map(ToString::to_string);
        tell(args, &report, error.as_deref())?;
        result?;
        return Ok(judged(&report));
    }
    tell(args, &report, None)?;
    Ok(judged(&report))
}

fn judged(report: &Report) -> Exit {
    if report.skipped.is_empty() && report.stopped.is_none() {
        Exit::Ok
    } else if report.moved.is_empty() && report.cleared.is_empty() {
        Exit::Refused
    } else {
        Exit::Bad
    }
}

fn tell(args: &ReplayArgs, report: &Report, error: Option<&str>) -> Result<(), CliError> {
    if args.output.output == Output::Json {
        return print_json(&ReplayTold {
            dry_run: args.dry_run,
            report,
            error,
        });
    }
    let row = |what: &str, letter: &Letter, why: String| {
        let [id, user, _] = names(letter);
        [what.to_owned(), id, user, letter.reason.to_string(), why]
    };
    let moved = if args.dry_run { "would go" } else { "moved" };
    let cleared = "an earlier replay, cut short, had published it";
    let rows = (report
        .moved
        .iter()
        .map(|letter| row(moved, letter, String::new())))
    .chain(
        report
            .cleared
            .iter()
            .map(|letter| row("cleared", letter, cleared.to_owned())),
    )
    .chain(
        report
            .skipped
            .iter()
            .map(|skipped| row("skipped", &skipped.letter, skipped.why.clone())),
    );
    say(table(["", "letter", "user", "reason", "why"], rows));
    let counts = [
        report.moved.len(),
        report.cleared.len(),
        report.skipped.len(),
    ];
    let [count, cleared, skipped] = counts;
    say(format!(
        "{moved}: {count}, cleared: {cleared}, skipped: {skipped}"
    ));
    if let Some(why) = &report.stopped {
        say(format!("stopped: {why}"));
    }
    Ok(())
}

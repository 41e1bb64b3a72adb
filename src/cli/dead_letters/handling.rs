use super::super::acting::acting;
use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, json as print_json, say};
use super::args::GroupArgs;
use crate::clock::Clock;
use crate::config::{BrokerSettings, Sources};
use crate::operations::dead_letters::{DeadLetterGroups, GroupChange};
use crate::people::Permission;

/// Changes what is decided about a group.
pub(super) async fn change(
    args: &GroupArgs,
    change: &GroupChange,
    sources: &Sources,
) -> Result<Exit, CliError> {
    let settings = BrokerSettings::read(sources)?;
    let acting = acting(&settings.base, Permission::Replay).await?;
    let broker = compose::broker(&settings.queue)?;
    let store = compose::archive_store(&settings.base).await?;
    let checkpoints = compose::checkpoints(&settings.base)?;
    let groups = DeadLetterGroups {
        broker: &*broker,
        checkpoints: &*checkpoints,
        store: &store,
        clock: &Clock::system(),
    };
    args.act.ask_why()?;

    let changed = groups
        .change(&args.group, change, &args.act.operator(&acting))
        .await?;
    if args.output.output == Output::Json {
        print_json(&changed)?;
        return Ok(Exit::Ok);
    }
    say(format!(
        "{}  {} dead letters, {}",
        changed.group,
        changed.count,
        changed.handling.line()
    ));
    if let Some(note) = &changed.handling.note {
        say(format!("  note      {note}"));
    }
    Ok(Exit::Ok)
}

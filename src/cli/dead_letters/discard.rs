use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, json as print_json, say, table};
use super::{DiscardArgs, names, nothing_found};
use crate::config::{Cxone, Queue, Settings};
use crate::operations::dead_letters::{Discard, DiscardTold, Discarded, look};

pub(super) async fn discard(
    args: &DiscardArgs,
    settings: &Settings<Option<Cxone>, Queue>,
) -> Result<Exit, CliError> {
    let pick = args.pick.pick(None);
    if pick.is_all() && !args.all && pick.limit.is_none() {
        return Err(CliError::usage(
            "say which letters: by their IDs, --user, --batch, --reason, --since, or --all",
        ));
    }
    let broker = compose::broker(&settings.queue)?;
    let (letters, _more) = look(&*broker, &pick).await?;
    let count = letters.len();
    let (mut discarded, mut gone) = (Vec::new(), Vec::new());
    let store = compose::archive_store(settings).await?;
    let mut result = Ok(());
    if args.dry_run {
        discarded = letters;
    } else if count > 0 {
        args.act.agree(&format!(
            "{count} letters will be discarded for good. Go on?"
        ))?;
        let discard = Discard {
            broker: &*broker,
            store: &store,
            clock: &crate::clock::Clock::system(),
            by: args.act.operator(),
        };
        match discard.on_record(&pick, &letters, &mut discarded).await {
            Ok(missed) => gone = missed,
            Err(failure) => result = Err(failure),
        }
    }
    let rest = gone.len();
    tell_discarded(
        args,
        DiscardTold::new(args.dry_run, &*store, discarded, gone),
    )?;
    result?;
    Ok(match (count, rest) {
        (0, _) => nothing_found(&pick),
        (_, 0) => Exit::Ok,
        (_, _) => Exit::Bad,
    })
}

fn tell_discarded(args: &DiscardArgs, told: DiscardTold) -> Result<(), CliError> {
    if args.output.output == Output::Json {
        return print_json(&told);
    }
    let done = if args.dry_run {
        "would be discarded"
    } else {
        "discarded"
    };
    let count = told.discarded.len();
    let rows = told
        .discarded
        .into_iter()
        .map(|Discarded { letter, copy }| {
            let [id, user, _] = names(&letter);
            [id, user, letter.reason.to_string(), copy]
        });
    say(table(["letter", "user", "reason", "copy"], rows));
    say(format!(
        "{done}: {count}, taken by somebody else: {}",
        told.gone.len()
    ));
    Ok(())
}

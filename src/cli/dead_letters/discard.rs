use serde_json::{Value, json};

use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, json as print_json, say, table, who};
use super::{DiscardArgs, names, nothing_found};
use crate::acts::{self, Act};
use crate::config::{Cxone, Queue, Settings};
use crate::dead_letters::{Discard, Letter, copy_key, look};
use crate::ports::ArchiveStore;

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
    let (letters, _more) = look(&broker, &pick).await?;
    let count = letters.len();
    let (mut discarded, mut gone) = (Vec::new(), Vec::new());
    let store = compose::archive_store(&settings.archive).await?;
    let mut result = Ok(());
    if args.dry_run {
        discarded = letters;
    } else if count > 0 {
        args.act.agree(&format!("{count} letters will be discarded for good. Go on?"))?;
        let details = json!({ "of": args.pick.told() });
        let act = Act::new(who(), "dead-letters discard", args.act.why.clone(), count, details);
        acts::record(&*store, &act).await?;
        let discard = Discard { broker: &broker, store: &*store, who: who(), why: args.act.why.clone() };
        match discard.run(&letters, &mut discarded).await {
            Ok(missed) => gone = missed,
            Err(failure) => result = Err(failure),
        }
    }
    let rest = gone.len();
    tell_discarded(args, &*store, discarded, &gone)?;
    result?;
    Ok(match (count, rest) {
        (0, _) => nothing_found(&pick),
        (_, 0) => Exit::Ok,
        (_, _) => Exit::Bad,
    })
}

fn tell_discarded(
    args: &DiscardArgs,
    store: &dyn ArchiveStore,
    discarded: Vec<Letter>,
    gone: &[Letter],
) -> Result<(), CliError> {
    let copy = |letter: &Letter| store.full_key(&copy_key(&letter.id));
    if args.output.output == Output::Json {
        let discarded = discarded.iter().map(|letter| json!({ "letter": letter, "copy": copy(letter) }));
        let discarded: Vec<Value> = discarded.collect();
        return print_json(&json!({ "dryRun": args.dry_run, "discarded": discarded, "gone": gone }));
    }
    let done = if args.dry_run { "would be discarded" } else { "discarded" };
    let count = discarded.len();
    let rows = discarded.into_iter().map(|letter| {
        let [id, user, _] = names(&letter);
        [id, user, letter.reason.to_string(), copy(&letter)]
    });
    say(table(["letter", "user", "reason", "copy"], rows));
    say(format!("{done}: {count}, taken by somebody else: {}", gone.len()));
    Ok(())
}

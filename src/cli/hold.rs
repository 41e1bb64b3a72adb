use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::json;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say, table, who};
use crate::acts;
use crate::config::Settings;
use crate::failure::Failure;
use crate::guards::{Hold, HoldKey, hold_prefix, latest_hold};
use crate::job::UserId;
use crate::ports::{ArchiveStore, PutOnce};

/// Legal holds: users who are deactivated and archived, and never deleted
///
/// Every worker looks at holds as the last thing before a DELETE. A user whose off-boarding ended at a
/// hold is deleted by submitting it again with `--action delete` once the hold is lifted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder hold add 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'case 4711'
  offboarder hold list --output json")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Puts users on hold
    #[command(after_help = "Example:\n  offboarder hold add USER_ID --why 'case 4711'")]
    Add(Change),
    /// Lifts holds
    #[command(after_help = "Example:\n  offboarder hold remove USER_ID --why 'case 4711 is closed'")]
    Remove(Change),
    /// Shows who is on hold; with IDs, those alone
    #[command(alias = "ls", after_help = "Example:\n  offboarder hold list --output json")]
    List {
        /// User IDs
        #[arg(value_name = "USER_ID")]
        users: Vec<UserId>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// User IDs
    #[arg(value_name = "USER_ID", required = true)]
    users: Vec<UserId>,
    #[command(flatten)]
    act: ActArgs,
}

const MAX_HOLD_BYTES: usize = 64 * 1024;
const AT_ONCE: usize = 16;

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let store = compose::archive_store(&settings.archive).await?;
    match &args.verb {
        Verb::Add(change) => set(&*store, change, true).await,
        Verb::Remove(change) => set(&*store, change, false).await,
        Verb::List { users, output } => list(store, users, output.output).await,
    }
}

async fn set(store: &dyn ArchiveStore, change: &Change, on: bool) -> Result<Exit, CliError> {
    let done = if on { "put on hold" } else { "taken off hold" };
    let count = change.users.len();
    change.act.agree(&format!("{count} users will be {done}. Go on?"))?;
    let what = if on { "hold add" } else { "hold remove" };
    let act = acts::Act::new(who(), what, change.act.why.clone(), count, json!({ "users": change.users }));
    acts::record(store, &act).await?;
    for user_id in &change.users {
        let hold = Hold { held: on, who: who(), why: change.act.why.clone(), at: Timestamp::now() };
        let body = Bytes::from(serde_json::to_vec(&hold).map_err(CliError::bad)?);
        loop {
            let keys = store.keys(&hold_prefix(Some(*user_id))).await?;
            let number = latest_hold(&keys, *user_id).map_or(0, |latest| latest.number) + 1;
            let key = HoldKey { user_id: *user_id, number }.key();
            // Somebody else may have acted a moment ago; then ours is the next act.
            if let PutOnce::Stored(_) = store.put_once(&key, body.clone(), None).await? {
                break;
            }
        }
        say(format!("{user_id} {done}"));
    }
    Ok(Exit::Ok)
}

/// The last act of each user; only [`standing`] knows which of them holds.
pub(super) async fn last_acts(store: &dyn ArchiveStore) -> Result<Vec<HoldKey>, Failure> {
    let keys = store.keys(&hold_prefix(None)).await?;
    let mut acts: Vec<HoldKey> = keys.iter().filter_map(HoldKey::parse).collect();
    acts.sort_unstable();
    acts.reverse();
    acts.dedup_by_key(|act| act.user_id);
    Ok(acts)
}

/// The hold that a user is on.
pub(super) async fn hold_of(
    store: &Arc<dyn ArchiveStore>,
    user_id: UserId,
) -> Result<Option<Hold>, CliError> {
    let keys = store.keys(&hold_prefix(Some(user_id))).await?;
    let acts = latest_hold(&keys, user_id).into_iter().collect();
    Ok(standing(store, acts).await?.pop().map(|(_, hold)| hold))
}

/// Those of these acts that hold somebody, by user.
pub(super) async fn standing(
    store: &Arc<dyn ArchiveStore>,
    acts: Vec<HoldKey>,
) -> Result<Vec<(UserId, Hold)>, CliError> {
    let mut holds: Vec<(UserId, Hold)> = stream::iter(acts)
        .map(|act| {
            let store = Arc::clone(store);
            async move {
                let read = store.read(&act.key(), MAX_HOLD_BYTES).await?;
                let hold = read.and_then(|bytes| serde_json::from_slice::<Hold>(&bytes).ok());
                let text =
                    || CliError::bad(format!("{} cannot be read; it holds", store.full_key(&act.key())));
                Ok::<_, CliError>((act.user_id, hold.ok_or_else(text)?))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    holds.retain(|(_, hold)| hold.held);
    holds.sort_by_key(|(user_id, _)| *user_id);
    Ok(holds)
}

async fn list(store: Arc<dyn ArchiveStore>, users: &[UserId], output: Output) -> Result<Exit, CliError> {
    let mut acts = last_acts(&*store).await?;
    acts.retain(|act| users.is_empty() || users.contains(&act.user_id));
    let holds = standing(&store, acts).await?;
    if output == Output::Json {
        let holds = holds.iter().map(
            |(user_id, hold)| json!({ "userId": user_id, "who": hold.who, "why": hold.why, "at": hold.at }),
        );
        print_json(&json!({ "holds": holds.collect::<Vec<_>>() }))?;
    } else {
        let rows = holds.iter().map(|(user_id, hold)| {
            let why = hold.why.clone().unwrap_or_default();
            [user_id.to_string(), hold.at.to_string(), hold.who.clone(), why]
        });
        say(table(["user", "since", "by", "why"], rows));
    }
    let missing = users.iter().any(|user_id| !holds.iter().any(|(held, _)| held == user_id));
    Ok(if missing { Exit::Bad } else { Exit::Ok })
}

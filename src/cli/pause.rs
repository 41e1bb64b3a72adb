use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, say, who};
use crate::acts::{self, Act};
use crate::config::Settings;
use crate::guards::{PAUSE_PREFIX, PauseAct, latest_pause, pause_key};
use crate::ports::PutOnce;

/// Stops all workers from taking users; those in progress stop at their next checkpoint
///
/// It is kept in the archive store, outlives restarts, and reaches every worker within seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder pause --why 'the tenant is being migrated'")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// Lets all workers take users again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder resume --why 'the migration is done'")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn pause(args: &PauseArgs, settings: &Settings) -> Result<Exit, CliError> {
    set(&args.act, settings, true).await
}

pub(super) async fn resume(args: &ResumeArgs, settings: &Settings) -> Result<Exit, CliError> {
    set(&args.act, settings, false).await
}

async fn set(args: &ActArgs, settings: &Settings, paused: bool) -> Result<Exit, CliError> {
    let (what, done) = if paused { ("pause", "paused") } else { ("resume", "resumed") };
    let store = compose::archive_store(&settings.archive).await?;
    args.agree(&format!("all workers will be {done}. Go on?"))?;
    acts::record(&*store, &Act::new(who(), what, args.why.clone(), 1, Value::Null)).await?;
    let pause = PauseAct { paused, who: who(), why: args.why.clone(), at: Timestamp::now() };
    let body = Bytes::from(serde_json::to_vec(&pause).map_err(CliError::bad)?);
    loop {
        let number = latest_pause(&store.keys(PAUSE_PREFIX).await?).saturating_add(1);
        // Somebody else acted meanwhile: ours comes after theirs.
        if let PutOnce::Stored(_) = store.put_once(&pause_key(number), body.clone(), None).await? {
            break;
        }
    }
    say(format!("{done}; workers follow within seconds"));
    Ok(Exit::Ok)
}

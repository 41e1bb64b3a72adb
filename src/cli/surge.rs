use super::acting::acting;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::operations::surge::{SurgePlaces, lift_surge};
use crate::people::Permission;

/// Lifts a surge: lanes that stopped because a release failed for one user after the other take users again
///
/// A lane stops on the workers of one release when five different users are about to become dead letters with one fault
/// at one step within 10 minutes, and fewer than that got through the step. It lets one user through each minute, and
/// continues by itself once one gets through. Lift it only if the fault is fixed: if not, up to four more users
/// become dead letters before the lane stops again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder surge lift --why 'the tenant accepts it again'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lets the stopped lanes take users again; workers follow within seconds
    ///
    /// The exit status is 1 if `--release` names one of which no worker is stopped.
    #[command(
        after_help = "Example:\n  offboarder surge lift --release 0.2.0 --why 'the tenant accepts it again'"
    )]
    Lift {
        /// Only on workers of this release
        #[arg(long, value_name = "RELEASE")]
        release: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let Verb::Lift { release, act } = &args.verb;
    let acting = acting(settings, Permission::Pause).await?;
    let Some(stores) = compose::shared_stores(settings) else {
        return Err(CliError::usage(
            "surges are counted in Redis: set OFFBOARDER_CHECKPOINTS_URL to the URL that the workers use",
        ));
    };
    let store = compose::archive_store(settings).await?;
    act.agree("stopped lanes will take users again. Continue?")?;
    let places = SurgePlaces {
        store: &store,
        workers: &*stores.workers,
        surges: &*stores.surges,
    };
    let operator = act.operator(&acting);
    let lifted = lift_surge(&places, &Clock::system(), &operator, release.as_deref()).await?;
    if lifted.releases.is_empty() {
        say("nothing was lifted: no worker is stopped by a surge".to_owned());
        return Ok(if release.is_some() {
            Exit::Bad
        } else {
            Exit::Ok
        });
    }
    let releases: Vec<&str> = lifted.releases.iter().map(String::as_str).collect();
    say(format!(
        "lifted for release {}; {} workers follow within seconds",
        releases.join(", "),
        lifted.workers
    ));
    Ok(Exit::Ok)
}

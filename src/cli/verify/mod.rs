//! Checks what the archive store holds against itself and against the checkpoints.

mod limits;
mod log;
mod open;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::acting::{Acting, acting};
use crate::cli::bar::bar;
use crate::cli::compose;
use crate::cli::exit::{CliError, Exit};
use crate::cli::folder;
use crate::cli::follow::{Followed, Follower, left, note, worker_lives};
use crate::cli::input::{self, FileArgs, Purpose};
use crate::cli::known_manifests;
use crate::cli::output::{ActArgs, OutputArgs};
use crate::config::{CheckpointsUrl, Settings, Sources};
use crate::failure::Failure;
use crate::job::UserId;
use crate::operations::dead_letters::parse_pace;
use crate::operations::operation::{MAX_ITEMS, Manner, OperationReport, verify_order};
use crate::operations::report::Strangers;
use crate::operations::tracker::Interruption;
use crate::operations::verify::{
    Checker, KnownManifests, Pacing, Schema, Verdict, Verifier, holdings,
};
use crate::people::Permission;
use crate::ports::ArchiveStore;
use log::LogArgs;
use report::{Asked, Report};

/// Checks manifests, their chain, seals and archives against what the store holds
///
/// It reads everything and changes nothing. It finds contradictions: bytes that were changed, and objects that are missing,
/// hidden by a delete marker, written twice, or swapped. It also says what it cannot find. It reads each archive whole, so
/// terabytes take hours. With --all and --file a worker does it, if one is alive, as an operation that survives this
/// command; otherwise this command does it, and stores nothing.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).multiple(true).args(["users", "file", "all", "folder"]),
    after_help = "Examples:
  offboarder verify 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11
  offboarder verify --all --output json
  offboarder verify --folder ./download      (e.g. made by `aws s3 sync`; needs no network)"
)]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    /// All users of whom the store holds an object
    #[arg(long, conflicts_with_all = ["users", "file"])]
    all: bool,
    /// Check a directory of downloaded objects instead of the store; all users in it, unless users are named
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    /// Maximum rate on a worker, e.g. 5/s or 30/m
    #[arg(long, value_name = "N/s", value_parser = parse_pace, conflicts_with = "folder")]
    rate: Option<Duration>,
    /// Begin the operation on a worker, print its ID, and do not wait for it
    #[arg(long, conflicts_with = "folder")]
    detach: bool,
    #[command(flatten)]
    act: ActArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    let named = args.named()?;
    let place = if let Some(folder) = &args.folder {
        of_folder(folder)?
    } else {
        let settings = Settings::read(sources)?;
        if let Some(follower) = args.follower(&settings).await? {
            let users = match &named {
                Some(users) => users.clone(),
                None => all_users(&follower).await?,
            };
            if args.detach || users.len() <= MAX_ITEMS {
                let acting = acting(&settings, Permission::Look).await?;
                return on_a_worker(args, &acting, &follower, users, named.is_none()).await;
            }
            note(&format!(
                "{} users are more than a worker checks in one operation ({MAX_ITEMS}): this command checks them itself",
                users.len()
            ));
        }
        of_settings(&settings, named.as_deref()).await?
    };
    let place = Arc::new(place);
    let wanted = place.wanted(named).await?;

    if wanted.is_empty() {
        return Err(nobody(&*place.verifier.store));
    }
    let shown = Bar(bar(wanted.len() as u64, "users"));
    let checked = place.check_all(wanted, &shown).await;
    shown.0.finish_and_clear();
    let mut report = Report::of(&place, checked);
    report
        .check_everything(&args.asked(), &place.verifier.store, &place.no_files)
        .await?;
    report.end(&args.asked())
}

fn nobody(store: &dyn ArchiveStore) -> CliError {
    let text = format!(
        "{}: no object of any user is stored there",
        store.location()
    );
    CliError::bad(text)
}

async fn all_users(follower: &Follower) -> Result<Vec<UserId>, CliError> {
    let held = holdings(&*follower.place().store, None).await?;
    Ok(held.into_keys().collect())
}

/// Makes the check an operation, and follows it.
async fn on_a_worker(
    args: &Args,
    acting: &Acting,
    follower: &Follower,
    users: Vec<UserId>,
    all: bool,
) -> Result<Exit, CliError> {
    let place = follower.place();
    if users.is_empty() {
        return Err(nobody(&*place.store));
    }
    args.act.ask_why()?;
    let manner = Manner::new(args.rate, None, false);
    let order = verify_order(users, all, manner);
    let begun = place.begin(order, &args.act.operator(acting)).await?;
    let became = follower.follow_begun(&begun, args.detach).await?;
    let mut report = Report::of_operation(place.store.location());
    let end = match became {
        Followed::Ended(end) => end,
        Followed::Unrecorded(end, failure) => {
            report.stopped_by = Some(failure);
            end
        }
        Followed::Left => return left(begun.id, args.detach, args.output.output),
    };
    report.was_stopped = end.stop.is_some();
    report.stopped_by = end.error.or(report.stopped_by);
    if let OperationReport::Verify(found) = end.report {
        report.verdicts = found.verdicts;
    }
    report
        .check_everything(&args.asked(), &place.store, &Strangers::new())
        .await?;
    report.end(&args.asked())
}

impl Args {
    fn asked(&self) -> Asked<'_> {
        Asked {
            everyone: self.users.is_empty() && self.file.file.is_none(),
            log: &self.log,
            output: self.output.output,
        }
    }

    /// `None` means all users.
    fn named(&self) -> Result<Option<Vec<UserId>>, CliError> {
        if self.users.is_empty() && self.file.file.is_none() {
            return Ok(None);
        }
        let purpose = Purpose {
            consequence: "nothing was checked",
            output: self.output.output,
        };
        let users = input::users(&self.users, &self.file, purpose)?;
        Ok(Some(users))
    }

    /// Follows the check on a worker; `None` if this command does it.
    async fn follower(&self, settings: &Settings) -> Result<Option<Follower>, CliError> {
        let is_large = self.all || self.file.file.is_some();
        if !is_large || matches!(settings.checkpoints, CheckpointsUrl::Embedded(_)) {
            return Ok(None);
        }
        let stores = compose::operation_stores(settings).await?;
        if worker_lives(stores.workers.as_ref()).await == Some(true) {
            return Ok(Some(Follower::new(stores, None)));
        }
        if self.detach {
            let text = "no worker is alive that could check them; start one, or leave --detach out";
            return Err(CliError::bad(text));
        }
        Ok(None)
    }
}

async fn of_settings(settings: &Settings, named: Option<&[UserId]>) -> Result<Checker, CliError> {
    let store = compose::archive_store(settings).await?;
    let known_manifests = known_manifests::open(settings, named, &*store).await;
    Ok(Checker::of(store, known_manifests))
}

fn of_folder(folder: &Path) -> Result<Checker, CliError> {
    let (store, no_files) = folder::open(folder)?;
    let verifier = Verifier {
        store,
        schema: Schema::new(),
        downloaded: true,
    };
    Ok(Checker {
        verifier,
        known_manifests: KnownManifests::None,
        no_files,
    })
}

/// Draws how far the check is.
struct Bar(ProgressBar);

#[async_trait::async_trait]
impl Pacing for Bar {
    async fn turn(&self) -> Option<Interruption> {
        None
    }

    async fn checked(&self, verdict: &Verdict) -> Result<(), Failure> {
        self.0.inc(1);
        if !verdict.ok {
            self.0.println(format!("{}: NOT OK", verdict.user_id));
        }
        Ok(())
    }
}

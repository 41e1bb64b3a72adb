//! Checks what the archive store holds against itself and against the checkpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar};
use jiff::Timestamp;
use serde_json::json;

use super::acting::{Acting, acting};
use super::bar::bar;
use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::folder;
use super::follow::{Followed, Follower, left, note, worker_lives};
use super::input::{self, FileArgs, Purpose};
use super::known_manifests;
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say, table};
use crate::clock::Clock;
use crate::config::{CheckpointsUrl, Settings, Sources};
use crate::failure::Failure;
use crate::job::UserId;
use crate::operations::dead_letters::parse_pace;
use crate::operations::operation::{MAX_ITEMS, Manner, OperationReport, verify_order};
use crate::operations::tracker::Interruption;
use crate::operations::verify::{
    Checked, Checker, KnownManifests, Pacing, Schema, Verdict, Verifier, holdings,
};
use crate::people::Permission;
use crate::ports::ArchiveStore;

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

/// The table lists users without findings only if there are at most this many users.
const FEW: usize = 20;

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
    Report::of(&place, checked).end(args)
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
    let mut report = Report {
        location: place.store.location(),
        downloaded: false,
        compared: true,
        verdicts: Vec::new(),
        stopped_by: None,
        was_stopped: false,
    };
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
    report.end(args)
}

impl Args {
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

struct Report {
    location: String,
    /// What was checked is a download.
    downloaded: bool,
    /// The digests in the checkpoints were compared.
    compared: bool,
    verdicts: Vec<Verdict>,
    /// Why the remaining users were not checked.
    stopped_by: Option<Failure>,
    /// An operator stopped the check.
    was_stopped: bool,
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

impl Report {
    fn of(place: &Checker, checked: Checked) -> Self {
        Self {
            location: place.verifier.store.location(),
            downloaded: place.verifier.downloaded,
            compared: !matches!(place.known_manifests, KnownManifests::None),
            verdicts: checked.verdicts,
            stopped_by: checked.stopped_by,
            was_stopped: false,
        }
    }

    fn end(self, args: &Args) -> Result<Exit, CliError> {
        self.print(args, Clock::system().now())?;
        let is_bad = self.was_stopped || self.verdicts.iter().any(|verdict| !verdict.ok);
        match self.stopped_by {
            Some(failure) if !is_bad => Err(failure.into()),
            Some(_) | None => Ok(if is_bad { Exit::Bad } else { Exit::Ok }),
        }
    }

    fn print(&self, args: &Args, now: Timestamp) -> Result<(), CliError> {
        let bad = self.verdicts.iter().filter(|verdict| !verdict.ok).count();
        let (archives, bytes) = self
            .verdicts
            .iter()
            .fold((0, 0), |(archives, bytes), verdict| {
                (archives + verdict.archives, bytes + verdict.bytes)
            });
        let location = &self.location;

        if args.output.output == Output::Json {
            return print_json(&json!({
                "location": location,
                "downloaded": self.downloaded,
                "checkedAt": now,
                "totals": { "users": self.verdicts.len(), "bad": bad, "archives": archives, "bytes": bytes },
                "stoppedBy": self.stopped_by,
                "cannotFind": self.cannot_find(args),
                "users": self.verdicts,
            }));
        }
        let without_findings = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.ok && self.verdicts.len() <= FEW);
        let findings = self.verdicts.iter().flat_map(|verdict| {
            verdict.findings.iter().map(|finding| {
                [
                    verdict.user_id.to_string(),
                    "NOT OK".to_owned(),
                    format!("{}: {}", finding.object, finding.text),
                ]
            })
        });
        let rows: Vec<_> = without_findings.map(row).chain(findings).collect();
        if !rows.is_empty() {
            say(table(columns::VERIFY, rows));
        }
        let users = self.verdicts.len();
        let limit = if self.downloaded {
            "; a download has no versions and locks, so these were not checked"
        } else {
            ""
        };
        say(format!(
            "{users} users checked in {location}, {bad} not ok; {archives} archives read ({}){limit}",
            HumanBytes(bytes)
        ));
        if self.was_stopped {
            say("an operator stopped the check: the other users were not checked");
        }
        for what in self.cannot_find(args) {
            say(format!("this check cannot find: {what}"));
        }

        Ok(())
    }

    /// What the check cannot find.
    fn cannot_find(&self, args: &Args) -> Vec<&'static str> {
        let is_everyone = args.users.is_empty() && args.file.file.is_none();
        let whole = "users of whom the store holds no object (any more): only users with a stored object are checked; name users \
                 to report missing ones";
        let together = match (self.downloaded, self.compared) {
            (true, _) => {
                "a manifest, its seal and its archive that were rewritten or invented together"
            }
            (false, false) => {
                "a manifest, its seal and its archive that were rewritten or invented together, if the bucket keeps no \
             versions; no checkpoint was compared"
            }
            (false, true) => {
                "a manifest, its seal and its archive that were rewritten or invented together, of users of whom the bucket has no other version \
             and no checkpoint exists"
            }
        };
        let unlisted = self
            .verdicts
            .iter()
            .any(|verdict| verdict.older_versions == Some(false));
        let older = "older versions of objects that were overwritten or deleted: this store does not list versions \
                     (ListObjectVersions), so that only what it returns now was checked";
        let others = "changes of holds, pauses, the audit log and copies of dead letters: they are not checked";

        is_everyone
            .then_some(whole)
            .into_iter()
            .chain([together])
            .chain(unlisted.then_some(older))
            .chain([others])
            .collect()
    }
}

/// The row of a user without findings.
fn row(verdict: &Verdict) -> [String; 3] {
    let state = verdict
        .state
        .map_or_else(String::new, |state| format!("{state}, "));
    let manifests = match verdict.manifests {
        1 => "1 manifest".to_owned(),
        more => format!("{more} manifests"),
    };
    let under_way = if verdict.under_way {
        "; an off-boarding is in progress"
    } else {
        ""
    };
    let not_compared = match verdict.compared {
        Some(false) => "; the digest in the checkpoint was not compared: it could not be read",
        Some(true) | None => "",
    };
    let read = HumanBytes(verdict.bytes);

    [
        verdict.user_id.to_string(),
        "ok".to_owned(),
        format!("{state}{manifests}, {read} of archives{under_way}{not_compared}"),
    ]
}

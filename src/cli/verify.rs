//! Checks what the archive store holds against itself and against the checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::bar::bar;
use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{self, FileArgs, Purpose};
use super::known_manifests::KnownManifests;
use super::output::{Output, OutputArgs, json as print_json, say, table};
use crate::clock::Clock;
use crate::config::{Settings, Sources};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::operations::verify::{Holdings, Schema, Verdict, Verifier, folders, holdings, no_files};

/// Checks manifests, their chain, seals and archives against what the store holds
///
/// It reads everything and changes nothing. It finds contradictions: bytes that were changed, and objects that are missing,
/// hidden by a delete marker, written twice, or swapped. It also says what it cannot find. It reads each archive whole, so
/// terabytes take hours.
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
    output: OutputArgs,
}

/// The number of users that are checked concurrently.
const AT_ONCE: usize = 16;
/// From this number on, one listing of everything costs less than one listing per user.
const MANY: usize = 200;
/// The number of tries for a user before a fault of the store ends the command.
const TRIES: u32 = 3;
/// The table lists users without findings only if there are at most this many users.
const FEW: usize = 20;

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    let named = args.named()?;
    let place = Arc::new(match &args.folder {
        Some(folder) => Place::of_folder(folder)?,
        None => Place::of_settings(&Settings::read(sources)?, named.as_deref()).await?,
    });
    let wanted = place.wanted(named).await?;

    if wanted.is_empty() {
        let text = format!(
            "{}: no object of any user is stored there",
            place.verifier.store.location()
        );
        return Err(CliError::bad(text));
    }
    let report = check_all(&place, wanted).await;
    report.print(&place, args, Clock::system().now())?;
    let bad = report.verdicts.iter().any(|verdict| !verdict.ok);

    match report.stopped_by {
        Some(failure) if !bad => Err(failure.into()),
        Some(_) | None => Ok(if bad { Exit::Bad } else { Exit::Ok }),
    }
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
}

/// The store that is checked, and the evidence from outside it.
struct Place {
    verifier: Verifier,
    known_manifests: KnownManifests,
    /// Names that are no regular files, by user: they must not be opened.
    no_files: BTreeMap<UserId, Vec<String>>,
}

impl Place {
    async fn of_settings(settings: &Settings, named: Option<&[UserId]>) -> Result<Self, CliError> {
        let store = compose::archive_store(settings).await?;
        let known_manifests = KnownManifests::open(settings, named, &*store).await;
        let verifier = Verifier {
            store,
            schema: Schema::new(),
            downloaded: false,
        };
        Ok(Self {
            verifier,
            known_manifests,
            no_files: BTreeMap::new(),
        })
    }

    fn of_folder(folder: &Path) -> Result<Self, CliError> {
        let unreadable = |error| CliError::usage(format!("--folder {}: {error}", folder.display()));
        let mut found = folders(folder).map_err(unreadable)?;
        let Some(directory) = found.pop_first() else {
            return Err(CliError::bad(format!(
                "{} has no object of any user",
                folder.display()
            )));
        };

        if let Some(other) = found.first() {
            return Err(CliError::usage(format!(
                "objects are in {} and in {}; name one of them",
                directory.display(),
                other.display()
            )));
        }
        let no_files = no_files(&directory).map_err(unreadable)?;
        let store = compose::directory_store(&directory)?;
        let verifier = Verifier {
            store,
            schema: Schema::new(),
            downloaded: true,
        };

        Ok(Self {
            verifier,
            known_manifests: KnownManifests::None,
            no_files,
        })
    }

    /// The users to check, with what is already known to be stored of them.
    async fn wanted(
        &self,
        named: Option<Vec<UserId>>,
    ) -> Result<BTreeMap<UserId, Option<Holdings>>, CliError> {
        let store = &*self.verifier.store;
        let Some(named) = named else {
            let all = holdings(store, None).await?;
            return Ok(all
                .into_iter()
                .map(|(user_id, held)| (user_id, Some(held)))
                .collect());
        };

        if named.len() < MANY {
            return Ok(named.into_iter().map(|user_id| (user_id, None)).collect());
        }
        let mut all = holdings(store, None).await?;

        Ok(named
            .into_iter()
            .map(|user_id| (user_id, Some(all.remove(&user_id).unwrap_or_default())))
            .collect())
    }

    /// Checks a user. A user with findings is checked again, because a worker may have changed the objects in between.
    async fn check(&self, user_id: UserId, held: Option<Holdings>) -> Result<Verdict, Failure> {
        if let Some(names) = self.no_files.get(&user_id) {
            return Ok(Verdict::unopened(user_id, names));
        }
        let verdict = self.try_check(user_id, held).await?;
        if verdict.ok || self.verifier.downloaded {
            Ok(verdict)
        } else {
            self.try_check(user_id, None).await
        }
    }

    async fn try_check(
        &self,
        user_id: UserId,
        mut held: Option<Holdings>,
    ) -> Result<Verdict, Failure> {
        let mut tries = 1;
        loop {
            match self.check_once(user_id, held.take()).await {
                Err(failure) if tries < TRIES && failure.class != Class::Defect => {
                    tracing::debug!(%user_id, %failure, "the check is tried again");
                    tokio::time::sleep(Duration::from_secs(1) * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn check_once(
        &self,
        user_id: UserId,
        held: Option<Holdings>,
    ) -> Result<Verdict, Failure> {
        let evidence = self.known_manifests.of(user_id).await;
        let held = match held {
            Some(held) => held,
            None => holdings(&*self.verifier.store, Some(user_id))
                .await?
                .remove(&user_id)
                .unwrap_or_default(),
        };
        self.verifier.check(user_id, &held, &evidence).await
    }
}

struct Report {
    verdicts: Vec<Verdict>,
    /// Why the remaining users were not checked.
    stopped_by: Option<Failure>,
}

async fn check_all(place: &Arc<Place>, wanted: BTreeMap<UserId, Option<Holdings>>) -> Report {
    let bar = bar(wanted.len() as u64, "users");
    let mut checks = stream::iter(wanted)
        .map(|(user_id, held)| {
            let place = Arc::clone(place);
            AbortOnDropHandle::new(tokio::spawn(
                async move { place.check(user_id, held).await },
            ))
        })
        .buffer_unordered(AT_ONCE);
    let mut verdicts = Vec::new();
    let mut stopped_by = None;
    let mut bytes = 0;
    let mut bad = 0;

    while let Some(checked) = checks.next().await {
        match checked.unwrap_or_else(|error| {
            Err(Failure::new(
                Class::Defect,
                Code::Panicked,
                error.to_string(),
            ))
        }) {
            Ok(verdict) => {
                bytes += verdict.bytes;
                bad += usize::from(!verdict.ok);
                verdicts.push(verdict);
                bar.inc(1);
                bar.set_message(format!(", {} read, {bad} bad", HumanBytes(bytes)));
            }
            Err(failure) => {
                stopped_by = Some(failure);
                break;
            }
        }
    }
    bar.finish_and_clear();
    verdicts.sort_by_key(|verdict| verdict.user_id);

    Report {
        verdicts,
        stopped_by,
    }
}

impl Report {
    fn print(&self, place: &Place, args: &Args, now: Timestamp) -> Result<(), CliError> {
        let bad = self.verdicts.iter().filter(|verdict| !verdict.ok).count();
        let (archives, bytes) = self
            .verdicts
            .iter()
            .fold((0, 0), |(archives, bytes), verdict| {
                (archives + verdict.archives, bytes + verdict.bytes)
            });
        let location = place.verifier.store.location();

        if args.output.output == Output::Json {
            return print_json(&json!({
                "location": location,
                "downloaded": place.verifier.downloaded,
                "checkedAt": now,
                "totals": { "users": self.verdicts.len(), "bad": bad, "archives": archives, "bytes": bytes },
                "stoppedBy": self.stopped_by,
                "cannotFind": cannot_find(place, args),
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
        let limit = if place.verifier.downloaded {
            "; a download has no versions and locks, so these were not checked"
        } else {
            ""
        };
        say(format!(
            "{users} users checked in {location}, {bad} not ok; {archives} archives read ({}){limit}",
            HumanBytes(bytes)
        ));
        for what in cannot_find(place, args) {
            say(format!("this check cannot find: {what}"));
        }

        Ok(())
    }
}

/// What the check cannot find.
fn cannot_find(place: &Place, args: &Args) -> Vec<&'static str> {
    let is_everyone = args.users.is_empty() && args.file.file.is_none();
    let whole = "users of whom the store holds no object (any more): only users with a stored object are checked; name users \
                 to report missing ones";
    let together = match (place.verifier.downloaded, &place.known_manifests) {
        (true, _) => {
            "a manifest, its seal and its archive that were rewritten or invented together"
        }
        (false, KnownManifests::None) => {
            "a manifest, its seal and its archive that were rewritten or invented together, if the bucket keeps no \
             versions; no checkpoint was compared"
        }
        (false, KnownManifests::Live(_) | KnownManifests::Known(_)) => {
            "a manifest, its seal and its archive that were rewritten or invented together, of users of whom the bucket has no other version \
             and no checkpoint exists"
        }
    };
    let others =
        "changes of holds, pauses, the audit log and copies of dead letters: they are not checked";

    is_everyone
        .then_some(whole)
        .into_iter()
        .chain([together, others])
        .collect()
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
    let read = HumanBytes(verdict.bytes);

    [
        verdict.user_id.to_string(),
        "ok".to_owned(),
        format!("{state}{manifests}, {read} of archives{under_way}"),
    ]
}

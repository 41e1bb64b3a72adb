use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use super::columns;
use super::exit::{CliError, Exit};
use super::output::{say, table};
use super::simulator::settings as settings_for;
use crate::clock::Clock;
use crate::profile::TenantProfile;
use crate::simulator::{DeletionAnswer, Entry, Options, Record, Simulator, start};

/// Off-boards a dozen users without any server, with one crash and the resume after it
///
/// A simulator replaces the tenant, and embedded stores replace Redis and S3. The demo starts `offboarder run` as a process of
/// its own, kills it in the middle of a user, and starts it again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  offboarder demo --directory /tmp/demo\n  offboarder demo --profile genesys"
)]
pub(crate) struct Args {
    /// Directory for archives, manifests and checkpoints; the demo creates a folder of its own in it
    #[arg(long, default_value = "offboarder-data", value_name = "DIR")]
    directory: PathBuf,
    /// Whose API the simulator serves: tutorial, cxone or genesys
    #[arg(long, default_value_t, value_name = "PROFILE")]
    profile: TenantProfile,
}

/// The user in progress when the process is killed: its archive has many pages.
const LONG: &str = "00000001-de30-4000-8000-00000000000c";
/// Calls that give a page of conversations, as the profiles name them.
const PAGES: [&str; 3] = [
    "next_conversations",
    "query_conversations",
    "list_completed_contacts",
];
/// Calls that deactivate a user.
const DEACTIVATIONS: [&str; 3] = ["put_scim_user", "set_user_state", "deactivate_users"];
/// The process is killed after this number of pages of that archive.
const PAGES_BEFORE_THE_KILL: usize = 12;

pub(super) async fn run(args: &Args) -> Result<Exit, CliError> {
    let stamp = Clock::system().now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let place = args.directory.join(format!("demo-{stamp}"));
    std::fs::create_dir_all(&place)
        .map_err(|error| CliError::usage(format!("cannot make {}: {error}", place.display())))?;
    let place = place.canonicalize().map_err(CliError::bad)?;
    let users = population(args.profile);
    let tenant = SimulatedTenant::start(args.profile, &users).await?;
    let simulator = &tenant.simulator;
    let list = users
        .iter()
        .map(|record| record.id.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(place.join("leavers.txt"), list).map_err(CliError::bad)?;

    say(format!(
        "{} users are to be off-boarded. The simulator of the profile {} serves them at {}.",
        users.len(),
        args.profile,
        simulator.base_uri()
    ));
    let first = offboard(&place, &tenant, "first.log")?;
    let pid = first.id().unwrap_or_default();
    say(format!(
        "Process {pid} (`offboarder run --file leavers.txt`) off-boards them …"
    ));
    kill_in_the_middle(first, simulator).await?;
    let before = simulator.ledger();
    say(format!(
        "Process {pid} was killed (SIGKILL) after {} calls, in the middle of the archive of {LONG}.",
        before.len()
    ));

    let begun = Instant::now();
    let second = offboard(&place, &tenant, "second.log")?;
    say(format!(
        "Process {} is the same command again, and resumes …",
        second.id().unwrap_or_default()
    ));
    let output = second.wait_with_output().await.map_err(CliError::bad)?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        CliError::bad(format!(
            "no answer ({error}); see {}",
            place.join("second.log").display()
        ))
    })?;
    say(format!(
        "It ended after {:.1} s.",
        begun.elapsed().as_secs_f64()
    ));
    say("");

    Ok(show(&place, &users, &answer, &before, &simulator.ledger()))
}

/// Shows what each process did.
fn show(place: &Path, users: &[Record], answer: &Value, before: &[Entry], after: &[Entry]) -> Exit {
    let rows = users
        .iter()
        .map(|record| row(record, answer, before, after, place));
    say(table(columns::DEMO, rows));
    let repeated = repeated_writes(after);
    say(format!("Writes that were repeated: {repeated}."));
    say(format!(
        "Archives and manifests: {}",
        place.join("archive").display()
    ));
    say(format!(
        "  one manifest:         {}",
        place
            .join("archive")
            .join(format!("{LONG}_audit.json"))
            .display()
    ));
    say(format!(
        "Checkpoints:            {}",
        place.join("checkpoints.redb").display()
    ));
    say("");
    say("Next steps:");
    for command in next_steps(place) {
        say(format!("  {command}"));
    }
    let ended = users
        .iter()
        .all(|record| result_of(record, answer).is_some_and(|(result, _)| result == "finished"));

    if ended && repeated == 0 {
        Exit::Ok
    } else {
        Exit::Bad
    }
}

/// Commands that read what the demo left; they work as they are printed.
fn next_steps(place: &Path) -> [String; 3] {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "offboarder".to_owned());
    let archive = place.join("archive");
    let archive = archive.display();
    let stores = format!(
        "--archive-url 'file:{archive}' --checkpoints-url 'file:{}'",
        place.display()
    );
    [
        format!("{program} verify --folder '{archive}'"),
        format!("{program} status {LONG} {stores}"),
        format!("less '{archive}/{LONG}_audit.json'"),
    ]
}

/// A simulator, and the settings for it.
struct SimulatedTenant {
    simulator: Simulator,
    options: Options,
}

impl SimulatedTenant {
    async fn start(profile: TenantProfile, users: &[Record]) -> Result<Self, CliError> {
        let options = Options {
            profile,
            users: 0,
            latency: Duration::from_millis(15),
            latency_analytics: Some(Duration::from_millis(40)),
            delete_delay: Duration::from_millis(800),
            ..Options::default()
        };
        let simulator = start(&options).await.map_err(CliError::bad)?;
        for record in users {
            simulator.put_user(record.clone());
        }
        Ok(Self { simulator, options })
    }

    /// What a run needs to off-board these users at once, and to delete them where the vendor does.
    fn settings(&self) -> Vec<(String, String)> {
        let profile = self.options.profile;
        let mut settings = settings_for(&self.options, self.simulator.base_uri());
        let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));

        for class in ["ROUTING", "SCIM", "ANALYTICS"] {
            set(&format!("OFFBOARDER_CXONE_RATE_{class}"), "off");
        }
        set("OFFBOARDER_CXONE_SETTLE", "0s");
        if profile.preset().no_deletion.is_none() {
            set("OFFBOARDER_GUARD_DELETE", "attempt");
        }
        settings
    }
}

/// A dozen users, with the outcomes that occur in real tenants.
fn population(profile: TenantProfile) -> Vec<Record> {
    let refusal = |status: u16, code: &str| {
        Some(DeletionAnswer {
            status,
            code: Some(code.to_owned()),
        })
    };
    (1..=12_u64)
        .map(|number| Record {
            id: format!("00000001-de30-4000-8000-{number:012x}"),
            conversations: Some(match number {
                // About as many pages with each profile.
                12 if profile == TenantProfile::Genesys => 4_800,
                12 => 24_000,
                4 => 0,
                _ => number * 137,
            }),
            conversation_bytes: (number == 12).then_some(1_200),
            deletion: match number {
                3 => refusal(409, "compliance_hold"),
                // The other APIs know no such answer.
                6 if profile.is_tutorial() => refusal(405, "method_not_allowed"),
                9 => refusal(202, "accepted"),
                _ => None,
            },
            lagging_reads: u32::from(number == 7),
            active_as_string: number == 5,
            ..Record::default()
        })
        .collect()
}

/// Starts this program as a process of its own.
fn offboard(place: &Path, tenant: &SimulatedTenant, log: &str) -> Result<Child, CliError> {
    let log = std::fs::File::create(place.join(log)).map_err(CliError::bad)?;
    let program = std::env::current_exe().map_err(CliError::bad)?;
    let mut command = Command::new(program);

    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OFFBOARDER_")) {
        command.env_remove(name);
    }
    command
        .args([
            "run",
            "--file",
            "leavers.txt",
            "--requested-by",
            "demo",
            "--output",
            "json",
        ])
        .current_dir(place)
        .envs(tenant.settings())
        .env("OFFBOARDER_CHECKPOINTS_URL", "file:.")
        .env("OFFBOARDER_ARCHIVE_URL", "file:./archive")
        .env("OFFBOARDER_WORKER_CONCURRENCY", "4")
        .env("OFFBOARDER_WORKER_RETRY_BASE", "200ms")
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(CliError::bad)
}

/// Waits until the long archive is in progress, and kills the process.
async fn kill_in_the_middle(mut process: Child, simulator: &Simulator) -> Result<(), CliError> {
    let pages = |ledger: Vec<Entry>| {
        let of_the_long_one = |entry: &&Entry| {
            PAGES.contains(&entry.operation) && entry.user_id.as_deref() == Some(LONG)
        };
        ledger.iter().filter(of_the_long_one).count()
    };
    let mut look = tokio::time::interval(Duration::from_millis(10));

    while pages(simulator.ledger()) < PAGES_BEFORE_THE_KILL {
        tokio::select! {
            _ = look.tick() => {}
            ended = process.wait() => {
                let status = ended.map_err(CliError::bad)?;
                return Err(CliError::bad(format!("the first process ended by itself ({status}) before it was killed")));
            }
        }
    }
    process.kill().await.map_err(CliError::bad)
}

fn of<'a>(record: &Record, entries: &'a [Entry]) -> Vec<&'a Entry> {
    entries
        .iter()
        .filter(|entry| entry.user_id.as_deref() == Some(record.id.as_str()))
        .collect()
}

/// The last step of a user that the API has seen.
fn reached(record: &Record, entries: &[Entry]) -> &'static str {
    let did = |operations: &[&str]| {
        of(record, entries)
            .iter()
            .any(|entry| operations.contains(&entry.operation) && entry.status != 0)
    };
    match () {
        () if did(&["delete_user"]) => "deletion requested",
        () if did(&PAGES) => "archive in progress",
        () if did(&DEACTIVATIONS) => "deactivated",
        () if did(&["get_user", "get_routing_profile"]) => "begun",
        () => "waiting",
    }
}

fn result_of(record: &Record, answer: &Value) -> Option<(String, String)> {
    let rows = answer.get("users")?.as_array()?;
    let row = rows
        .iter()
        .find(|row| row.get("userId").and_then(Value::as_str) == Some(record.id.as_str()))?;
    let text = |member: &str| {
        row.get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some((text("result"), text("state")))
}

fn row(
    record: &Record,
    answer: &Value,
    before: &[Entry],
    after: &[Entry],
    place: &Path,
) -> [String; 6] {
    let manifest: Value = std::fs::read(
        place
            .join("archive")
            .join(format!("{}_audit.json", record.id)),
    )
    .ok()
    .and_then(|bytes| serde_json::from_slice(&bytes).ok())
    .unwrap_or_default();
    let member = |pointer: &str| manifest.pointer(pointer).cloned().unwrap_or_default();
    let status = member("/deletion/status")
        .as_u64()
        .map_or_else(String::new, |status| format!(" ({status})"));
    let (_, state) = result_of(record, answer).unwrap_or_default();
    let calls_before = of(record, before).len();
    let calls_after = of(record, after).len() - calls_before;

    [
        record.id.clone(),
        reached(record, before).to_owned(),
        state,
        format!(
            "{}{status}",
            member("/deletion/outcome").as_str().unwrap_or("-")
        ),
        format!("{} conversations", member("/archive/conversations")),
        format!("{calls_before} + {calls_after}"),
    ]
}

/// The number of writes that changed the same resource again.
fn repeated_writes(entries: &[Entry]) -> usize {
    let mut seen = std::collections::HashSet::new();
    entries
        .iter()
        .filter(|entry| {
            let resource = (&entry.user_id, entry.operation, &entry.path, &entry.query);
            entry.applied && !seen.insert(resource)
        })
        .count()
}

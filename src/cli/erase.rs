use std::path::PathBuf;

use serde_json::{Value, json};

use super::acting::acting;
use super::compose;
use super::exit::{CliError, Exit};
use super::new_file::write_new;
use super::output::{ActArgs, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::job::UserId;
use crate::operations::erasure::{Ordered, erase};
use crate::people::Permission;
use crate::ports::{ArchiveStore, Version};

/// One request of S3 removes at most that many objects
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>).
const OBJECTS_AT_ONCE: usize = 1000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// User ID
    #[arg(value_name = "USER_ID")]
    user_id: UserId,
    /// File to write the list of objects to; it must not exist
    #[arg(long, value_name = "F")]
    out: PathBuf,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Discard).await?;
    let user_id = args.user_id;
    if args.out.exists() {
        let out = args.out.display();
        return Err(CliError::usage(format!(
            "{out} exists, and is not overwritten; name another file"
        )));
    }
    args.act.agree(&format!(
        "What proves the off-boarding of {user_id} will be recorded as erased. Continue?"
    ))?;
    let store = compose::archive_store(settings).await?;
    let operator = args.act.operator(&acting);
    let refused = |why: String| CliError::bad(format!("{user_id} {why}; nothing was recorded"));
    match erase(&store, &Clock::system(), &operator, user_id).await? {
        Ordered::NothingStored => Err(refused("has no object in the archive store".to_owned())),
        Ordered::OnHold(hold) => Err(refused(format!(
            "is on legal hold of {}: lift the hold first, if it is over",
            hold.who
        ))),
        Ordered::InProgress => Err(refused(
            "is being off-boarded, or is a dead letter: the last archive has no manifest"
                .to_owned(),
        )),
        Ordered::Objects(versions) => list(args, &*store, &versions),
    }
}

/// Writes what `aws s3api delete-objects` reads.
fn list(args: &Args, store: &dyn ArchiveStore, versions: &[Version]) -> Result<Exit, CliError> {
    let location = store.location();
    say(format!(
        "The erasure of {} is recorded. Now remove {} versions of objects from {location}, with rights that no worker has:",
        args.user_id,
        versions.len()
    ));
    for (number, part) in (1..).zip(versions.chunks(OBJECTS_AT_ONCE)) {
        let out = match number {
            1 => args.out.clone(),
            number => PathBuf::from(format!("{}.{number}", args.out.display())),
        };
        let objects: Vec<Value> = part.iter().map(|one| named(store, one)).collect();
        write_new(&out, &json!({ "Objects": objects }).to_string())?;
        let out = out.display();
        let line = location.strip_prefix("s3://").map_or_else(
            || format!("  the files that {out} names"),
            |rest| {
                let bucket = rest.split('/').next().unwrap_or_default();
                format!("  aws s3api delete-objects --bucket {bucket} --delete file://{out}")
            },
        );
        say(line);
    }
    say(
        "Object Lock keeps an object until its retention ends. Until it is removed, it is checked as before.",
    );
    Ok(Exit::Ok)
}

fn named(store: &dyn ArchiveStore, version: &Version) -> Value {
    let key = store.full_key(&version.key);
    match &version.id {
        Some(id) => json!({ "Key": key, "VersionId": id }),
        None => json!({ "Key": key }),
    }
}

use std::path::{Path, PathBuf};

use super::compose_signers::kms_signer;
use super::exit::{CliError, Exit};
use super::new_file::write_new;
use super::output::{json as print_json, say, time, verbatim};
use super::{compose, erase};
use crate::address::kms_signing_key;
use crate::config::{Settings, Sources};
use crate::evidence_log::{
    Bundle, Checked, LogReport, NotExported, Policy, export, last_checkpoint,
};
use crate::job::UserId;
use crate::machine::StateName;
use crate::ports::read_regular;
use crate::signed_note::{KeyName, SigningKey, VerifierKey};

/// Proves to an outsider how users ended: the evidence log, its key, and files that prove one user's off-boarding
///
/// The log is on where `OFFBOARDER_EVIDENCE_ORIGIN` is set. Workers that have the key write it: set
/// `OFFBOARDER_EVIDENCE_KEY_FILE` to the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder evidence key example.com/leavers --out evidence-key
  offboarder evidence export 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --evidence-key KEY --out leaver.json
  offboarder evidence verify leaver.json --policy policy")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Makes a key, writes it to a file, and prints the verifier key; or prints that of a key in AWS KMS
    ///
    /// Only its owner can read the file, and an existing file is never overwritten. The verifier key is public: with it
    /// anybody checks what the key signed. Give it to your auditors before they need it. A key in KMS stays there, and nothing is
    /// made; it needs a binary built with `--features kms`.
    #[command(after_help = "Examples:
  offboarder evidence key example.com/leavers --out evidence-key
  offboarder evidence key example.com/leavers --kms alias/evidence-log")]
    Key {
        /// Name of the log, e.g. a host name of yours and a path; it never changes
        #[arg(value_name = "ORIGIN", value_parser = origin)]
        origin: KeyName,
        #[command(flatten)]
        place: KeyPlace,
    },
    /// Writes the manifests of a user, and the proofs that they are in the log, to one file
    ///
    /// It reads the log from its first step on, and checks it. The exit status is 1 if the user has no manifest, or one
    /// that is not in the log; a new one comes into it within about a minute.
    #[command(after_help = "Example:
  offboarder evidence export 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --evidence-key KEY --out leaver.json")]
    Export {
        /// User ID
        #[arg(value_name = "USER_ID")]
        user_id: UserId,
        /// Verifier key of the log, which `evidence key` printed; again for each key that the log had
        #[arg(long, value_name = "KEY", value_parser = verifier, required = true)]
        evidence_key: Vec<VerifierKey>,
        /// File to write to, in place of standard output; it must not exist
        #[arg(long, value_name = "F")]
        out: Option<PathBuf>,
    },
    /// Prints the last checkpoint of the log, with the signatures of witnesses
    ///
    /// Keep it where those who administer the bucket cannot write: `verify --checkpoint` finds a log that was cut off, or
    /// written again, since.
    #[command(
        after_help = "Example:\n  offboarder evidence checkpoint --evidence-key KEY > checkpoint-2026-11-30"
    )]
    Checkpoint {
        /// Verifier key of the log, which `evidence key` printed; again for each key that the log had
        #[arg(long, value_name = "KEY", value_parser = verifier, required = true)]
        evidence_key: Vec<VerifierKey>,
    },
    /// Records that everything the archive store has of a user is erased, and lists the objects to remove
    ///
    /// No process of offboarder may delete from the archive store: an administrator of the bucket does it, with the list. The
    /// record says who, when and why; then `verify` and `report` say "erased", and not that something is missing. The digests in the
    /// evidence log remain. A user on legal hold, or whose off-boarding has not ended, is refused.
    #[command(after_help = "Example:
  offboarder evidence erase 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --out objects.json --why 'request 4711 under GDPR Art. 17'")]
    Erase(erase::Args),
    /// Checks a file of `evidence export`: no network, no settings
    ///
    /// The policy names the logs and the witnesses that you trust, after c2sp.org/tlog-policy: a line `log KEY` with the verifier
    /// key, and a line `quorum none`; or with witnesses `witness NAME KEY` and `quorum NAME`. The exit status is 1 if anything is
    /// not proved.
    #[command(after_help = "Example:\n  offboarder evidence verify leaver.json --policy policy")]
    Verify {
        /// File of `evidence export`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// File with the logs that you trust
        #[arg(long, value_name = "P")]
        policy: PathBuf,
    },
}

/// Where the private key is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KeyPlace {
    /// File to write the private key to; it must not exist
    #[arg(long, value_name = "F")]
    out: Option<PathBuf>,
    /// ID, ARN or alias of an Ed25519 key in AWS KMS
    #[arg(long, value_name = "KEY", value_parser = kms)]
    kms: Option<String>,
}

fn kms(text: &str) -> Result<String, String> {
    kms_signing_key(text).map_err(|why| format!("it {why}"))
}

fn origin(text: &str) -> Result<KeyName, String> {
    text.parse::<KeyName>().map_err(|why| format!("it {why}"))
}

pub(super) fn verifier(text: &str) -> Result<VerifierKey, String> {
    text.parse::<VerifierKey>()
        .map_err(|why| format!("it {why}"))
}

pub(super) async fn run(args: &Args, sources: impl FnOnce() -> Sources) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::Key { origin, place } => {
            if let Some(out) = &place.out {
                let key = SigningKey::generate(origin.clone()).map_err(CliError::bad)?;
                write_new(out, &key.to_secret_text())?;
                say(key.verifier().to_string());
            }
            if let Some(key) = &place.kms {
                let archive = Settings::read(&sources())?.archive;
                let signer = kms_signer(key, origin.clone(), &archive).await?;
                say(signer.verifier().to_string());
            }
            Ok(Exit::Ok)
        }
        Verb::Export {
            user_id,
            evidence_key,
            out,
        } => {
            let settings = Settings::read(&sources())?;
            let store = compose::archive_store(&settings).await?;
            let bundle = export(&*store, evidence_key, *user_id).await;
            let bundle = bundle.map_err(|why| not_exported(why, *user_id))?;
            match out {
                Some(out) => write_new(out, &bundle.to_json()?)?,
                None => print_json(&bundle)?,
            }
            Ok(Exit::Ok)
        }
        Verb::Checkpoint { evidence_key } => {
            let settings = Settings::read(&sources())?;
            let store = compose::archive_store(&settings).await?;
            let checkpoint = last_checkpoint(&*store, evidence_key).await?;
            let missing = || CliError::bad("the store has no step of a log that this key signed");
            verbatim(checkpoint.ok_or_else(missing)?.trim_end());
            Ok(Exit::Ok)
        }
        Verb::Erase(args) => Box::pin(erase::run(args, &Settings::read(&sources())?)).await,
        Verb::Verify { file, policy } => verify(file, policy),
    }
}

fn not_exported(why: NotExported, user_id: UserId) -> CliError {
    match why {
        NotExported::Nothing => CliError::bad(format!("{user_id} has no manifest in the store")),
        NotExported::NotInLog(key) => CliError::bad(format!(
            "{key} is not in the evidence log as it is stored; a new manifest comes into it within about a minute, and none from before \
             the log was on"
        )),
        NotExported::Broken(key) => CliError::bad(format!(
            "{key} does not follow from the step before: somebody changed the evidence log, or the steps before have a key that was replaced: \
             then give that one, too"
        )),
        NotExported::Failed(failure) => failure.into(),
    }
}

/// More than any file of evidence has.
const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    read_regular(path, MAX_FILE_BYTES)
        .map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
}

fn odd(path: &Path, why: &str) -> CliError {
    CliError::usage(format!("{} {why}", path.display()))
}

/// A file of text.
pub(super) fn text_of(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path)?).map_err(|_utf8| odd(path, "is not UTF-8"))
}

pub(super) fn policy_of(path: &Path) -> Result<Policy, CliError> {
    text_of(path)?
        .parse()
        .map_err(|why: String| odd(path, &why))
}

fn verify(file: &Path, policy: &Path) -> Result<Exit, CliError> {
    let trusted = policy_of(policy)?;
    let bundle = Bundle::parse(&read(file)?).map_err(|why| odd(file, &why))?;

    let mut exit = Exit::Ok;
    for checked in bundle.check(&trusted) {
        match checked {
            Ok(checked) => say_proved(&checked),
            Err(why) => {
                say(format!("NOT PROVED  {why}"));
                exit = Exit::Bad;
            }
        }
    }
    Ok(exit)
}

fn say_proved(checked: &Checked) {
    let manifest = &checked.manifest;
    let archive = &manifest.archive.archive;
    say(format!(
        "proved  {}: {} at {}, leaf {} of {} in the log {}",
        checked.key.as_str(),
        StateName::from(manifest.status),
        time(manifest.timestamp),
        checked.index,
        checked.size,
        checked.origin,
    ));
    say(format!(
        "  archive {} has the SHA-256 {}",
        archive.key, archive.sha256
    ));
}

/// What the check of the whole log found.
pub(super) fn say_log(log: &LogReport) {
    for witness in &log.witnesses {
        let seen = match (witness.leaves, witness.at) {
            (Some(leaves), Some(at)) => format!("cosigned {leaves} leaves at {}", time(at)),
            _ => "cosigned nothing that is stored".to_owned(),
        };
        say(format!("witness {}: {seen}", witness.witness));
    }
    for finding in &log.findings {
        say(format!("NOT OK  {}: {}", finding.object, finding.text));
    }
    let erased = match log.erased {
        0 => String::new(),
        count => format!("; {count} objects were erased, as records in the log say"),
    };
    let before = match log.before {
        0 => String::new(),
        count => format!("; {count} records are from before it began"),
    };
    say(format!(
        "the evidence log has {} leaves, of {} objects, {} findings{erased}{before}",
        log.leaves,
        log.records,
        log.findings.len()
    ));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_key_is_for_its_owner_only_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("key");
        let args = Args {
            verb: Verb::Key {
                origin: "example.com/log".parse().unwrap(),
                place: KeyPlace {
                    out: Some(out.clone()),
                    kms: None,
                },
            },
        };
        assert_eq!(run(&args, Sources::default).await.unwrap(), Exit::Ok);
        let mode = std::fs::metadata(&out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let written = std::fs::read_to_string(&out).unwrap();
        assert!(written.starts_with("PRIVATE+KEY+example.com/log+"));

        let error = run(&args, Sources::default).await.unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), written);
    }
}

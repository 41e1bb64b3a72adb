//! The part of the check that the evidence log answers.

use std::path::{Path, PathBuf};

use crate::cli::evidence::{policy_of, text_of, verifier};
use crate::cli::exit::CliError;
use crate::clock::Clock;
use crate::evidence_log::{Erased, LogReport, Policy, check_log};
use crate::ports::ArchiveStore;
use crate::registers::erasures;
use crate::signed_note::VerifierKey;

#[derive(Debug, Default, clap::Args)]
pub(super) struct LogArgs {
    /// Also check the evidence log of this verifier key against all objects, which finds what was removed or invented; give the
    /// option again for each key that the log had
    #[arg(long, value_name = "KEY", value_parser = verifier)]
    evidence_key: Vec<VerifierKey>,
    /// The same with the keys and the witnesses of a file after c2sp.org/tlog-policy
    #[arg(long, value_name = "P", conflicts_with = "evidence_key")]
    policy: Option<PathBuf>,
    /// The log has to begin with the tree of this checkpoint, which you kept or got from a witness; again for more of them
    #[arg(long, value_name = "F")]
    checkpoint: Vec<PathBuf>,
}

impl LogArgs {
    /// What the evidence log says, if its keys were given.
    pub(super) async fn check(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Option<LogReport>, CliError> {
        let Some(policy) = self.policy()? else {
            if self.checkpoint.is_empty() {
                return Ok(None);
            }
            return Err(CliError::usage(
                "--checkpoint needs the key of the log; give --evidence-key or --policy, too",
            ));
        };
        let kept: Result<Vec<String>, CliError> = self
            .checkpoint
            .iter()
            .map(|path: &PathBuf| text_of(Path::new(path)))
            .collect();
        let erased = erasures(store, None).await?.into_values().flatten();
        let erased: Erased = erased.map(|one| (one.0, one.1.objects)).collect();
        let now = Clock::system().now();
        let report = check_log(store, &policy, &kept?, &erased, now).await?;
        Ok(Some(report))
    }

    fn policy(&self) -> Result<Option<Policy>, CliError> {
        match &self.policy {
            Some(path) => policy_of(path).map(Some),
            None if self.evidence_key.is_empty() => Ok(None),
            None => Ok(Some(Policy::of_logs(self.evidence_key.clone()))),
        }
    }

    pub(super) const fn is_given(&self) -> bool {
        !self.evidence_key.is_empty() || self.policy.is_some()
    }

    pub(super) const fn has_checkpoint(&self) -> bool {
        !self.checkpoint.is_empty()
    }
}

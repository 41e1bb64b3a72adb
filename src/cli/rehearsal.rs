//! `run --rehearsal`: one user that nobody needs is off-boarded, without a deletion, and what the tenant answered is written
//! to a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::exit::CliError;
use super::input::notice;
use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::DeletePolicy;
use crate::machine::{Call, Checkpoint, StateName};
use crate::operations::rehearsal::{Rehearsal, answers, without_ids};
use crate::steps::Services;

/// A rehearsal under way.
pub(super) struct Rehearsing {
    user_id: UserId,
    file: PathBuf,
    document: Rehearsal,
}

impl Rehearsing {
    /// Reads the tenant and the user before the first write. Without a file that can be written nothing begins, and
    /// from here on no deletion is attempted.
    pub(super) async fn begin(services: &mut Services, user_id: UserId) -> Result<Self, CliError> {
        services.delete = DeletePolicy::Never;
        let profile = services.tenant.profile();
        let now = services.clock.now();
        let file = PathBuf::from(format!(
            "rehearsal-{profile}-{}.json",
            now.strftime("%Y%m%dT%H%M%SZ")
        ));
        create(&file)?;

        let mut document = Rehearsal::new(profile, now);
        document.before = answers(&services.tenant.survey(None).await);
        let of_user = answers(&services.tenant.survey(Some(user_id)).await);
        document.before.extend(of_user);
        Ok(Self {
            user_id,
            file,
            document,
        })
    }

    /// Reads again, repeats what may be repeated, and writes the file, however the off-boarding ended.
    pub(super) async fn end(mut self, services: &Services) -> Result<(), CliError> {
        let mut calls = Vec::new();
        match services.checkpoints.read(self.user_id).await {
            Ok(Some(checkpoint)) => calls = self.note(checkpoint),
            Ok(None) => {}
            Err(failure) => self.document.failure = Some(shown(&failure)),
        }

        self.document.after = answers(&services.tenant.survey(Some(self.user_id)).await);
        // Only of a user that this off-boarding led to its end, and that nothing protects now.
        if self.document.end == Some(StateName::DeactivatedOnly)
            && matches!(services.protection(self.user_id).await, Ok(None))
        {
            let repeated = services.tenant.repeat_writes(self.user_id, &calls);
            self.document.repeated = answers(&repeated.await);
        }
        write(&self.file, &self.document)?;
        notice(&format!(
            "What the tenant answered is in {}: no ID, name, number or host is in it. Read it before you give it away.",
            self.file.display()
        ));
        Ok(())
    }

    /// Notes how far the off-boarding came, and returns its calls.
    fn note(&mut self, checkpoint: Checkpoint) -> Vec<Call> {
        self.document.add_steps(&checkpoint.steps);
        self.document.end = Some(checkpoint.state.name());
        self.document.failure = checkpoint.last_failure.as_ref().map(shown);
        let access = checkpoint.state.access();
        self.document.residual = access
            .into_iter()
            .flat_map(|access| &access.queues.residual)
            .map(|left| left.kind.clone())
            .collect();
        let done = checkpoint.steps.into_iter().flat_map(|step| step.calls);
        done.chain(checkpoint.step.calls).collect()
    }
}

fn shown(failure: &Failure) -> String {
    without_ids(&format!("{}: {}", failure.code, failure.text))
}

fn create(file: &Path) -> Result<(), CliError> {
    std::fs::File::create_new(file).map(drop).map_err(|error| {
        CliError::usage(format!(
            "cannot write {}: {error}; run the rehearsal in a directory where a file can be written",
            file.display()
        ))
    })
}

fn write(file: &Path, document: &Rehearsal) -> Result<(), CliError> {
    let text = serde_json::to_vec_pretty(document).map_err(CliError::bad)?;
    let mut out = std::fs::File::create(file).map_err(CliError::bad)?;
    out.write_all(&text)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(CliError::bad)
}

//! `--plan`: the users of a stored plan.

use std::collections::BTreeMap;

use crate::cli::acting::Acting;
use crate::cli::exit::CliError;
use crate::cli::input::InputArgs;
use crate::cli::plan::Office;
use crate::config::Settings;
use crate::guards::End;
use crate::guards::approval::PlanDocument;
use crate::job::{PlanName, UserId};
use crate::operations::plans::rows;

/// A plan whose users are submitted.
pub(super) struct PlannedUsers {
    office: Office,
    pub(super) name: PlanName,
    plan: PlanDocument,
    ends: BTreeMap<UserId, End>,
}

impl PlannedUsers {
    /// Fails where the plan permits no deletion any more. It need not be approved yet: access ends without an approval.
    pub(super) async fn read(settings: &Settings, digest: &str) -> Result<Self, CliError> {
        let office = Office::open(settings).await?;
        let desk = office.desk();
        let name = desk.find(digest).await?;
        let now = desk.applicable(&name).await?;
        let users = desk.users(&now.plan).await?.into_iter();
        let ends = users.map(|user| (user.user_id, user.end)).collect();
        Ok(Self {
            name,
            ends,
            plan: now.plan,
            office,
        })
    }

    /// The same options, with the batch and the reason of the plan where they say none.
    pub(super) fn options(&self, args: &InputArgs) -> Result<InputArgs, CliError> {
        let mut args = args.clone();
        if args.batch_id.is_some() && args.batch_id != self.plan.batch {
            return Err(CliError::usage(
                "--batch-id is not the batch of the plan; leave it out",
            ));
        }
        args.batch_id.clone_from(&self.plan.batch);
        if args.reason.is_none() {
            args.reason.clone_from(&self.plan.why);
        }
        Ok(args)
    }

    pub(super) fn rows(&self) -> Vec<u8> {
        rows(self.ends.iter())
    }

    pub(super) fn forbid(&self, user_id: UserId) -> Option<String> {
        let is_named = self.ends.contains_key(&user_id);
        (!is_named).then(|| "the plan does not name the user".to_owned())
    }

    /// Notes that all messages were sent.
    pub(super) async fn applied(&self, acting: &Acting) -> Result<(), CliError> {
        let by = Office::signatory_of(acting, acting.operator(None))?;
        Ok(self.office.desk().applied(&self.name, &by).await?)
    }
}

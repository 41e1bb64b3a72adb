//! Settings made into what deciding about plans needs.

use std::sync::Arc;

use crate::cli::acting::{Acting, identify};
use crate::cli::compose;
use crate::cli::compose_documents;
use crate::cli::exit::CliError;
use crate::clock::Clock;
use crate::config::{Admin, Settings};
use crate::guards::approval::SignedInBy;
use crate::limits::ApprovalRule;
use crate::operations::plans::{PlanDesk, PlanError, Signatory};
use crate::people::{People, Permission};
use crate::ports::ArchiveStore;
use crate::registers::audit_log::Operator;
use crate::secret::Secret;

pub(crate) struct Office {
    admin: Admin,
    pub(super) store: Arc<dyn ArchiveStore>,
    people: People,
    pub(super) rule: ApprovalRule,
    pub(super) clock: Clock,
}

impl Office {
    pub(crate) async fn open(settings: &Settings) -> Result<Self, CliError> {
        let Some(register) = compose_documents::people(settings).await? else {
            return Err(CliError::usage(
                "OFFBOARDER_ADMIN_PEOPLE: is not set; a plan is approved by a person of it",
            ));
        };
        let store = compose::archive_store(settings).await?;
        let rule = compose_documents::rule_in_force(settings, &store).await?;
        Ok(Self {
            admin: settings.admin.clone(),
            people: register.load().await?,
            store,
            rule,
            clock: Clock::system(),
        })
    }

    pub(crate) fn desk(&self) -> PlanDesk<'_> {
        PlanDesk {
            store: &self.store,
            people: &self.people,
            rule: self.rule,
            clock: &self.clock,
        }
    }

    /// The person of `OFFBOARDER_PERSON_KEY`, who may do this.
    pub(crate) fn signatory(
        &self,
        permission: Permission,
        operator: impl FnOnce(&Acting) -> Operator,
    ) -> Result<Signatory, CliError> {
        let acting = identify(&self.people, &self.admin, permission)?;
        Self::signatory_of(&acting, operator(&acting))
    }

    pub(crate) fn signatory_of(acting: &Acting, operator: Operator) -> Result<Signatory, CliError> {
        let (Some(name), Some(role)) = (acting.person.clone(), acting.role) else {
            return Err(CliError::usage(
                "only a person of OFFBOARDER_ADMIN_PEOPLE decides about plans",
            ));
        };
        Ok(Signatory {
            name,
            role,
            signed_in_by: SignedInBy::Key,
            operator,
        })
    }

    /// The second key of an admin.
    pub(super) fn break_glass_key(&self) -> Result<&str, CliError> {
        let key = self.admin.break_glass_key.as_ref().map(Secret::expose);
        key.ok_or_else(|| {
            CliError::refused(
                "--break-glass needs your second key: OFFBOARDER_BREAK_GLASS_KEY, or OFFBOARDER_BREAK_GLASS_KEY_FILE; \
                 `offboarder people add NAME --role admin --break-glass` makes one",
            )
        })
    }
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Failed(failure) => failure.into(),
            PlanError::NoSuchPlan(text) => Self::bad(text),
            PlanError::Refused(_, text) => Self::refused(text),
        }
    }
}

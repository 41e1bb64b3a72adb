//! Who runs a command that changes something, and whether that person may.

use std::sync::Arc;

use serde_json::json;

use super::compose_documents;
use super::exit::CliError;
use crate::clock::Clock;
use crate::config::{Admin, Settings};
use crate::job::BatchId;
use crate::people::{People, Permission, Role};
use crate::ports::ArchiveStore;
use crate::printable;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::telemetry::metrics;

/// Who acts, as the audit log names it.
pub(super) struct Acting {
    pub(super) who: String,
    /// The name of the person; `None` where people are not set, and `who` is a claim.
    pub(super) person: Option<String>,
    /// The role of the person.
    pub(super) role: Option<Role>,
}

impl Acting {
    /// The user of this machine, which is a claim.
    pub(super) fn local() -> Self {
        Self {
            who: local_user(),
            person: None,
            role: None,
        }
    }

    pub(super) fn operator(&self, why: Option<String>) -> Operator {
        Operator {
            who: self.who.clone(),
            why,
        }
    }

    /// Writes that a person sends users, whose messages name only whom the sender says. Without people it would record a
    /// claim.
    pub(super) async fn record(
        &self,
        what: &'static str,
        store: &Arc<dyn ArchiveStore>,
        users: u64,
        batch: Option<&BatchId>,
        why: Option<String>,
    ) -> Result<(), CliError> {
        if self.person.is_none() {
            return Ok(());
        }
        let operator = self.operator(why);
        let change = Change {
            what,
            count: usize::try_from(users).unwrap_or(usize::MAX),
            details: json!({ "batch": batch }),
        };
        let log = AuditLog::new(Arc::clone(store), Clock::system());
        log.record(&operator, change).await?;
        Ok(())
    }
}

/// The person of `OFFBOARDER_PERSON_KEY`, who has this permission. Without people, it is the user of this machine.
pub(super) async fn acting(
    settings: &Settings,
    permission: Permission,
) -> Result<Acting, CliError> {
    match compose_documents::people(settings).await? {
        Some(register) => identify(&register.load().await?, &settings.admin, permission),
        None if settings.admin.person_key.is_some() => Err(CliError::usage(
            "OFFBOARDER_PERSON_KEY is set, but no people are, who could have that key; set OFFBOARDER_ADMIN_PEOPLE as the workers have it",
        )),
        None => Ok(Acting::local()),
    }
}

/// The same, of people who were read.
pub(super) fn identify(
    people: &People,
    admin: &Admin,
    permission: Permission,
) -> Result<Acting, CliError> {
    let Some(key) = &admin.person_key else {
        return Err(CliError::refused(format!(
            "to {} you need a key: set OFFBOARDER_PERSON_KEY, or OFFBOARDER_PERSON_KEY_FILE; an admin makes one with \
             `offboarder people add`",
            permission.act()
        )));
    };
    let Some(person) = people.with_key(key.expose()) else {
        tracing::warn!("the key of OFFBOARDER_PERSON_KEY is in no people file");
        return Err(CliError::refused(
            "the key of OFFBOARDER_PERSON_KEY belongs to nobody in the people file; ask an admin for `offboarder people add`",
        ));
    };
    if !person.role.may(permission) {
        metrics::denied(permission);
        tracing::warn!(
            who = person.name,
            role = person.role.as_str(),
            permission = permission.as_str(),
            "a person asked for what the role does not permit"
        );
        return Err(CliError::refused(person.role.refusal(permission)));
    }
    Ok(Acting {
        who: format!("{}, by the command line of {} (key)", person.name, host()),
        person: Some(person.name.clone()),
        role: Some(person.role),
    })
}

/// The user of this machine, as the environment says: a claim.
fn local_user() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let who = format!("{}@{}", user.as_deref().unwrap_or("unknown"), host());
    printable::line(&who).into_owned()
}

/// The name of this machine.
fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    printable::line(host.trim()).into_owned()
}

//! `plan rule`: a weaker rule of approvals.

use super::desk::Office;
use super::shown::facts;
use crate::cli::compose;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{ActArgs, say};
use crate::config::TenantSettings;
use crate::operations::plans::Saving;
use crate::people::Permission;
use crate::registers::plan::Planned;

/// Stores a plan that asks for the rule of the settings, which is weaker than the one in force.
pub(super) async fn ask(settings: &TenantSettings, act: &ActArgs) -> Result<Exit, CliError> {
    let office = Office::open(&settings.base).await?;
    let wanted = settings.base.guard.approval;
    if !wanted.is_weaker_than(office.rule) {
        say(format!(
            "nothing to ask for: the rule in force is {}, and the settings are not weaker",
            office.rule
        ));
        return Ok(Exit::Ok);
    }
    act.ask_why()?;
    let by = office.signatory(Permission::Submit, |acting| act.operator(acting))?;
    let services = compose::unproven_services(&settings.base, &settings.cxone, "plan").await?;
    let saving = Saving {
        batch: None,
        at: office.clock.now(),
        of: Planned::Rule(wanted),
    };
    let view = office.desk().save(&services, saving, &by).await?;
    say(format!(
        "stored; another person approves it with `offboarder plan approve {digest} --count 0`, and then `offboarder plan rule \
         --apply {digest}` puts it in force",
        digest = view.digest
    ));
    facts(&view).into_iter().for_each(say);
    Ok(Exit::Ok)
}

/// Puts the rule of an approved plan in force.
pub(super) async fn apply(office: &Office, digest: &str, act: &ActArgs) -> Result<Exit, CliError> {
    let desk = office.desk();
    let name = desk.find(digest).await?;
    facts(&desk.show(&name).await?).into_iter().for_each(say);
    act.agree("every worker will follow this rule. Continue?")?;
    let by = office.signatory(Permission::Submit, |acting| act.operator(acting))?;
    let rule = desk.weaken_rule(&name, &by).await?;
    say(format!(
        "the rule of approvals in force is {rule}; workers follow within a minute, if their settings say so"
    ));
    Ok(Exit::Ok)
}

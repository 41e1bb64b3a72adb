//! How stored plans are shown.

use crate::cli::output::time;
use crate::guards::approval::PlannedUser;
use crate::job::PlanName;
use crate::operations::plans::{Said, StoredPlan};

/// How many users of a plan a table names.
pub(super) const NAMED_USERS: usize = 100;

/// Enough of a digest for a table; commands accept it.
pub(super) fn short(name: &PlanName) -> String {
    name.to_string().chars().take(16).collect()
}

pub(super) fn list_rows(plan: &StoredPlan) -> [String; 6] {
    let said = plan.said.as_ref();
    let text = |of: &dyn Fn(&Said) -> String| said.map_or_else(|| "unknown".to_owned(), of);
    [
        short(&plan.digest),
        plan.state.as_str().to_owned(),
        text(&|said| said.totals.delete.to_string()),
        text(&|said| said.by.clone()),
        text(&|said| time(said.at)),
        text(&|said| {
            said.batch
                .as_ref()
                .map_or_else(String::new, ToString::to_string)
        }),
    ]
}

pub(super) fn user_rows(user: &PlannedUser) -> [String; 4] {
    let name = user.observed.user_name.clone();
    [
        user.user_id.to_string(),
        user.end.as_str().to_owned(),
        name.unwrap_or_else(|| "unknown".to_owned()),
        user.guard.clone().unwrap_or_default(),
    ]
}

/// One line for each fact, so that no digest is broken on a narrow terminal.
pub(super) fn facts(plan: &StoredPlan) -> Vec<String> {
    let why_not = plan.why_not.as_ref();
    let mut lines = vec![
        format!("plan: {}", plan.digest),
        format!(
            "state: {}{}",
            plan.state.as_str(),
            why_not.map_or_else(String::new, |why| format!(": {why}"))
        ),
    ];
    if let Some(said) = &plan.said {
        let why = said.why.as_ref();
        lines.push(format!(
            "made by: {}, {}{}",
            said.by,
            time(said.at),
            why.map_or_else(String::new, |why| format!(": {why}"))
        ));
        lines.extend(said.batch.as_ref().map(|batch| format!("batch: {batch}")));
        let totals = &said.totals;
        lines.push(match &said.rule {
            Some(rule) => format!("asks for the rule of approvals: {rule}"),
            None => format!(
                "users: {}: {} to delete, {} to deactivate only, {} held, {} protected, {} done, {} not found",
                totals.users,
                totals.delete,
                totals.deactivate_only,
                totals.held,
                totals.protected,
                totals.done,
                totals.not_found
            ),
        });
        lines.push(format!("approvals until: {}", time(said.expires)));
    }
    for approval in &plan.approvals {
        let alone = if approval.break_glass {
            ", in an emergency, without a second person"
        } else {
            ""
        };
        lines.push(format!(
            "approved by: {} ({}), {}{alone}",
            approval.person,
            approval.role,
            time(approval.at)
        ));
    }
    if plan.moved > 0 {
        lines.push(format!(
            "{} users changed after the plan was made; they are not deleted by it",
            plan.moved
        ));
    }
    lines.extend(plan.applied_at.map(|at| format!("sent: {}", time(at))));
    lines
}

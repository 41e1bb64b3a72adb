//! Who makes a change, and why.

use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::Line;
use crate::people::Permission;
use crate::registers::audit_log::Operator;

/// Who makes the change, and why; the audit log names both
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    pub(super) who: Option<Line>,
    /// The reason, for the readers of the audit log.
    pub(super) why: Line,
}

impl Api {
    /// The operator for the audit log: the person, or the name that the client gives, the worker that was asked, and how the
    /// caller was recognised. Every change needs an operator, so none can be made without its permission.
    pub(super) fn operator(
        &self,
        Signed { who, why }: Signed,
        caller: &Caller,
        permission: Permission,
    ) -> Result<Operator, Problem> {
        caller.demand(permission)?;
        let who = format!(
            "{}, by the admin API of {} ({})",
            caller.signer(who.as_ref().map(Line::as_str))?,
            self.0.worker,
            caller.sign_in.as_str()
        );
        Ok(Operator {
            who,
            why: Some(why.as_str().to_owned()),
        })
    }
}

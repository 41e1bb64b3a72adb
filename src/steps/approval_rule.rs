//! Which rule of approvals applies, and what is read of a user to compare it with a plan.

use std::time::Duration;

use tokio::time::Instant;

use super::Services;
use super::approval_guard::{Needed, needed};
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::guards::approval::Observed;
use crate::job::UserId;
use crate::limits::ApprovalRule;
use crate::ports::UNKNOWN_ROUTING;
use crate::registers::{RuleInForce, keep_rule, rule_in_force};

/// How long the stored rule is used before it is read again.
const RULE_GOOD_FOR: Duration = Duration::from_mins(1);

impl Services {
    /// Stores the rule of the settings if it is stricter than what is stored, so that a worker with weaker settings
    /// follows it, too.
    pub(crate) async fn keep_approval_rule(&self) -> Result<(), Failure> {
        let guard = &self.approval;
        let now = self.clock.now();
        let begun = Instant::now();
        let in_force = keep_rule(&*self.archive_store, guard.settings, now).await?;
        self.use_rule(&in_force);
        *guard.rule.lock().await = Some((begun, in_force));
        Ok(())
    }

    /// The rule in force as of at most a minute ago.
    pub(crate) async fn approval_rule(&self) -> Result<ApprovalRule, Failure> {
        let guard = &self.approval;
        // The lock is held while it is read, so that all runs of a worker share one read.
        let mut last = guard.rule.lock().await;
        if let Some((at, in_force)) = &*last
            && at.elapsed() < time_scaled(RULE_GOOD_FOR)
        {
            return Ok(in_force.rule);
        }
        let begun = Instant::now();
        let in_force = rule_in_force(&*self.archive_store, guard.settings).await?;
        self.use_rule(&in_force);
        let rule = in_force.rule;
        *last = Some((begun, in_force));
        Ok(rule)
    }

    fn use_rule(&self, in_force: &RuleInForce) {
        let mut instead = self.approval.instead.lock();
        if *instead != in_force.instead {
            match &in_force.instead {
                Some(instead) => tracing::warn!("{instead}"),
                None => {
                    tracing::info!(rule = %in_force.rule, "the rule of approvals is that of the settings");
                }
            }
            instead.clone_from(&in_force.instead);
        }
    }

    /// What a plan says of this user: what is read now, as the guard compares it.
    pub(crate) async fn observe(
        &self,
        user_id: UserId,
        incarnation: u32,
    ) -> Result<Observed, Failure> {
        // In sequence: calls of one user never overlap.
        let account = self.tenant.account(user_id).await?.account;
        let left = match &account {
            Some(_) => self.tenant.left_over(user_id, &[], &mut Vec::new()).await?,
            None => Vec::new(),
        };
        let mut queues: Vec<String> = left
            .into_iter()
            .filter(|left| left.kind != UNKNOWN_ROUTING)
            .map(|left| left.reference)
            .collect();
        queues.sort_unstable();
        queues.dedup();
        Ok(Observed {
            active: account.as_ref().and_then(|account| account.active),
            user_name: account.and_then(|account| account.user_name),
            queues,
            incarnation,
        })
    }

    /// Whether the deletion of a user whom a command plans would wait for an approval.
    pub(crate) async fn would_wait_for_approval(&self) -> Result<bool, Failure> {
        let planned = self.approval.planned();
        let rule = self.approval_rule().await?;
        Ok(needed(rule, planned) == Needed::Yes)
    }
}

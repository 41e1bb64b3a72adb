//! A verify as the checks of an operation.

use std::collections::BTreeMap;

use serde_json::json;

use super::record::{became, why};
use crate::failure::Failure;
use crate::job::UserId;
use crate::operations::tracker::{Interruption, Item, Tracker};
use crate::operations::verify::{Pacing, Verdict};
use crate::ports::operations::Became;

/// Paces the checks of a verify, and notes their results.
pub(super) struct Paced<'a> {
    pub(super) numbers: BTreeMap<UserId, u64>,
    pub(super) tracker: &'a Tracker,
}

#[async_trait::async_trait]
impl Pacing for Paced<'_> {
    async fn turn(&self) -> Option<Interruption> {
        self.tracker.turn().await
    }

    async fn checked(&self, verdict: &Verdict) -> Result<(), Failure> {
        let Some(number) = self.numbers.get(&verdict.user_id) else {
            return Ok(());
        };
        let item = Item {
            number: *number,
            dead_letter: None,
            user_id: Some(verdict.user_id),
        };
        let became: Became = became(verdict);
        self.tracker
            .note(item, became, why(verdict), json!(verdict))
            .await
    }
}

//! What an operator asks for, made into an order.

use serde_json::json;

use super::begin::Order;
use super::record::{FrozenSet, Manner};
use crate::job::UserId;
use crate::operations::dead_letters::{DiscardPlan, ReplayPlan};
use crate::ports::operations::OperationKind;

/// A replay of what was planned.
pub(crate) fn replay_order(plan: ReplayPlan, manner: Manner) -> Order {
    let planned = plan.into_parts();
    Order {
        kind: OperationKind::Replay,
        of: planned.0.to_json(),
        manner,
        set: FrozenSet {
            dead_letters: planned.1,
            skipped: planned.2,
            users: Vec::new(),
        },
    }
}

/// A discard of what was planned.
pub(crate) fn discard_order(plan: DiscardPlan, manner: Manner) -> Order {
    let planned = plan.into_parts();
    Order {
        kind: OperationKind::Discard,
        of: planned.0.to_json(),
        manner,
        set: FrozenSet {
            dead_letters: planned.1,
            ..FrozenSet::default()
        },
    }
}

/// A check of these users, who are all of whom something is stored, or were named.
pub(crate) fn verify_order(users: Vec<UserId>, all: bool, manner: Manner) -> Order {
    Order {
        kind: OperationKind::Verify,
        of: json!({ "all": all }),
        manner,
        set: FrozenSet {
            users,
            ..FrozenSet::default()
        },
    }
}

//! Approval of deletions by a second person, bound to a plan: what a plan says, what people decided about it, and whether
//! it is approved. Pure; `registers/plan/` stores and reads it.

mod act;
mod document;
mod observed;
mod verdict;

pub(crate) use act::SignedInBy;
pub(crate) use act::{ActKind, PlanAct, PlanActs, Stored};
pub(crate) use document::{
    Fingerprint, PLAN_SCHEMA, PlanDocument, PlanKind, PlanPart, PlannedUser, PlannedUsers, Totals,
};
pub(crate) use observed::{Moved, Observed, is_stale};
pub(crate) use verdict::{Approved, NotApproved, Question, judge};

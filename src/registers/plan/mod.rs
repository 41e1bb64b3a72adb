//! Plans and what people decided about them: objects of the archive store, each written once.
//!
//! | object | content |
//! | --- | --- |
//! | `_plan_{digest}.json` | the plan; its name is the SHA-256 of its canonical JSON (RFC 8785) |
//! | `_plan_part_{digest}.json` | up to 1,000 of its users |
//! | `_plan_{digest}.approval.{n}.json`, `.rejection.{n}`, `.revoked.{n}` | what a person decided |
//! | `_plan_{digest}.withdrawn.json`, `.applied.json` | the plan was given up; its messages were sent |
//! | `_plan_{digest}.moved.{userId}.json`, `.stale.json` | who is not as the plan saw; too many are not |
//!
//! Redis has none of it. Anything that is not as we would have written it stops the plan.

mod acts;
mod document;
mod keys;
mod watch;

pub(crate) use acts::{mark_moved, mark_stale, store_act};
pub(crate) use document::{PlanDraft, Planned, read_users, store_plan};
#[cfg(test)]
pub(crate) use document::{USERS_IN_PLAN_PART, WrittenPlan};
pub(crate) use keys::stored_plans;
pub(crate) use watch::{PlanNow, Plans, read_now};

#[cfg(test)]
mod tests;

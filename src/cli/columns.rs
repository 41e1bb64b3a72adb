//! The columns of every table, so that tests show each table at several widths.

use super::table::{Column, extra, keep};

type Columns<const N: usize> = [Column<'static>; N];

pub(super) const HOLDS: Columns<4> = [keep("user"), keep("since"), extra("by", 1), keep("why")];
pub(super) const PEOPLE: Columns<4> = [
    keep("name"),
    keep("role"),
    keep("signs in with"),
    extra("permissions", 1),
];
pub(super) const BATCHES: Columns<7> = [
    keep("batch"),
    keep("users"),
    extra("begun", 2),
    extra("finished", 1),
    keep("dead letters"),
    keep("left"),
    keep("still have access"),
];
pub(super) const DEAD_LETTERS: Columns<10> = [
    keep("dead letter"),
    keep("since"),
    keep("user"),
    extra("state", 3),
    keep("access"),
    keep("reason"),
    extra("step", 2),
    extra("group", 1),
    extra("attempts", 4),
    keep("error"),
];
pub(super) const REPLAYED: Columns<5> = [
    keep(""),
    keep("dead letter"),
    keep("user"),
    extra("reason", 1),
    keep("why"),
];
pub(super) const DISCARDED: Columns<4> = [
    keep("dead letter"),
    keep("user"),
    extra("reason", 1),
    keep("copy"),
];
pub(super) const OPERATIONS: Columns<7> = [
    keep("operation"),
    keep("since"),
    keep("kind"),
    keep("state"),
    keep("items"),
    extra("by", 1),
    extra("why", 2),
];
pub(super) const ITEMS: Columns<5> = [
    keep("became"),
    keep("dead letter"),
    keep("user"),
    extra("when", 1),
    keep("why"),
];
pub(super) const AUDIT_LOG: Columns<6> = [
    keep("when"),
    keep("who"),
    keep("what"),
    keep("how many"),
    keep("why"),
    extra("details", 1),
];
pub(super) const STATUS: Columns<5> = [
    keep("user"),
    keep("state"),
    keep("access"),
    extra("attempts", 1),
    keep("what now"),
];
pub(super) const USERS: Columns<6> = [
    keep("user"),
    keep("state"),
    keep("access"),
    extra("requested", 2),
    keep("what now"),
    extra("batch", 1),
];
pub(super) const WORKERS: Columns<7> = [
    keep("worker"),
    extra("release", 2),
    extra("since", 1),
    keep("in use"),
    extra("access", 3),
    extra("archive", 4),
    keep("takes users"),
];
pub(super) const BATCH: Columns<3> = [keep("users"), keep("count"), keep("details")];
pub(super) const STEPS: Columns<4> = [
    keep("state"),
    keep("completed"),
    keep("took"),
    keep("attempts"),
];
pub(super) const PLAN: Columns<6> = [
    keep("user"),
    keep("now"),
    keep("would"),
    extra("queues", 1),
    extra("conversations", 2),
    keep("guard"),
];
pub(super) const PLANS: Columns<6> = [
    keep("plan"),
    keep("state"),
    keep("deletions"),
    keep("made by"),
    extra("stored", 1),
    extra("batch", 2),
];
pub(super) const PLANNED: Columns<4> = [
    keep("user"),
    keep("would"),
    extra("user name", 1),
    keep("guard"),
];
pub(super) const PLAN_DIFFERENCES: Columns<2> = [keep("user"), keep("difference")];
pub(super) const RUN: Columns<4> = [keep("user"), keep("result"), keep("state"), keep("why")];
pub(super) const VERIFY: Columns<3> = [keep("user"), keep(""), keep("finding")];
pub(super) const DOCTOR: Columns<4> = [
    keep("check"),
    keep(""),
    keep("finding"),
    keep("how to fix it"),
];
pub(super) const SETTINGS: Columns<3> = [keep("variable"), keep("value"), keep("from")];
pub(super) const DEMO: Columns<6> = [
    keep("user"),
    extra("at the kill", 1),
    keep("in the end"),
    keep("deletion"),
    extra("archived", 3),
    extra("calls before + after", 2),
];

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;

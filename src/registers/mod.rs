//! Signed, numbered records that operators leave in the archive store: holds, the pause, decisions
//! about groups of dead letters, orders of `submit`, orders to stop, the audit log. They are there because a Redis that forgot one would let a user be deleted.

mod approval_rule;
pub(crate) mod audit_log;
mod erasure;
mod group;
mod hold;
mod let_on;
mod named;
mod operation;
mod order;
mod order_requests;
mod pause;
mod people;
mod place;
pub(crate) mod plan;
mod protected;
mod sequence;
mod shared_read;
mod stop_order;
mod stop_register;

pub(crate) use approval_rule::weaken_rule;
pub(crate) use approval_rule::{RuleInForce, keep_rule, rule_in_force};
pub(crate) use erasure::{Erasure, Erasures, erasures, order_erasure};
pub(crate) use group::{
    Decision, GroupRecord, GroupTexts, StoredGroup, decide, group_history, stored_group,
    stored_groups,
};
pub(crate) use hold::{HoldRecords, OnHold, hold_of, hold_of_noted, set_hold};
pub(crate) use let_on::{let_on, let_on_until};
pub(crate) use operation::{
    read_end, read_operation, read_stop, store_end, store_operation, store_stop, stored_operations,
};
pub(crate) use order::{
    Order, OrderedUsers, Orders, USERS_IN_PART, all_orders, ordered_requests, store_part,
};
pub(crate) use order_requests::PartRequests;
pub(crate) use pause::{PauseRecord, PauseState, pause_in_force, pause_state, set_pause};
pub(crate) use people::{MAX_PEOPLE_BYTES, PeopleRegister, PeopleWatch};
pub(crate) use place::Place;
pub(crate) use protected::ProtectedSource;
pub(crate) use shared_read::SharedRead;
pub(crate) use stop_order::{BatchPause, Stop, StopAct, StopOrders};
pub(crate) use stop_register::{StopRegister, USERS_IN_ONE, give_order, in_orders, odd_orders};

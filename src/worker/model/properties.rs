//! What must hold in every history.

use stateright::{Checker as _, Model, Property};

use super::actions::{Action, Offboarding};
use super::world::{Budget, World};

impl Model for Offboarding {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.budget.clone())]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        Self::possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        self.act(&mut world, &action);

        let is_quiet = world.queued_jobs() == 0 && world.is_idle();
        if is_quiet {
            world.expect(
                world.manifest.is_some() || world.dropped,
                "I4: nothing is left to do, and there is neither a manifest nor a cancellation",
            );
            world.expect(
                world.dead == 0,
                "I4: a user who can be off-boarded became a dead letter",
            );
            world.expect(
                world.announced || world.dropped,
                "I4: nothing is left to do, and no event said that the access is gone",
            );
        }
        world.expect(world.deletions <= 1, "I3: deleted twice");

        world.simplify();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise", |_, world: &World| {
                world.broken_promise.is_none()
            }),
            Property::sometimes("an end", |_, world: &World| {
                world.manifest.is_some() && world.queued_jobs() == 0
            }),
        ]
    }
}

pub(super) fn everything() -> Budget {
    Budget {
        crashes: 2,
        forgets: 1,
        expiries: 1,
        duplicates: 1,
        lost_replies: 1,
        forgeries: 0,
        cancellations: 0,
        reactivations: 0,
        hires: 0,
        decisions: 0,
    }
}

/// A worker may lose its lease anywhere, also right before its DELETE.
pub(super) fn reactivation() -> Budget {
    Budget {
        crashes: 1,
        forgets: 0,
        duplicates: 0,
        lost_replies: 0,
        reactivations: 1,
        ..everything()
    }
}

pub(super) fn cancellation() -> Budget {
    Budget {
        crashes: 1,
        expiries: 0,
        lost_replies: 0,
        cancellations: 1,
        ..everything()
    }
}

/// Approved, revoked, approved again.
pub(super) fn approval() -> Budget {
    Budget {
        crashes: 1,
        duplicates: 0,
        decisions: 3,
        ..everything()
    }
}

/// Redis may lose everything before or after the user is hired again.
pub(super) fn hired_again() -> Budget {
    Budget {
        crashes: 1,
        expiries: 0,
        duplicates: 0,
        hires: 1,
        decisions: 1,
        ..everything()
    }
}

pub(super) fn forgery() -> Budget {
    Budget {
        crashes: 1,
        expiries: 0,
        lost_replies: 0,
        forgeries: 1,
        ..everything()
    }
}

fn check(budget: Budget, refused: bool) {
    let begun = std::time::Instant::now();
    let model = Offboarding {
        budget,
        refused,
        broken: None,
    };
    let checked = model.checker().threads(2).spawn_bfs().join();
    let states = checked.unique_state_count();
    eprintln!("{states} states in {:?}", begun.elapsed());

    if let Some(path) = checked.discovery("every promise") {
        let promise = path.last_state().broken_promise;
        panic!("{promise:?} after {:?}", path.into_actions());
    }
    checked.assert_any_discovery("an end");
}

#[test]
fn every_promise_holds_in_every_history_of_a_user_who_is_deleted() {
    check(everything(), false);
}

#[test]
fn every_promise_holds_in_every_history_of_a_user_whose_deletion_is_refused() {
    let budget = Budget {
        crashes: 1,
        ..everything()
    };
    check(budget, true);
}

#[test]
fn every_promise_holds_in_every_history_of_a_user_who_is_cancelled() {
    check(cancellation(), false);
}

#[test]
fn no_user_is_reactivated_and_deleted_whatever_happens_in_between() {
    check(reactivation(), false);
}

#[test]
fn no_forged_checkpoint_leads_to_the_deletion_of_a_user_who_has_access() {
    check(forgery(), false);
}

#[test]
fn no_history_of_approvals_and_revocations_leads_to_a_deletion_that_nobody_had_approved() {
    check(approval(), false);
    let forged = Budget {
        decisions: 1,
        ..forgery()
    };
    check(forged, false);
}

#[test]
fn no_user_who_was_hired_again_after_the_plan_is_deleted() {
    check(hired_again(), false);
}

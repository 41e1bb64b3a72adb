//! Rules of the product, broken on purpose: the model has to find each.

use stateright::{Checker as _, Model as _};

use super::actions::Offboarding;
use super::properties::{approval, cancellation, everything, forgery, hired_again, reactivation};
use super::world::Budget;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    SaveBeforeWhatFollows,
    PublishBeforeAcknowledging,
    LookBackFirst,
    SaveComparesTheLease,
    ReadAgainBeforeTheDeletion,
    TheEndAnnouncesTheAccess,
    LookBeforeTheDeletion,
    DecideBeforeTheDeletion,
    AskForApproval,
    NoteThatAccessReturned,
}

/// The promise that the shortest history breaks, once the rule is broken.
fn found(budget: Budget, rule: Rule) -> &'static str {
    let model = Offboarding {
        budget,
        refused: false,
        broken: Some(rule),
    };
    let checked = model.checker().threads(2).spawn_bfs().join();

    let path = checked
        .discovery("every promise")
        .unwrap_or_else(|| panic!("{rule:?} was broken, and the model did not find it"));
    path.last_state().broken_promise.unwrap_or_default()
}

#[test]
fn the_model_finds_a_deletion_that_believes_a_forged_checkpoint() {
    let promise = found(forgery(), Rule::ReadAgainBeforeTheDeletion);
    assert!(promise.starts_with("I12"), "{promise}");
}

#[test]
fn the_model_finds_a_save_that_comes_after_what_follows_from_it() {
    let promise = found(everything(), Rule::SaveBeforeWhatFollows);
    assert!(promise.starts_with("I1: a DELETE"), "{promise}");
}

#[test]
fn the_model_finds_an_acknowledgement_that_comes_before_its_successor() {
    let promise = found(everything(), Rule::PublishBeforeAcknowledging);
    assert!(promise.starts_with("I4"), "{promise}");
}

#[test]
fn the_model_finds_a_removal_of_access_that_only_the_first_settlement_announces() {
    let promise = found(everything(), Rule::TheEndAnnouncesTheAccess);
    assert!(promise.contains("no event said"), "{promise}");
}

#[test]
fn the_model_finds_a_deletion_that_does_not_check_whether_it_was_cancelled() {
    let promise = found(cancellation(), Rule::LookBeforeTheDeletion);
    assert!(promise.contains("cancellation"), "{promise}");
}

#[test]
fn the_model_finds_a_deletion_that_nobody_decided() {
    let promise = found(reactivation(), Rule::DecideBeforeTheDeletion);
    assert!(promise.contains("reactivated"), "{promise}");
}

#[test]
fn the_model_finds_a_deletion_that_does_not_check_whether_it_is_approved() {
    let promise = found(approval(), Rule::AskForApproval);
    assert!(promise.starts_with("I14"), "{promise}");
}

#[test]
fn the_model_finds_a_run_that_does_not_note_that_access_returned_before_it_removes_it_again() {
    let promise = found(hired_again(), Rule::NoteThatAccessReturned);
    assert!(promise.ends_with("after the plan"), "{promise}");
}

#[test]
fn the_model_finds_a_run_that_does_not_look_back() {
    let promise = found(everything(), Rule::LookBackFirst);
    let expected = ["I1", "I4", "I5"];
    assert!(
        expected.iter().any(|number| promise.starts_with(number)),
        "{promise}"
    );
}

#[test]
fn the_model_finds_a_save_that_does_not_compare_the_lease() {
    let promise = found(everything(), Rule::SaveComparesTheLease);
    assert!(promise.starts_with("I6"), "{promise}");
}

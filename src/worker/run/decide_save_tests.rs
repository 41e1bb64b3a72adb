//! What is saved before the next step, and what with it.

use super::*;
use crate::machine::DeletionOutcome;

#[test]
fn a_deletion_is_withheld_without_a_step_and_saved_together_with_the_archive() {
    let mut checkpoint = in_state(State::Deactivated {
        access: access_removed(at(1)),
    });
    checkpoint.request.action = Action::Deactivate;

    let event = Event::ArchiveStored(empty_archive(at(1)));
    let commands = plan(&mut checkpoint, event, &job(Lane::Archive));
    assert_eq!(commands.save, Save::WithTheNext);
    assert_eq!(checkpoint.state.name(), StateName::Archived);
    let Command::Apply(event) = commands.then else {
        panic!("{commands:?}")
    };
    assert!(matches!(*event, Event::DeletionWithheld(_)), "{event:?}");

    let commands = plan(&mut checkpoint, *event, &job(Lane::Archive));
    assert_eq!(
        commands,
        Commands::save_then(Command::Perform(Step::Record))
    );
    assert_eq!(checkpoint.state.name(), StateName::DeactivatedOnly);
}

#[test]
fn an_archive_of_one_page_is_saved_with_the_intent_and_a_longer_one_at_once() {
    for (pages, save) in [(1, Save::WithTheNext), (2, Save::First)] {
        let mut checkpoint = in_state(State::Deactivated {
            access: access_removed(at(1)),
        });
        let mut archive = empty_archive(at(1));
        archive.pages = pages;
        let commands = plan(
            &mut checkpoint,
            Event::ArchiveStored(archive),
            &job(Lane::Archive),
        );
        let then = Command::Perform(Step::Seal);
        assert_eq!(commands, Commands { save, then });
    }
}

#[test]
fn our_own_deletion_is_saved_with_its_manifest_and_any_other_end_before_it() {
    let sealed = archived(
        at(1),
        Sealing::Sealed {
            seal: empty_seal(at(2)),
        },
    );
    let ours = Deletion::without_call(DeletionOutcome::Deleted);
    let anothers = Deletion::without_call(DeletionOutcome::AlreadyGone);
    let refused = Deletion::without_call(DeletionOutcome::Refused);
    for (event, save) in [
        (Event::UserDeleted(ours), Save::WithTheNext),
        (Event::UserDeleted(anothers), Save::First),
        (Event::DeletionWithheld(refused), Save::First),
    ] {
        let mut checkpoint = in_state(sealed.clone());
        let commands = plan(&mut checkpoint, event, &job(Lane::Archive));
        let then = Command::Perform(Step::Record);
        assert_eq!(commands, Commands { save, then });
    }
}

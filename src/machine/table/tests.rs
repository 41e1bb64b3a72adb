use super::*;
use crate::machine::StateName;

const BEGIN: &str = "<!-- generated: begin -->\n";
const END: &str = "<!-- generated: end -->";

/// `UPDATE_STATE_MACHINE=1 cargo test the_document` writes it.
#[test]
fn the_document_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/state-machine.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (head, rest) = document.split_once(BEGIN).expect("the begin marker");
    let (section, tail) = rest.split_once(END).expect("the end marker");
    if std::env::var_os("UPDATE_STATE_MACHINE").is_some() {
        std::fs::write(
            path,
            format!("{head}{BEGIN}{}{END}{tail}", document_section()),
        )
        .unwrap();
        return;
    }
    assert!(
        section == document_section(),
        "state-machine.md differs from the code; UPDATE_STATE_MACHINE=1 cargo test the_document rewrites it"
    );
}

#[test]
fn no_event_leads_to_deleted_but_from_a_sealed_archive() {
    // What an earlier run left was led there by the same rules.
    for row in rows()
        .into_iter()
        .filter(|row| !row.event.starts_with("PriorEvidenceFound"))
    {
        if row.to.starts_with("Deleted") && !row.from.starts_with("Deleted") {
            assert!(
                ["Archived (sealed)", "Archived (deletion accepted)"].contains(&row.from.as_str()),
                "{row:?}"
            );
        }
        if row.effect.contains("delete") && row.effect.contains("guards") {
            assert!(row.to == "Archived (sealed)", "{row:?}");
        }
    }
}

#[test]
fn a_state_is_never_left_backwards_but_for_a_new_revision_or_access_that_returned() {
    let order = |name: StateName| if name.is_terminal() { 4 } else { name as usize };

    for (_, state) in states() {
        for (_, event) in events() {
            let begins_again = matches!(
                event,
                Event::PriorEvidenceFound(_)
                    | Event::UserReturned
                    | Event::UserStayedAway
                    | Event::AccessReturned
            );
            if begins_again {
                continue;
            }

            if let Ok(next) = transition(state.clone(), event, &USUAL.context(0)) {
                let from = order(state.name());
                let to = order(next.state.name());
                assert!(to == from || to == from + 1, "{state:?} -> {next:?}");
            }
        }
    }
}

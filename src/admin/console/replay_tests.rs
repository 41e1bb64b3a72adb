use super::*;
use crate::admin::caller::SignIn;
use crate::failure::Reason;

fn dead_letter(number: u64) -> DeadLetter {
    DeadLetter {
        id: format!("{number:016x}").parse().unwrap(),
        user_id: format!("00000000-0000-4000-8000-{number:012}").parse().ok(),
        batch_id: None,
        reason: Reason::ApiRejected,
        code: None,
        step: String::new(),
        state: String::new(),
        error: String::new(),
        fingerprint: "2d1f5436374b".to_owned(),
        attempts: 1,
        dead_lettered_at: None,
        worker: "w-1".to_owned(),
        replays: 0,
        came_back: false,
        replayed_at: None,
    }
}

fn set(count: u64) -> Set {
    Set {
        what: What::Replay,
        at: Timestamp::UNIX_EPOCH,
        dead_letters: (0..count).map(dead_letter).collect(),
        skipped: vec![Skipped {
            dead_letter: dead_letter(99),
            why: "CXone <still> answers 503".to_owned(),
        }],
        newest: None,
    }
}

fn local() -> Caller {
    Caller::token(SignIn::Loopback, false)
}

#[test]
fn the_number_of_users_is_typed_from_ten_on_and_what_is_left_out_is_said() {
    let asked = Asked::of("", "group=2d1f");
    let page = |count| {
        let page = set(count).page(&local(), &asked, &Given::default(), None);
        page.body.into_string()
    };
    let text = page(10);
    for expected in [
        "10 dead letters of 10 users",
        "Type 10 to confirm",
        "CXone &lt;still&gt; answers 503",
        "action=\"/operations/new?group=2d1f\"",
        "0000000000000009",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!page(9).contains("to confirm"));
    assert!(page(0).contains("Nothing to replay"));
}

#[test]
fn a_set_that_moved_is_said_and_who_confirms_the_old_one_gets_only_that() {
    let seen = BTreeSet::from(["0000000000000000", "0000000000000001", "00000000000000ff"]);
    let given = |still| Given::of(&[("seen", "none"), ("still", still)]);
    let text = moved(&set(4), &seen, &given("")).unwrap();
    assert_eq!(
        text,
        "Since you looked, 2 more came, 1 are gone, or not safe to replay any more. Nothing was done."
    );
    let both = BTreeSet::from(["0000000000000000", "0000000000000001"]);
    assert!(moved(&set(4), &both, &given("")).is_some());
    assert_eq!(moved(&set(4), &both, &given("true")), None);
    assert_eq!(moved(&set(2), &both, &given("")), None);
    assert_eq!(set(4).only(&both).users(), 2);

    let page = moved_page(
        &set(4).only(&both),
        &local(),
        &Asked::of("", ""),
        &given(""),
        &text,
        "/x",
    );
    assert_eq!(page.status, StatusCode::CONFLICT);
    let shown = page.body.into_string();
    assert!(
        shown.contains("Replay those that you saw") && shown.contains("Look again"),
        "{shown}"
    );
    assert!(shown.contains("2 dead letters of 2 users"), "{shown}");
}

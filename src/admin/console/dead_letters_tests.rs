use super::*;
use crate::admin::caller::SignIn;
use crate::failure::Reason;
use crate::operations::dead_letters::{
    Access, AccessCounts, Assessment, GroupState, Handling, ReplaySafety,
};

fn local() -> Caller {
    Caller::token(SignIn::Loopback, false)
}

fn group() -> Group {
    Group {
        reason: Reason::ApiRejected,
        code: "cxone_rejected",
        step: "deactivate".to_owned(),
        fingerprint: "2d1f5436374b".to_owned(),
        error: "400 <script>alert(1)</script>\u{202e}".to_owned(),
        count: 1_204,
        first_seen: None,
        last_seen: None,
        replayed_before: 0,
        came_back: None,
        last_replay: None,
        access: AccessCounts {
            still_there: 4,
            gone: 1_190,
            unknown: 10,
        },
        handling: Handling {
            state: GroupState::Unknown,
            reopened: None,
            until: None,
            until_count: None,
            release: None,
            note: Some("ticket <1>".to_owned()),
            owner: Some("<eve>".to_owned()),
            who: None,
            why: None,
            at: None,
        },
        safe: false,
        assessment: Assessment {
            safety: ReplaySafety::Unproven,
            why: "nothing shows it".to_owned(),
        },
        assessed: 10,
        next: "offboarder dead-letters replay --canary".to_owned(),
    }
}

#[test]
fn a_group_says_who_has_access_what_is_unknown_and_never_runs_what_a_message_holds() {
    let asked = Asked::of("/dead-letters", "");
    let listing = Listing {
        dead_letters: Vec::new(),
        more: 1_104,
    };
    let past = Ok(GroupHistory {
        group: "2d1f5436374b".to_owned(),
        decisions: Vec::new(),
        older: 0,
    });
    for text in [
        groups_body(&local(), &asked, &[group()]).into_string(),
        group_body(&local(), &group(), &listing, &past).into_string(),
    ] {
        for expected in [
            "&lt;script&gt;",
            "\\u{202e}",
            "1,204",
            "Unproven: try one first",
            "ticket &lt;1&gt;",
            "the archive store does not answer",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(
            !text.contains("<script>") && !text.contains('\u{202e}'),
            "{text}"
        );
    }
    let text = group_body(&local(), &group(), &listing, &past).into_string();
    assert!(
        text.contains("4 users in them still have access") && text.contains("And 1,104 more."),
        "{text}"
    );
}

#[test]
fn no_group_and_no_match_are_two_texts() {
    let text = |query| groups_body(&local(), &Asked::of("/dead-letters", query), &[]).into_string();
    assert!(text("").contains("Nobody is given up."));
    assert!(text("batch=b-1").contains("None matches."));
}

#[test]
fn a_body_is_shown_by_the_codes_of_what_a_browser_would_obey_and_long_ones_are_cut() {
    let text = foreign("a\u{0}b\n</pre><img src=x onerror=y>\u{200b}").into_string();
    assert!(text.contains("a\\u{0}b\n"), "{text}");
    assert!(
        text.contains("&lt;/pre&gt;&lt;img") && text.contains("\\u{200b}"),
        "{text}"
    );
    let text = foreign(&"x".repeat(SHOWN_CHARS + 1)).into_string();
    assert!(text.contains("Cut after 10,000 characters"));
    assert!(
        words::access(Access::Unknown)
            .into_string()
            .contains("Not known")
    );
}

use super::super::dead_letter::tests::envelope;
use super::*;
use crate::queue::headers::dead_letter;

const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn dead_letter(body: &str) -> DeadLetter {
    let headers = vec![
        (dead_letter::REASON, "api_rejected".into()),
        (dead_letter::AT, "2026-11-02T00:00:00Z".into()),
        (dead_letter::CODE, "cxone_rejected".into()),
        (dead_letter::STATE, "Deactivated".into()),
    ];
    DeadLetter::read(&envelope(body, headers))
}

fn filter(members: &Value) -> DeadLetterFilter {
    serde_json::from_value(members.clone()).unwrap()
}

#[test]
fn each_given_member_has_to_match() {
    let dead_letter = dead_letter(&format!(r#"{{"userId":"{USER}","batchId":"b-1"}}"#));
    let all = DeadLetterFilter::default();
    assert!(all.is_empty() && all.matches(&dead_letter));
    let group = dead_letter.fingerprint.get(..3).unwrap();
    let meant = json!({
        "letter": [dead_letter.id], "user": [USER], "batch": "b-1", "group": [group],
        "reason": ["poison", "api_rejected"], "code": ["cxone_rejected"], "step": ["archive"],
        "state": ["Deactivated"], "since": "2026-11-02T00:00:00Z",
    });
    let whole = filter(&meant);
    assert!(whole.matches(&dead_letter) && whole.names_any() && !whole.is_empty());

    for (member, other) in [
        ("letter", json!(["0123456789abcdef"])),
        ("user", json!(["00000000-9a51-4b4b-8f6c-1f9a4f9b7c11"])),
        ("batch", json!("b-2")),
        ("group", json!(["000000000000"])),
        ("reason", json!(["poison"])),
        ("code", json!(["cxone_timeout"])),
        ("step", json!(["delete"])),
        ("state", json!(["Received"])),
        ("since", json!("2026-11-02T00:00:01Z")),
    ] {
        let mut members = meant.clone();
        members[member] = other.clone();
        assert!(!filter(&members).matches(&dead_letter), "{member}");
        assert!(!filter(&json!({ member: other })).is_empty(), "{member}");
    }
}

#[test]
fn a_dead_letter_without_a_user_or_a_code_matches_no_filter_of_them() {
    let malformed = dead_letter("x");
    assert!(!filter(&json!({ "user": [USER] })).matches(&malformed));
    let moved = DeadLetter::read(&envelope("x", Vec::new()));
    assert!(!filter(&json!({ "code": ["panicked"] })).matches(&moved));
    assert!(!filter(&json!({ "state": ["Received"] })).matches(&moved));
}

#[test]
fn what_is_no_filter_is_refused_with_what_would_be_one() {
    for (members, what) in [
        (json!({ "reasons": ["poison"] }), "`reason`"),
        (json!({ "reason": ["nonsense"] }), "`poison`"),
        (json!({ "step": ["nonsense"] }), "`clear_queues`"),
        (json!({ "state": ["received"] }), "`Received`"),
        (json!({ "group": ["xyz"] }), "12 hex digits"),
        (json!({ "group": [""] }), "12 hex digits"),
        (json!({ "limit": 0 }), "from 1 on"),
        (json!({ "since": "soon" }), "nor a period"),
        (json!({ "letter": ["12"] }), "16 hex digits"),
    ] {
        let refused = serde_json::from_value::<DeadLetterFilter>(members.clone());
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(what), "{members}: {error}");
    }
}

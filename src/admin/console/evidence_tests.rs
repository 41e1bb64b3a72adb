use jiff::Timestamp;

use super::*;
use crate::evidence_log::LogNow;
use crate::operations::verify::Verdict;

fn log(last: Option<LogNow>) -> EvidenceLog {
    EvidenceLog {
        origin: Some("example.com/<log>".to_owned()),
        verifier_key: Some("example.com/log+00+key".to_owned()),
        last,
    }
}

fn signed() -> LogNow {
    LogNow {
        step: 7,
        signed: true,
        leaves: Some(48_211),
        root: Some("4f3a".to_owned()),
        at: Some(Timestamp::UNIX_EPOCH),
    }
}

#[test]
fn the_log_says_how_far_it_is_only_if_its_key_signed_that() {
    let text = state(&log(Some(signed()))).into_string();
    for expected in [
        "48,211 leaves",
        "1970-01-01 00:00:00",
        "4f3a",
        "example.com/log+00+key",
        "&lt;log&gt;",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let forged = LogNow {
        signed: false,
        leaves: None,
        root: None,
        ..signed()
    };
    let text = state(&log(Some(forged))).into_string();
    assert!(
        text.contains("is not one that the key signed") && !text.contains("leaves,"),
        "{text}"
    );
    assert!(state(&log(None)).into_string().contains("has no step yet"));
    let unknown = EvidenceLog {
        verifier_key: None,
        ..log(None)
    };
    assert!(
        state(&unknown)
            .into_string()
            .contains("cannot say how far it is")
    );
    let off = EvidenceLog {
        origin: None,
        ..unknown
    };
    assert!(
        state(&off)
            .into_string()
            .contains("The evidence log is off.")
    );
}

#[test]
fn a_finding_is_named_and_one_that_is_in_progress_is_not_called_proved() {
    let sound = Verdict {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        ok: true,
        state: None,
        under_way: true,
        manifests: 0,
        archives: 0,
        bytes: 0,
        compared: None,
        older_versions: None,
        findings: Vec::new(),
    };
    let text = verdict_body(&sound).into_string();
    assert!(
        text.contains("its manifest is not stored yet") && !text.contains("good"),
        "{text}"
    );
}

use super::*;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn parse(body: &str) -> Result<(UserId, Request), Malformed> {
    parse_message(body.as_bytes(), Timestamp::UNIX_EPOCH)
}

#[test]
fn a_bare_uuid_asks_for_deletion() {
    let (id, request) = parse(&format!("{}\n", ID.to_uppercase())).unwrap();
    assert_eq!(id.to_string(), ID);
    assert_eq!(request.action, Action::Delete);
    assert_eq!(request.message_sha256.unwrap().len(), 64);
}

#[test]
fn every_member_of_the_schema_is_read_and_unknown_ones_are_ignored() {
    let body = format!(
        r#"{{"userId":"{ID}","batchId":"b-1","action":"deactivate","deleteAfter":"2026-01-02T03:04:05+01:00",
            "requestedBy":"hr","reason":"left","requestedAt":"2026-01-01T00:00:00Z","x":{{"y":[1]}}}}"#
    );
    let (_, request) = parse(&body).unwrap();
    assert_eq!(request.action, Action::Deactivate);
    assert_eq!(request.batch_id.unwrap().to_string(), "b-1");
    assert_eq!(
        request.delete_after.unwrap().to_string(),
        "2026-01-02T02:04:05Z"
    );
    assert_eq!(request.requested_by.as_deref(), Some("hr"));
    assert_eq!(request.reason.as_deref(), Some("left"));
    assert_eq!(
        request.requested_at.unwrap().to_string(),
        "2026-01-01T00:00:00Z"
    );
}

#[test]
fn what_the_schema_forbids_is_malformed() {
    for body in [
        String::new(),
        "hello".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!(r#"["{ID}"]"#),
        r#"{"userId":"../../x"}"#.to_owned(),
        format!(r#"{{"userId":"{ID}","batchId":"a b"}}"#),
        format!(r#"{{"userId":"{{{ID}}}"}}"#),
        format!("\u{feff}\u{feff}{ID}"),
        format!(r#"{{"userId":"{ID}"}}{{}}"#),
        format!(r#"{{"userId":null,"userId":"{ID}"}}"#),
        format!(r#"{{"userId":"{ID}","action":"destroy"}}"#),
        format!(r#"{{"userId":"{ID}","deleteAfter":"tomorrow"}}"#),
        format!(r#"{{"userId":"{ID}","userId":"{ID}"}}"#),
        format!(r#"{{"userId":"{ID}","requestedBy":"{}"}}"#, "x".repeat(257)),
        format!(r#"{{"userId":"{ID}","reason":"{}"}}"#, "x".repeat(1025)),
        format!(
            r#"{{"userId":"{ID}","x":"{}"}}"#,
            "x".repeat(MAX_BODY_BYTES)
        ),
        format!(r#"{{"userId":"{ID}""#),
    ] {
        assert!(parse(&body).is_err(), "{}", &body[..body.len().min(80)]);
    }
}

#[test]
fn the_fault_never_repeats_the_body() {
    let error = parse(r#"{"userId":"s3cret-value","action":"s3cret"}"#).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn what_others_write_differently_means_the_same() {
    let plain = parse(ID).unwrap().0;
    let hex = ID.replace('-', "");
    for body in [
        format!("\u{feff}{ID}"),
        format!("\u{feff} {{\"userId\":\"{ID}\"}}"),
        format!(r#""{ID}""#),
        hex.clone(),
        hex.to_uppercase(),
        format!(r#""{hex}""#),
        format!(r#"{{"userId":"{hex}"}}"#),
        format!(
            r#"{{"userId":"{ID}","batchId":null,"action":null,"deleteAfter":null,"reason":null}}"#
        ),
    ] {
        let (user_id, request) = parse(&body).unwrap();
        assert_eq!(
            (user_id, request.action, request.action_named),
            (plain, Action::Delete, false),
            "{body}"
        );
        assert_eq!((request.batch_id, request.delete_after), (None, None));
    }
}

#[test]
fn a_fault_names_member_and_rule() {
    let with = |member: &str| {
        parse(&format!(r#"{{"userId":"{ID}",{member}}}"#))
            .unwrap_err()
            .to_string()
    };
    let time = "has to be a time with an offset, such as 2026-01-31T08:00:00Z";
    for (member, says) in [
        (r#""deleteAfter":"""#, format!("deleteAfter: {time}")),
        (
            r#""requestedAt":"2026-11-28T10:00:00""#,
            format!("requestedAt: {time}, and has no offset"),
        ),
        (
            r#""deleteAfter":1767225600000"#,
            format!("deleteAfter: {time}, and is a number"),
        ),
        (
            r#""action":"""#,
            "action: has to be delete or deactivate".to_owned(),
        ),
        (
            r#""action":["delete"]"#,
            "action: has to be delete or deactivate, and is a list".to_owned(),
        ),
        (
            r#""reason":{"a":1}"#,
            "reason: has to be text of at most 1024 characters, and is an object".to_owned(),
        ),
        (
            r#""batchId":"""#,
            "batchId: has to match [A-Za-z0-9._:-]{1,128}".to_owned(),
        ),
        (r#""userId":"x""#, "userId is there twice".to_owned()),
        (
            r#""user_id":"x""#,
            "userId is there twice (also as user_id)".to_owned(),
        ),
    ] {
        let fault = with(member);
        assert!(fault.contains(&says), "{member}: {fault}");
    }

    for (body, says) in [
        ("{}", "userId is missing"),
        (r#"{"userId":null}"#, "userId is missing"),
        (r#"{"userId":"4711"}"#, "userId: has to be a UUID"),
        (
            r#"{"userId":4711}"#,
            "userId: has to be a UUID, and is a number",
        ),
    ] {
        let fault = parse(body).unwrap_err().to_string();
        assert!(fault.ends_with(says), "{body}: {fault}");
    }
}

#[test]
fn all_faults_of_a_message_are_named_but_no_more_than_a_few() {
    let body = r#"{"userId":"x","action":"drop","deleteAfter":7,"batchId":"Q4 2026","Action":1}"#;
    let faults = parse(body).unwrap_err().faults;
    let named: Vec<&str> = faults
        .iter()
        .map(|fault| fault.split([':', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        named,
        ["action", "userId", "action", "batchId", "deleteAfter"]
    );

    let many: Vec<String> = (1..500)
        .map(|number| format!(r#","action{}":1"#, "_".repeat(number)))
        .collect();
    let many = many.concat();
    let faults = parse(&format!(r#"{{"userId":"{ID}"{many}}}"#))
        .unwrap_err()
        .faults;
    assert_eq!(faults.len(), 8);
}

#[test]
fn an_action_may_be_in_any_case_and_a_deactivation_never_becomes_a_deletion() {
    for action in ["deactivate", "DEACTIVATE", "Deactivate", "deActivate"] {
        let (_, request) = parse(&format!(r#"{{"userId":"{ID}","action":"{action}"}}"#)).unwrap();
        assert_eq!(
            (request.action, request.action_named),
            (Action::Deactivate, true)
        );
    }
    for action in [
        "deactivated",
        " deactivate",
        "DE-ACTIVATE",
        "de\u{131}activate",
        "none",
    ] {
        assert!(
            parse(&format!(r#"{{"userId":"{ID}","action":"{action}"}}"#)).is_err(),
            "{action}"
        );
    }
}

#[test]
fn what_is_read_although_the_schema_does_not_say_it_is_noted() {
    let hex = ID.replace('-', "");
    let notes = |body: &str| {
        let understood = understand_message(body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        understood.notes.join("; ")
    };
    assert_eq!(
        notes(&format!(r#"{{"userId":"{ID}","action":"delete"}}"#)),
        ""
    );
    assert_eq!(notes(ID), "");
    assert_eq!(
        notes(&format!("\u{feff}\"{hex}\"")),
        "the body begins with a byte-order mark; the user ID has no hyphens; the user ID is in quotes"
    );
    assert_eq!(
        notes(&format!(
            r#"{{"userId":"{ID}","action":"DELETE","reason":null,"team":1}}"#
        )),
        "action is not in lower case; reason is null, and counts as missing; not used: team"
    );
}

#[test]
fn a_near_miss_of_a_name_that_decides_is_a_fault_and_others_are_ignored() {
    for name in [
        "delete_after",
        "Delete After",
        "DeleteAfter",
        "ACTION",
        "user-id",
        "requested_at",
        "batch_id",
    ] {
        for value in ["null", r#""2027-01-01T00:00:00Z""#] {
            let body = format!(
                r#"{{"userId":"{ID}","deleteAfter":"2027-01-01T00:00:00Z","{name}":{value}}}"#
            );
            let fault = parse(&body).unwrap_err().to_string();
            assert!(
                fault.contains(&format!("there is {name}"))
                    || fault.contains(&format!("also as {name}")),
                "{fault}"
            );
        }
    }
    let pascal = parse(&format!(r#"{{"UserId":"{ID}"}}"#))
        .unwrap_err()
        .to_string();
    assert!(
        pascal.contains("userId is missing (there is UserId)"),
        "{pascal}"
    );
    assert!(
        parse(&format!(
            r#"{{"userId":"{ID}","deleteAfterAll":1,"requested_by":"x","Reason":7}}"#
        ))
        .is_ok()
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_malformed_wherever_they_are() {
    for body in [
        [b"{\"userId\":\"", ID.as_bytes(), b"\",\"x\":\"\xff\"}"].concat(),
        [b"{\"\xff\":1,\"userId\":\"", ID.as_bytes(), b"\"}"].concat(),
        [ID.as_bytes(), b"\xff"].concat(),
    ] {
        let fault = parse_message(&body, Timestamp::UNIX_EPOCH)
            .unwrap_err()
            .to_string();
        assert!(fault.contains("no UTF-8, at byte"), "{fault}");
    }
}

#[test]
fn nesting_bombs_end_in_a_fault_or_are_ignored() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let bomb = format!("{}1{}", open.repeat(40_000), close.repeat(40_000));
        for name in ["x", "reason"] {
            let parsed = parse(&format!(r#"{{"userId":"{ID}","{name}":{bomb}}}"#));
            assert!(name == "x" || parsed.is_err());
        }
    }
}

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

    let many: String = (1..500)
        .map(|number| format!(r#","action{}":1"#, "_".repeat(number)))
        .collect();
    let faults = parse(&format!(r#"{{"userId":"{ID}"{many}}}"#))
        .unwrap_err()
        .faults;
    assert_eq!(faults.len(), 8);
}

/// What ordinary frameworks publish, and what we understand or answer.
#[test]
fn each_body_of_a_framework_is_understood_or_the_fault_says_what_to_change() {
    const UNDERSTOOD: &str = "";
    let hex = ID.replace('-', "");
    let upper = ID.to_uppercase();
    let time = "has to be a time with an offset, such as 2026-01-31T08:00:00Z";
    let bodies = [
        // Jackson and System.Text.Json write members without a value as null.
        (
            format!(r#"{{"userId":"{ID}","batchId":null,"action":null,"deleteAfter":null}}"#),
            UNDERSTOOD.to_owned(),
        ),
        // Jackson's Instant, as a number of seconds; JavaScript's Date, of milliseconds.
        (
            format!(r#"{{"userId":"{ID}","requestedAt":1767225600.000000000}}"#),
            format!("requestedAt: {time}, and is a number"),
        ),
        (
            format!(r#"{{"userId":"{ID}","deleteAfter":1767225600000}}"#),
            format!("deleteAfter: {time}, and is a number"),
        ),
        // Java's LocalDateTime, Python's naive datetime.
        (
            format!(r#"{{"userId":"{ID}","deleteAfter":"2026-12-31T00:00:00"}}"#),
            format!("deleteAfter: {time}, and has no offset"),
        ),
        // .NET without JsonNamingPolicy.CamelCase.
        (
            format!(r#"{{"UserId":"{ID}","RequestedBy":"hr"}}"#),
            "userId is missing (there is UserId)".to_owned(),
        ),
        (
            format!(r#"{{"user_id":"{ID}","delete_after":"2026-12-31T00:00:00Z"}}"#),
            "deleteAfter is misspelt (there is delete_after): rename or remove it; \
             userId is missing (there is user_id)"
                .to_owned(),
        ),
        // Guid.ToString("N").
        (format!(r#"{{"userId":"{hex}"}}"#), UNDERSTOOD.to_owned()),
        (
            format!(r#"{{"userId":"{ID}","batchId":"Q4 2026"}}"#),
            "batchId: has to match [A-Za-z0-9._:-]{1,128}".to_owned(),
        ),
        // Names of Java's enums.
        (
            format!(r#"{{"userId":"{ID}","action":"DELETE"}}"#),
            UNDERSTOOD.to_owned(),
        ),
        (
            format!(
                r#"{{"messageId":"0","messageType":["urn:message:Hr:Left"],"message":{{"userId":"{ID}"}},"host":{{}}}}"#
            ),
            "this is a MassTransit envelope: publish the raw JSON, with UseRawJsonSerializer"
                .to_owned(),
        ),
        (
            format!(
                r#"[["{ID}"], {{}}, {{"callbacks": null, "errbacks": null, "chain": null, "chord": null}}]"#
            ),
            "this is a Celery task: publish the raw JSON, with the producer of Kombu".to_owned(),
        ),
        (
            format!(
                r#"{{"specversion":"1.0","id":"1","source":"/hr","type":"com.example.left","data":{{"userId":"{ID}"}}}}"#
            ),
            UNDERSTOOD.to_owned(),
        ),
        (format!(r#""{ID}""#), UNDERSTOOD.to_owned()),
        (
            format!("\u{feff}{{\"userId\":\"{ID}\"}}"),
            UNDERSTOOD.to_owned(),
        ),
        (
            format!(r#"[{{"userId":"{ID}"}},{{"userId":"{ID}"}}]"#),
            "this is a list: one message names one user, publish one message for each".to_owned(),
        ),
        // Python's isoformat.
        (
            format!(r#"{{"userId":"{ID}","requestedAt":"2026-11-24T09:12:41.062000+00:00"}}"#),
            UNDERSTOOD.to_owned(),
        ),
        (upper, UNDERSTOOD.to_owned()),
        (format!("{ID}\n"), UNDERSTOOD.to_owned()),
    ];
    assert_eq!(bodies.len(), 18);

    let prefix =
        "the message is neither a user ID nor JSON after offboarding-message.schema.json: ";
    for (body, says) in bodies {
        match parse(&body) {
            Ok((user_id, request)) => {
                assert_eq!(says, UNDERSTOOD, "{body}");
                assert_eq!(user_id.to_string(), ID, "{body}");
                assert_eq!(request.action, Action::Delete, "{body}");
            }
            Err(malformed) => {
                assert_eq!(malformed.to_string(), format!("{prefix}{says}"), "{body}")
            }
        }
    }
}

#[test]
fn other_forms_are_named() {
    let utf_16 = |text: &str, mark: &[u8]| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [mark.to_vec(), units.collect()].concat()
    };
    let json = format!(r#"{{"userId":"{ID}"}}"#);
    for (body, says) in [
        (Vec::new(), "the body is empty"),
        (vec![0x1f, 0x8b, 8, 0], "gzip"),
        (utf_16(&json, &[0xff, 0xfe]), "UTF-16"),
        (utf_16(&json, &[]), "UTF-16"),
        (vec![0xac, 0xed, 0, 5, b't'], "serialized Java object"),
        (vec![0x80, 4, 0x95], "pickle"),
        (b"<userId/>".to_vec(), "XML"),
        (b"eyJ1c2VySWQiOiIifQ==".to_vec(), "base64"),
        (format!("{{{ID}}}").into_bytes(), "in braces"),
        (
            serde_json::to_vec(&json).unwrap(),
            "JSON inside a JSON string",
        ),
        (
            format!(r#"{{"task":"hr.leave","id":"1","args":["{ID}"],"kwargs":{{}}}}"#).into_bytes(),
            "Celery",
        ),
        (
            format!("[{json}]").into_bytes(),
            "one message names one user",
        ),
        (b"[[],{},{}]".to_vec(), "one message names one user"),
        (b"4711".to_vec(), "neither a JSON object nor a user ID"),
    ] {
        let fault = parse_message(&body, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(fault.to_string().contains(says), "{says}: {fault}");
    }
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

/// A `CloudEvents` event with these attributes beside the usual ones.
fn event(attributes: &str) -> Result<(UserId, Request), Malformed> {
    parse(&format!(
        r#"{{"specversion":"1.0","id":"1","source":"/hr",{attributes}}}"#
    ))
}

#[test]
fn the_data_of_an_event_is_the_message_and_nothing_else_of_it_counts() {
    let data = format!(r#""data":{{"userId":"{ID}","action":"deactivate","reason":null}}"#);
    let kind = r#""type":"com.example.left""#;
    let (user_id, request) = event(&format!(r#"{data},{kind},"user_id":"x""#)).unwrap();
    assert_eq!(
        (user_id.to_string().as_str(), request.action),
        (ID, Action::Deactivate)
    );
    assert_eq!(request.message_sha256.unwrap().len(), 64);

    // A message of ours whose publisher added such members.
    let body = format!(r#"{{"specversion":"1.0","data":{{"userId":"x"}},"userId":"{ID}"}}"#);
    assert_eq!(parse(&body).unwrap().0.to_string(), ID);

    for (attributes, says) in [
        (
            format!("{data},{kind},\"deleteAfter\":\"2030-01-01T00:00:00Z\""),
            "deleteAfter: has to be in data",
        ),
        (
            format!("{data},{kind},\"delete_after\":null"),
            "deleteAfter is misspelt",
        ),
        (format!("{data},{data},{kind}"), "there twice"),
        (format!("{data},{kind},{kind}"), "there twice"),
        (
            format!("{data},{kind},\"specversion\":\"1.0\""),
            "there twice",
        ),
        (data.clone(), "type is missing"),
        (kind.to_owned(), "data: has to be an object that has userId"),
        (
            format!("{kind},\"data\":\"{ID}\""),
            "data: has to be an object that has userId",
        ),
        (format!("{kind},\"data_base64\":\"e30=\""), "data_base64"),
        (
            format!("{kind},\"data\":{{\"user_id\":\"{ID}\"}}"),
            "userId is missing (there is user_id)",
        ),
        (
            format!("{kind},\"data\":{{\"userId\":\"{ID}\",\"deleteAfter\":1}}"),
            "deleteAfter: has to be a time",
        ),
    ] {
        let fault = event(&attributes).unwrap_err().to_string();
        assert!(fault.contains(says), "{attributes}: {fault}");
    }
    let other = format!(r#"{{"specversion":"0.3",{kind},{data}}}"#);
    assert!(
        parse(&other)
            .unwrap_err()
            .to_string()
            .contains("specversion: has to be 1.0")
    );
}

#[test]
fn an_event_of_ours_that_comes_back_off_boards_nobody() {
    for kind in [
        "offboarding.user.deactivated-only",
        "offboarding.user.deleted",
        "offboarding.x",
    ] {
        let fault = event(&format!(r#""type":"{kind}","data":{{"userId":"{ID}"}}"#)).unwrap_err();
        assert!(
            fault.to_string().contains("an event of offboarder"),
            "{fault}"
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

//! Bodies as the frameworks of others publish them.

use jiff::Timestamp;

use super::super::{Action, Malformed, Request, UserId, parse_message};

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn parse(body: &str) -> Result<(UserId, Request), Malformed> {
    parse_message(body.as_bytes(), Timestamp::UNIX_EPOCH)
}

/// Bodies of ordinary frameworks that can mean only one thing; the others are in [`answered`].
fn understood() -> [String; 9] {
    let hex = ID.replace('-', "");
    [
        // Jackson and System.Text.Json write members without a value as null.
        format!(r#"{{"userId":"{ID}","batchId":null,"action":null,"deleteAfter":null}}"#),
        // Guid.ToString("N").
        format!(r#"{{"userId":"{hex}"}}"#),
        // Names of Java's enums.
        format!(r#"{{"userId":"{ID}","action":"DELETE"}}"#),
        format!(
            r#"{{"specversion":"1.0","id":"1","source":"/hr","type":"com.example.left","data":{{"userId":"{ID}"}}}}"#
        ),
        // A JSON string.
        format!(r#""{ID}""#),
        format!("\u{feff}{{\"userId\":\"{ID}\"}}"),
        // Python's isoformat.
        format!(r#"{{"userId":"{ID}","requestedAt":"2026-11-24T09:12:41.062000+00:00"}}"#),
        ID.to_uppercase(),
        format!("{ID}\n"),
    ]
}

/// Bodies of ordinary frameworks that could mean something else, and what to change.
fn answered() -> [(String, &'static str); 9] {
    let with = |member: &str| format!(r#"{{"userId":"{ID}",{member}}}"#);
    [
        // Jackson's Instant, as a number of seconds; JavaScript's Date, of milliseconds.
        (
            with(r#""requestedAt":1767225600.000000000"#),
            "requestedAt: has to be a time with an offset, such as 2026-01-31T08:00:00Z, and is a number",
        ),
        (
            with(r#""deleteAfter":1767225600000"#),
            "deleteAfter: has to be a time with an offset, such as 2026-01-31T08:00:00Z, and is a number",
        ),
        // Java's LocalDateTime, Python's naive datetime.
        (
            with(r#""deleteAfter":"2026-12-31T00:00:00""#),
            "deleteAfter: has to be a time with an offset, such as 2026-01-31T08:00:00Z, and has no offset",
        ),
        // .NET without JsonNamingPolicy.CamelCase.
        (
            format!(r#"{{"UserId":"{ID}","RequestedBy":"hr"}}"#),
            "userId is missing (there is UserId)",
        ),
        (
            format!(r#"{{"user_id":"{ID}","delete_after":"2026-12-31T00:00:00Z"}}"#),
            "deleteAfter is misspelt (there is delete_after): rename or remove it; \
             userId is missing (there is user_id)",
        ),
        (
            with(r#""batchId":"Q4 2026""#),
            "batchId: has to match [A-Za-z0-9._:-]{1,128}",
        ),
        (
            format!(
                r#"{{"messageId":"0","messageType":["urn:message:Hr:Left"],"message":{{"userId":"{ID}"}},"host":{{}}}}"#
            ),
            "this is a MassTransit envelope: publish the raw JSON, with UseRawJsonSerializer",
        ),
        (
            format!(
                r#"[["{ID}"], {{}}, {{"callbacks": null, "errbacks": null, "chain": null, "chord": null}}]"#
            ),
            "this is a Celery task: publish the raw JSON, with the producer of Kombu",
        ),
        (
            format!(r#"[{{"userId":"{ID}"}},{{"userId":"{ID}"}}]"#),
            "this is a list: one message names one user, publish one message for each",
        ),
    ]
}

#[test]
fn each_body_of_a_framework_is_understood_or_the_fault_says_what_to_change() {
    for body in understood() {
        let (user_id, request) = parse(&body).unwrap();
        assert_eq!(
            (user_id.to_string().as_str(), request.action),
            (ID, Action::Delete),
            "{body}"
        );
        assert_eq!((request.batch_id, request.delete_after), (None, None));
    }

    for (body, says) in answered() {
        let fault = parse(&body).unwrap_err().to_string();
        let prefix =
            "the message is neither a user ID nor JSON after offboarding-message.schema.json: ";
        assert_eq!(fault, format!("{prefix}{says}"), "{body}");
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
fn an_event_of_ours_that_comes_back_asks_for_nothing() {
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

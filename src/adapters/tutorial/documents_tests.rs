use super::*;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn user() -> UserId {
    ID.parse().unwrap()
}

fn account(body: &[u8]) -> Result<ScimUser, String> {
    parse_account(user(), &Bytes::copy_from_slice(body), None)
}

fn profile(body: &[u8]) -> Result<RoutingProfile, String> {
    parse_profile(&Bytes::copy_from_slice(body), None)
}

fn queue(body: &str, user_id: UserId) -> Result<Queue, String> {
    let id = "q".parse().unwrap();
    parse_queue(&id, user_id, &Bytes::copy_from_slice(body.as_bytes()), None)
}

#[test]
fn members_that_we_do_not_know_keep_digits_and_order() {
    let body = r#"{"z":1.10,"active":true,"a":9007199254740993,"e":1E5,"n":{"x":[1.0]}}"#;
    let read = account(body.as_bytes()).unwrap();
    let expected = r#"{"z":1.10,"active":false,"a":9007199254740993,"e":1E5,"n":{"x":[1.0]}}"#;
    assert_eq!(with_active(&read, false).unwrap(), expected.as_bytes());
}

#[test]
fn active_is_read_in_every_spelling_that_servers_use() {
    let parse = |members: &str| {
        let body = format!(r#"{{"id":"{}"{members}}}"#, ID.to_uppercase());
        account(body.as_bytes()).map(|user| user.account.active)
    };
    for spelled in [
        "true",
        r#""true""#,
        r#""True""#,
        r#"" TRUE ""#,
        "1",
        r#""1""#,
    ] {
        assert_eq!(
            parse(&format!(r#","active":{spelled}"#)),
            Ok(Some(true)),
            "{spelled}"
        );
    }
    for spelled in [
        "false",
        r#""false""#,
        r#""False""#,
        r#""FALSE""#,
        "0",
        r#""0""#,
    ] {
        assert_eq!(
            parse(&format!(r#","active":{spelled}"#)),
            Ok(Some(false)),
            "{spelled}"
        );
    }

    for missing in ["", r#","active":null"#] {
        assert_eq!(parse(missing), Ok(None), "{missing}: it is not shown");
    }
    for odd in [
        r#""""#,
        r#""yes""#,
        "2",
        "-1",
        "0.0",
        "[]",
        "{}",
        r#""inactive""#,
    ] {
        assert!(parse(&format!(r#","active":{odd}"#)).is_err(), "{odd}");
    }
}

#[test]
fn what_is_not_that_user_is_an_error() {
    let other = r#"{"id":"4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12","active":false}"#;
    for body in [
        "{}",
        r#"{"status":"ok"}"#,
        r#"{"Resources":[]}"#,
        "[]",
        "<html>",
        "null",
        other,
    ] {
        assert!(account(body.as_bytes()).is_err(), "{body}");
    }
    let read = account(br#"{"active":false}"#).unwrap();
    assert_eq!(read.account.active, Some(false));
}

#[test]
fn documents_that_are_nested_deeply_are_read_and_written_back() {
    let deep = |count| [vec![b'['; count], vec![b']'; count]].concat();
    let body = [
        format!(r#"{{"id":"{ID}","active":true,"x":"#).as_bytes(),
        &deep(400_000),
        b"}",
    ]
    .concat();
    let read = account(&body).unwrap();
    assert_eq!(with_active(&read, false).unwrap().len(), body.len() + 1);

    for member in ["active", "id", "meta"] {
        let body = [format!(r#"{{"{member}":"#).as_bytes(), &deep(400_000), b"}"].concat();
        assert!(account(&body).is_err(), "{member}");
    }
    let queues = [br#"{"queues":"#.as_slice(), &deep(400_000), b"}"].concat();
    assert!(profile(&queues).is_err());
}

#[test]
fn the_version_is_the_etag_or_the_meta_version() {
    let body = br#"{"active":true,"meta":{"version":"W/\"3\""}}"#;
    let version = |etag: Option<&str>| {
        let body = Bytes::from_static(body);
        parse_account(user(), &body, etag.map(str::to_owned))
            .unwrap()
            .version
    };
    assert_eq!(version(None).as_deref(), Some("W/\"3\""));
    assert_eq!(version(Some("\"4\"")).as_deref(), Some("\"4\""));
    assert_eq!(version(Some("bare")).as_deref(), Some("bare"));
    for odd in [r#""""#, r#""4\nX: 1""#, "null", "7", "[]"] {
        let body = format!(r#"{{"active":true,"meta":{{"version":{odd}}}}}"#);
        let read = account(body.as_bytes()).unwrap();
        assert_eq!(read.version, None, "{odd}");
    }
}

#[test]
fn supervisors_that_cannot_be_read_are_an_error() {
    assert!(queue(r#"{"supervisorIds":"all"}"#, user()).is_err());
    let read = queue(r#"{"supervisorIds":null}"#, user()).unwrap();
    assert!(!read.names_user);
}

#[test]
fn a_queue_loses_only_the_user() {
    let other = "4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12";
    let body = format!(
        r#"{{"id":"q","ownerId":"{}","weight":1.50,"supervisorIds":["{other}","{ID}"]}}"#,
        ID.to_uppercase()
    );
    let read = queue(&body, user()).unwrap();
    assert!(read.names_user);
    assert!(queue(&body, other.parse().unwrap()).unwrap().names_user);

    let expected =
        format!(r#"{{"id":"q","ownerId":null,"weight":1.50,"supervisorIds":["{other}"]}}"#);
    assert_eq!(
        queue_without_user(&read, user()).unwrap(),
        expected.as_bytes()
    );
}

#[test]
fn a_profile_may_have_no_queues_but_not_some_that_we_cannot_read() {
    for body in ["{}", r#"{"queues":null}"#, r#"{"queues":[]}"#] {
        assert!(
            profile(body.as_bytes()).unwrap().queues.is_empty(),
            "{body}"
        );
    }
    for body in [
        r#"{"queues":"all"}"#,
        r#"{"queues":[{}]}"#,
        r#"{"queues":[{"id":".."}]}"#,
        "[]",
    ] {
        assert!(profile(body.as_bytes()).is_err(), "{body}");
    }
}

use super::*;

fn parts(text: &str) -> Parts {
    Parts::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[test]
fn every_part_is_read_and_shown_from_the_same_reading() {
    let url = parts("AMQPS://o%40b:a%23b:c@mq_1:5671,[2001:DB8::0:5]:2,192.0.2.1/%2f?heartbeat=5");
    let login = url.login.as_ref().unwrap();
    assert_eq!(
        (
            login.user.as_str(),
            login.password.as_ref().unwrap().expose()
        ),
        ("o@b", "a#b:c")
    );
    let servers: Vec<_> = url
        .servers
        .iter()
        .map(|server| (server.name(), server.port))
        .collect();
    let expected = [
        ("mq_1", Some(5671)),
        ("2001:db8::5", Some(2)),
        ("192.0.2.1", None),
    ];
    assert_eq!(
        servers,
        expected.map(|(host, port)| (host.to_owned(), port))
    );
    assert_eq!((url.path.as_deref(), url.query.len()), (Some("%2f"), 1));
    assert_eq!(
        url.shown,
        "amqps://o%40b:***@mq_1:5671,[2001:db8::5]:2,192.0.2.1/%2f?heartbeat=5"
    );
    assert_eq!(parts("http://[::1]").path, None);
    assert_eq!(parts("http://[::1]/").path.as_deref(), Some(""));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_and_nothing_of_it_is_repeated() {
    for text in [
        "amqp://offboarder:2024#hunter2@mq-1.invalid:5671/%2f",
        "amqp://u:hunter2@@h/",
        "amqp://u:hun@ter2@h/",
        "amqp://u:hunter2/@h/",
        "amqp://u:1/hunter2@h/",
        "amqp://u:1?hunter2@h/",
        "amqp://u:hunter2%@h/",
        "amqp://u:hunter2%2@h/",
        "amqp://u:hunter2%00@h/",
        "amqp://u:hunter2%ff@h/",
        "amqp://u:hun ter2@h/",
        "amqp://u:hunter2\\@h/",
        "amqp://u:hunter2\u{200b}@h/",
        " amqp://u:hunter2@h/",
        "amqp://u:hunter2@",
        "amqp://u:hunter2@/v",
        "amqp:u:hunter2@h",
        "am_qp://u:hunter2@h",
        "://u:hunter2@h",
        "amqp://u:hunter2@h:0/",
        "amqp://u:hunter2@h:65536/",
        "amqp://u:hunter2@h:+1/",
        "amqp://u:hunter2@h:/",
        "amqp://u:hunter2@a,,b/",
        "amqp://u:hunter2@a;b/",
        "amqp://u:hunter2@2001:db8::5/",
        "amqp://u:hunter2@2001:db8::5:5672/",
        "amqp://u:hunter2@[2001:db8::5/",
        "amqp://u:hunter2@[2001:db8::x]/",
        "amqp://u:hunter2@[fe80::1%25eth0]/",
        "amqp://u:hunter2@[]/",
        "amqp://u:hunter2@[::]/",
        "amqp://u:hunter2@0.0.0.0/",
        "amqp://u:hunter2@2130706433/",
        "amqp://u:hunter2@127.1/",
        "amqp://u:hunter2@h?a=1&a=2",
        "amqp://h?protocol=x?password=hunter2",
    ] {
        let Err(why) = Parts::parse(text) else {
            panic!("{text} is taken")
        };
        assert!(
            !why.contains("hunter2") && !why.contains("ter2"),
            "{text}: {why}"
        );
    }
}

#[test]
fn a_query_is_shown_only_if_every_member_is_harmless() {
    assert_eq!(
        parts("redis://h?protocol=resp3").shown,
        "redis://h?protocol=resp3"
    );
    assert_eq!(
        parts("redis://h?protocol=resp3&x=hunter2").shown,
        "redis://h?***"
    );
    assert_eq!(parts("redis://h?protocol=x:hunter2").shown, "redis://h?***");
    let unknown = |text| parts(text).members("nothing", |_, _| None).unwrap_err();
    assert_eq!(
        unknown("redis://h?ssl=1"),
        "has the unknown member ssl in its query; known is nothing"
    );
    for secret in [
        "redis://h?hunter2",
        "redis://h?hunter2=",
        "redis://h?Hunter2=1",
        "redis://h?x1=hunter2",
    ] {
        assert!(
            !unknown(secret).to_lowercase().contains("hunter2"),
            "{secret}"
        );
    }
}

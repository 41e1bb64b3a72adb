use super::*;

#[test]
fn all_that_is_missing_is_one_finding_and_each_other_difference_has_its_own() {
    let missing = |name: &str| TopologyFault::Missing {
        what: format!("the queue {name}"),
    };
    let other = |name: &str| TopologyFault::Different {
        what: format!("the queue {name}"),
        why: "x-queue-type".to_owned(),
    };
    let faults = vec![
        missing("a"),
        other("b"),
        missing("c"),
        other("d"),
        missing("e"),
    ];
    let findings = topology(Ok(faults));
    assert_eq!(findings.len(), 3, "{findings:?}");
    let last = &findings[2].detail;
    assert_eq!(
        last,
        "3 exchanges and queues do not exist, from the queue a to the queue e"
    );
    assert!(topology(Ok(Vec::new()))[0].ok);
    let unknown = topology(Ok(vec![TopologyFault::NotCompared]));
    assert!(unknown[0].ok && unknown[0].detail.contains("unknown"));
}

fn report(name: &str, online: usize, limits: &[(&str, i64)]) -> QueueReport {
    QueueReport {
        name: name.to_owned(),
        members: 3,
        online,
        policies: vec!["small".to_owned()],
        limits: limits
            .iter()
            .map(|(limit, value)| ((*limit).to_owned(), *value))
            .collect(),
        overflow: None,
        reroutes_to: None,
    }
}

#[test]
fn a_queue_without_a_majority_is_not_ok_and_one_without_a_member_is_a_warning() {
    let of = |online| {
        let queues = [
            report("offboarding.users", online, &[]),
            report("else", 0, &[]),
        ];
        of_queues(&queues)
    };
    assert!(of(3)[0].ok && !of(3)[0].warning, "{:?}", of(3));
    assert!(of(2)[0].warning, "{:?}", of(2));
    let lost = of(1);
    assert!(!lost[0].ok, "{lost:?}");
    assert_eq!(
        lost[0].detail,
        "no majority: offboarding.users has 1 of 3 members online"
    );
}

#[test]
fn a_policy_that_loses_messages_is_not_ok_and_one_that_refuses_them_is_a_warning() {
    let of = |limit| of_queues(&[report("offboarding.users", 3, &[(limit, 5)])]).remove(0);
    let length = of("max-length");
    assert!(length.ok && length.warning, "{length:?}");
    assert!(
        length
            .detail
            .starts_with("the policy small limits offboarding.users: max-length 5"),
        "{length:?}"
    );
    for losing in ["message-ttl", "expires", "delivery-limit"] {
        assert!(!of(losing).ok, "{losing}");
    }
    let others = of_queues(&[
        report("offboarding.users", 3, &[]),
        report("events.hr", 3, &[("max-length", 5)]),
    ]);
    assert!(others[0].ok && !others[0].warning, "{others:?}");
}

#[test]
fn a_management_api_without_our_queues_is_another_brokers() {
    for queues in [vec![], vec![report("else", 3, &[])]] {
        let found = of_queues(&queues);
        assert!(
            !found[0].ok && found[0].detail.contains("none of our queues"),
            "{found:?}"
        );
    }
}

#[test]
fn a_policy_that_sends_messages_elsewhere_after_they_waited_is_not_ok() {
    for (queue, ok) in [
        ("offboarding.wait.3s", false),
        ("offboarding.users", true),
        ("offboarding.dead", true),
    ] {
        let found = of_queues(&[QueueReport {
            reroutes_to: Some("my-key".to_owned()),
            ..report(queue, 3, &[])
        }]);
        assert_eq!(found[0].ok, ok, "{found:?}");
        assert!(ok || found[0].detail.contains("my-key"), "{found:?}");
    }
}

#[test]
fn a_policy_by_which_a_full_queue_drops_messages_is_not_ok_with_or_without_a_length() {
    let of = |overflow: &str, limits| {
        let overflow = Some(overflow.to_owned());
        of_queues(&[QueueReport {
            overflow,
            ..report("offboarding.users", 3, limits)
        }])
    };
    let without = of("drop-head", &[]);
    assert_eq!(without.len(), 1, "{without:?}");
    assert!(
        !without[0].ok
            && without[0]
                .detail
                .contains("the policy small sets overflow drop-head"),
        "{without:?}"
    );
    let with = of("drop-head", &[("max-length", 5)]);
    assert!(with.iter().all(|finding| !finding.ok), "{with:?}");
    assert!(
        !with
            .iter()
            .any(|finding| finding.detail.contains("refuses messages")),
        "{with:?}"
    );
    // RabbitMQ takes it for drop-head in a quorum queue.
    assert!(!of("reject-publish-dlx", &[])[0].ok);
    let refusing = of("reject-publish", &[("max-length", 5)]);
    assert!(refusing[0].ok && refusing[0].warning, "{refusing:?}");
    assert!(!of("reject-publish", &[])[0].warning);
}

#[test]
fn a_host_that_does_not_let_us_in_is_a_warning_that_names_it_and_a_name_that_is_not_known_another()
{
    let report = |host: &str, error| HostReport {
        host: host.to_owned(),
        error,
    };
    let refused = QueueError::Refused {
        what: "let us in".to_owned(),
        why: "ACCESS_REFUSED".to_owned(),
    };
    let away = QueueError::Unreachable {
        at: "amqps://a,b,c".to_owned(),
        why: "unknown host".to_owned(),
        fix: "check that it runs",
    };
    let all = [
        report("a:1", None),
        report("b:2", Some(refused)),
        report("c:3", Some(away)),
    ];
    let found = hosts("amqps://a,b,c", &all);
    assert_eq!(found.len(), 3);
    assert!(
        found[0].ok && found[0].detail.ends_with("(1 of 3 hosts: a:1)"),
        "{found:?}"
    );
    assert!(
        found[1].warning && found[1].detail.contains("b:2 does not let us in"),
        "{found:?}"
    );
    assert!(
        found[2].warning
            && found[2]
                .detail
                .contains("c:3 cannot be reached (unknown host)"),
        "{found:?}"
    );
    let one = hosts("amqps://a", &all[..1]);
    assert_eq!(one[0].detail, "accepts the credentials at amqps://a");

    assert!(!certificate(&Ok(Some("CN=a".to_owned())), false).warning);
    assert!(certificate(&Ok(None), false).warning);
    assert!(certificate(&Ok(None), true).skipped);
}

#[test]
fn an_alarm_and_a_queue_that_does_not_answer_are_named_and_what_a_login_may_not_see_is_unknown() {
    let alarm = alarms(Ok(Some("low on disk".to_owned())));
    assert!(
        !alarm.ok && alarm.detail.contains("low on disk"),
        "{alarm:?}"
    );
    let refused = || QueueError::Refused {
        what: "read".to_owned(),
        why: "ACCESS_REFUSED".to_owned(),
    };
    assert!(alarms(Err(refused())).skipped);
    assert!(majority(Err(refused())).skipped);
    let lost = majority(Err(QueueError::Broken {
        what: "read offboarding.dead".to_owned(),
        why: "no answer within 10 s".to_owned(),
    }));
    assert!(!lost.ok && lost.detail.contains("majority"), "{lost:?}");
}

use super::*;
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::steps::Interrupt;
use crate::worker::run::Outcome;

fn somebody() -> UserId {
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
}

#[test]
fn only_a_finished_user_is_acknowledged_without_a_successor() {
    let now = Timestamp::UNIX_EPOCH;
    let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
    let visits = [
        Ok(Outcome::HandOver),
        Ok(Outcome::Wait {
            until: now,
            why: String::new(),
            code: None,
        }),
        Ok(Outcome::Busy {
            for_at_most: Duration::from_mins(1),
        }),
        Ok(Outcome::DeadLetter {
            reason: Reason::ApiRejected,
            failure: failure.clone(),
            state: StateName::Received,
            attempts: 1,
        }),
        Err(Interrupt::Draining),
        Err(Interrupt::LeaseLost),
        Err(Interrupt::Systemic(failure)),
    ];
    for visit in visits {
        let text = format!("{visit:?}");
        let done = disposition(visit, somebody(), Source::Users, now);
        assert!(
            !matches!(done, Disposition::Acknowledge | Disposition::Finish(..)),
            "{text}"
        );
    }
    let replaced = disposition(Ok(Outcome::Replaced), somebody(), Source::Users, now);
    assert_eq!(replaced, Disposition::Acknowledge);
}

fn parked(until: Timestamp, left: SignedDuration) -> Delivery {
    let mut delivery = Delivery::mock(1, EXCHANGE.into(), "users".into(), false, Vec::new());
    let left = i64::try_from(left.as_millis()).unwrap();
    let headers = vec![
        (WAIT_HEADER, long(until.as_millisecond())),
        (WAIT_LEFT_HEADER, long(left)),
    ];
    let mut table = lapin::types::FieldTable::default();
    for (name, value) in headers {
        table.insert(name.into(), value);
    }
    delivery.properties = BasicProperties::default().with_headers(table);
    delivery
}

#[test]
fn a_wait_of_900_years_is_looked_at_after_a_day() {
    let now = Timestamp::UNIX_EPOCH;
    let far = now + SignedDuration::from_hours(900 * 365 * 24);
    assert_eq!(
        parked_until(&parked(far, SignedDuration::from_hours(1_000_000)), now),
        Some(now + LONGEST_WAIT)
    );
    let (pause, headers) = wait(far, now);
    assert_eq!(pause, Duration::from_hours(2));
    let told = headers
        .iter()
        .map(|(_, value)| as_long(value).unwrap())
        .collect::<Vec<_>>();
    assert_eq!(told, [24 * 3_600_000, 22 * 3_600_000]);
}

#[test]
fn a_copy_by_cc_is_told_from_the_message_and_from_what_others_route() {
    let routed = |exchange: &str, key: &str, source| {
        is_copy(
            &Delivery::mock(1, exchange.into(), key.into(), false, Vec::new()),
            source,
        )
    };
    assert!(
        routed(EXCHANGE, "users", Source::Archive)
            && routed(EXCHANGE, "users", Source::UsersUrgent)
    );
    assert!(
        !routed(EXCHANGE, "users", Source::Users),
        "the message itself"
    );
    assert!(
        !routed(EXCHANGE, "hr.leavers", Source::Users),
        "a binding of an operator"
    );
    assert!(!routed("", "offboarding.users", Source::Users), "a shovel");
    assert!(!routed("other", "users", Source::Archive));
}

#[test]
fn a_drained_job_goes_back_where_it_came_from_and_a_handed_over_one_goes_on() {
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(
        disposition(
            Err(Interrupt::Draining),
            somebody(),
            Source::UsersUrgent,
            now
        ),
        Disposition::GiveBack
    );
    assert_eq!(
        disposition(Ok(Outcome::HandOver), somebody(), Source::UsersUrgent, now),
        Disposition::Forward(Source::ArchiveUrgent)
    );
}

#[test]
fn a_message_that_the_broker_refuses_loses_headers_first_then_its_work_then_its_body() {
    let mut delivery = Delivery::mock(1, EXCHANGE.into(), "users".into(), false, vec![b'x'; 2000]);
    delivery.properties = clean_headers(
        &BasicProperties::default().with_correlation_id("c-1".into()),
        vec![("tenant", text("emea")), (REVISION_HEADER, long(2))],
    );
    let without = bare(&delivery.properties);
    let forward = Disposition::Forward(Source::Archive);
    let tried = Form::ALL.map(|form| {
        let content = form.content(&delivery, &without);
        let names = content.properties.headers().as_ref().unwrap().inner().len();
        let given_up = match form
            .disposition(&forward, "too long", Timestamp::UNIX_EPOCH)
            .into_owned()
        {
            Disposition::DeadLetter(letter) => Some((letter.reason, letter.error)),
            other => {
                assert_eq!(other, forward);
                None
            }
        };
        (
            names,
            content.properties.correlation_id().is_some(),
            content.body.len(),
            given_up,
        )
    });
    let why = "RabbitMQ does not take the message on: too long".to_owned();
    let given_up = Some((Reason::MalformedMessage, why));
    assert_eq!(
        tried,
        [
            (2, true, 2000, None),
            (1, false, 2000, None),
            (1, false, 2000, given_up.clone()),
            (1, false, 1024, given_up),
        ]
    );
}

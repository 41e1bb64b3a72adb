use std::time::Duration;

use super::*;
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::queue::Properties;
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
        Ok(Outcome::MoveToArchiveLane),
        Ok(Outcome::Delay {
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
    let replaced = disposition(Ok(Outcome::Obsolete), somebody(), Source::Users, now);
    assert_eq!(replaced, Disposition::Acknowledge);
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
        disposition(
            Ok(Outcome::MoveToArchiveLane),
            somebody(),
            Source::UsersUrgent,
            now
        ),
        Disposition::Forward(Source::ArchiveUrgent)
    );
}

#[test]
fn a_message_that_the_broker_refuses_loses_headers_first_then_its_work_then_its_body() {
    let mut properties =
        Properties::of_headers([("tenant", "emea".into()), (REVISION, 2_u32.into())]);
    properties.correlation_id = Some("c-1".to_owned());
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, vec![b'x'; 2000]);
    let forward = Disposition::Forward(Source::Archive);

    let tried = Form::ALL.map(|form| {
        let content = form.envelope(&envelope);
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
            content.properties.headers.len(),
            content.properties.correlation_id.is_some(),
            content.body().len(),
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

use super::*;
use crate::failure::Reason;
use crate::queue::Properties;
use crate::queue::headers::REVISION;

#[test]
fn a_message_that_the_broker_refuses_loses_headers_first_then_its_work_then_its_body() {
    let mut properties =
        Properties::of_headers([("tenant", "emea".into()), (REVISION, 2_u32.into())]);
    properties.correlation_id = Some("c-1".to_owned());
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, vec![b'x'; 2000]);

    let tried = Form::ALL.map(|form| {
        let content = form.envelope(&envelope);
        let outcome = form.outcome(&Outcome::MoveToArchiveLane, "too long");
        let given_up = match outcome.into_owned() {
            Outcome::DeadLetter(given_up) => Some((given_up.reason, given_up.error)),
            other => {
                assert_eq!(other, Outcome::MoveToArchiveLane);
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

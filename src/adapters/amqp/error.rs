//! The client library's errors as ours.

use lapin::ErrorKind;

use crate::adapters::tls;
use crate::queue::QueueError;

/// What RabbitMQ answers to a message that it does not take.
const CONTENT_TOO_LARGE: u16 = 311;
const NO_EXCHANGE: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const FRAME_ERROR: u16 = 501;

/// An error on an open connection.
pub(super) fn queue_error(error: &lapin::Error, what: &str) -> QueueError {
    let what = what.to_owned();
    let why = error.to_string();
    match error.kind() {
        ErrorKind::ProtocolError(_) => QueueError::Refused { what, why },
        _ => QueueError::Broken { what, why },
    }
}

/// An error of publishing a message.
pub(super) fn publishing_error(error: &lapin::Error, exchange: &str, key: &str) -> QueueError {
    let ErrorKind::ProtocolError(answer) = error.kind() else {
        return queue_error(error, "publish");
    };
    let exchange = exchange.to_owned();
    let key = key.to_owned();

    match answer.get_id() {
        NO_EXCHANGE => QueueError::Unroutable { exchange, key },
        CONTENT_TOO_LARGE | PRECONDITION_FAILED | FRAME_ERROR => QueueError::MessageRefused {
            exchange,
            key,
            why: answer.get_message().to_string(),
        },
        _ => queue_error(error, "publish"),
    }
}

/// Whether the broker refuses the login in `user_id`: it knows us under another name.
pub(super) fn refuses_login(error: &QueueError) -> bool {
    matches!(error, QueueError::MessageRefused { why, .. } if why.contains("user_id"))
}

/// An error of connecting.
pub(super) fn connecting_error(error: &lapin::Error, at: &str) -> QueueError {
    let why = error.to_string();
    if let ErrorKind::ProtocolError(_) = error.kind() {
        return QueueError::Refused {
            what: format!("let us in at {at}"),
            why,
        };
    }

    let at = at.to_owned();
    if let ErrorKind::ParsingError(_) = error.kind() {
        return QueueError::Unreachable {
            at,
            why: "the port answers, and not in plain AMQP: it probably wants TLS".to_owned(),
            fix: "make OFFBOARDER_QUEUE_URL an amqps:// URL, or name the plain port (5672)",
        };
    }
    let (why, fix) = match tls::cause(&why) {
        Some(cause) if tls::is_untrusted(&why) => (cause, "set OFFBOARDER_QUEUE_CA_FILE"),
        Some(cause) if tls::wants_a_client_certificate(&why) => (
            cause,
            "set OFFBOARDER_QUEUE_CLIENT_CERT_FILE and OFFBOARDER_QUEUE_CLIENT_KEY_FILE, to a certificate that the broker trusts",
        ),
        Some(cause) => (
            cause,
            "set scheme, host and port of OFFBOARDER_QUEUE_URL: amqps:// with the TLS port (5671), amqp:// with the plain one (5672)",
        ),
        None => (why.as_str(), "check that it runs, and OFFBOARDER_QUEUE_URL"),
    };
    QueueError::Unreachable {
        at,
        why: why.to_owned(),
        fix,
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};

    use super::*;

    #[test]
    fn a_refusal_of_one_message_differs_from_one_that_every_message_meets() {
        let refused = |kind: AMQPErrorKind| {
            let error =
                lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, "why".into())));
            publishing_error(&error, "e", "k")
        };
        let of_one: [AMQPErrorKind; 3] = [
            AMQPSoftError::PRECONDITIONFAILED.into(),
            AMQPSoftError::CONTENTTOOLARGE.into(),
            AMQPHardError::FRAMEERROR.into(),
        ];
        for kind in of_one {
            assert!(matches!(refused(kind), QueueError::MessageRefused { .. }));
        }
        assert!(matches!(
            refused(AMQPSoftError::NOTFOUND.into()),
            QueueError::Unroutable { .. }
        ));
        assert!(matches!(
            refused(AMQPSoftError::ACCESSREFUSED.into()),
            QueueError::Refused { .. }
        ));
    }
}

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
    let (why, fix) = match tls::cause(&why) {
        Some(cause) if tls::is_untrusted(&why) => (
            cause,
            "let OFFBOARDER_QUEUE_CA_FILE name the file of the CA that signed the broker's certificate",
        ),
        Some(cause) if tls::refuses_our_certificate(&why) => (
            cause,
            "renew the certificate in OFFBOARDER_QUEUE_CLIENT_CERT_FILE, or let the broker trust its CA",
        ),
        Some(cause) if tls::wants_a_client_certificate(&why) => (
            cause,
            "set OFFBOARDER_QUEUE_CLIENT_CERT_FILE and OFFBOARDER_QUEUE_CLIENT_KEY_FILE, to a certificate that the broker trusts",
        ),
        Some(cause) if cause != tls::NO_TLS => (
            cause,
            "let OFFBOARDER_QUEUE_URL name the host as its certificate does, and renew a certificate that has expired",
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

/// The errors of all hosts, as one. A refusal says more than that a host does not answer.
pub(super) fn all_failed(mut errors: Vec<(String, QueueError)>, at: &str) -> QueueError {
    let refusal = errors
        .iter()
        .position(|(_, error)| !matches!(error, QueueError::Unreachable { .. }));
    if let Some(refusal) = refusal {
        let is_one_of_several = errors.len() > 1;
        let (host, error) = errors.swap_remove(refusal);
        return match error {
            QueueError::Refused { what, why } if is_one_of_several => QueueError::Refused {
                what,
                why: format!("{why}; said by {host}"),
            },
            error => error,
        };
    }

    let fix = errors.iter().rev().find_map(|(_, error)| match error {
        QueueError::Unreachable { fix, .. } => Some(*fix),
        _ => None,
    });
    let fix = fix.unwrap_or("check OFFBOARDER_QUEUE_URL");
    let single = errors.len() == 1;
    let reasons = errors.iter().filter_map(|(host, error)| match error {
        QueueError::Unreachable { why, .. } if single => Some(why.clone()),
        QueueError::Unreachable { why, .. } => Some(format!("{host}: {why}")),
        _ => None,
    });
    QueueError::Unreachable {
        at: at.to_owned(),
        why: reasons.collect::<Vec<_>>().join("; "),
        fix,
    }
}

/// A server with TLS ended the connection, and we have no certificate.
pub(super) fn may_want_certificate(at: &str, why: &str) -> QueueError {
    QueueError::Unreachable {
        at: at.to_owned(),
        why: format!("{why}; maybe it wants a client certificate"),
        fix: "check that it runs; if it asks for certificates, set OFFBOARDER_QUEUE_CLIENT_CERT_FILE and OFFBOARDER_QUEUE_CLIENT_KEY_FILE",
    }
}

/// A connection without TLS failed at a port that speaks TLS.
pub(super) fn wants_tls(at: &str) -> QueueError {
    QueueError::Unreachable {
        at: at.to_owned(),
        why: "this port wants TLS".to_owned(),
        fix: "make OFFBOARDER_QUEUE_URL an amqps:// URL, or name the plain port (5672)",
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

    #[test]
    fn the_errors_of_all_hosts_become_one_and_a_refusal_comes_first() {
        let away = |host: &str| {
            let error = QueueError::Unreachable {
                at: "amqp://a,b".to_owned(),
                why: "connection refused".to_owned(),
                fix: "check that it runs",
            };
            (host.to_owned(), error)
        };
        let all = all_failed(vec![away("a:1"), away("b:2")], "amqp://a,b").to_string();
        let expected = "cannot reach RabbitMQ at amqp://a,b (a:1: connection refused; b:2: connection refused); check that it runs";
        assert_eq!(all, expected);
        let one = all_failed(vec![away("a:1")], "amqp://a").to_string();
        assert!(one.contains("(connection refused)"), "{one}");

        let refused = QueueError::Refused {
            what: "let us in".to_owned(),
            why: "ACCESS_REFUSED".to_owned(),
        };
        let errors = vec![away("a:1"), ("b:2".to_owned(), refused)];
        let error = all_failed(errors, "amqp://a,b");
        assert!(matches!(error, QueueError::Refused { .. }));
        assert!(
            error.to_string().contains("ACCESS_REFUSED; said by b:2"),
            "{error}"
        );
    }
}

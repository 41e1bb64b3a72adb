//! Under which name RabbitMQ knows a certificate. It takes the name from the certificate as its own settings say, and
//! checks `user_id` against it.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ErrorKind};

use super::error::queue_error;
use crate::queue::QueueError;
use crate::queue::names::JOBS_EXCHANGE;

const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
/// No queue is bound for it: should RabbitMQ take the message, it drops it.
pub(super) const NOBODYS_KEY: &str = "nobody";
const SOMEBODY_ELSE: &str = "offboarder-asks-for-its-name";

/// Claims to be somebody else. RabbitMQ refuses that before it looks for a queue, and says who we are. `None` if it does
/// not say: it lets us claim any name, or has no exchange of ours yet.
pub(super) async fn name_of(connection: &Connection) -> Result<Option<String>, QueueError> {
    let asking = async {
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let claim = BasicProperties::default().with_user_id(SOMEBODY_ELSE.into());
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(
                JOBS_EXCHANGE.into(),
                NOBODYS_KEY.into(),
                options,
                b"",
                claim,
            )
            .await?
            .await
    };
    let Err(error) = asking.await else {
        return Ok(None);
    };
    match error.kind() {
        ErrorKind::ProtocolError(answer) if answer.get_id() == PRECONDITION_FAILED => {
            Ok(name_in(&answer.get_message().to_string()))
        }
        ErrorKind::ProtocolError(answer) if answer.get_id() == NOT_FOUND => Ok(None),
        _ => Err(queue_error(&error, "say who we are")),
    }
}

/// `PRECONDITION_FAILED - user_id property set to 'x' but authenticated user was 'CN=worker,O=Example'`.
fn name_in(answer: &str) -> Option<String> {
    let name = answer.rsplit_once("authenticated user was '")?.1;
    let name = name.strip_suffix('\'')?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_only_whole() {
        let start = "PRECONDITION_FAILED - user_id property set to 'x' but authenticated user was ";
        let name = |end: &str| name_in(&format!("{start}{end}"));
        assert_eq!(name("'CN=worker,O=Ex'").as_deref(), Some("CN=worker,O=Ex"));
        assert_eq!(name("'CN=O'Hara'").as_deref(), Some("CN=O'Hara"));
        assert_eq!(name("'CN=cut"), None);
        assert_eq!(name("''"), None);
        assert_eq!(name_in("PRECONDITION_FAILED - something else"), None);
    }
}

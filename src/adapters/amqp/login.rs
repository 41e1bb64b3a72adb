//! Under which name RabbitMQ knows a certificate. It takes the name from the certificate as its own settings say, and
//! checks `user_id` against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ErrorKind};
use tokio::time::Instant;

use super::alarm::blocked;
use super::error::queue_error;
use crate::queue::QueueError;
use crate::queue::names::JOBS_EXCHANGE;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
/// No queue is bound for it: should RabbitMQ take the message, it drops it.
pub(super) const NOBODYS_KEY: &str = "nobody";
const SOMEBODY_ELSE: &str = "offboarder-asks-for-its-name";
/// How long RabbitMQ may take to say the name, or to end the connection for that.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a question without an answer is not repeated: each one takes a connection.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The name of our certificate, once RabbitMQ said it. Clones share it.
#[derive(Clone, Default)]
pub(super) struct CertificateName(Arc<Shared>);

#[derive(Default)]
struct Shared {
    known: parking_lot::Mutex<Known>,
    /// One question at a time; the last one, unless it brought the name.
    last: tokio::sync::Mutex<Option<Unanswered>>,
    /// RabbitMQ answers the question that it has when its alarm is over.
    is_held_up: AtomicBool,
    was_warned: AtomicBool,
}

#[derive(Default)]
struct Known {
    name: Option<String>,
    /// When RabbitMQ last refused a name that it had said.
    refused: Option<Instant>,
}

struct Unanswered {
    at: Instant,
    error: Option<QueueError>,
}

impl CertificateName {
    pub(super) fn known(&self) -> Option<String> {
        self.0.known.lock().name.clone()
    }

    /// The name, by a question over a connection of its own if it is not known: an alarm blocks each one that publishes.
    /// `None` while RabbitMQ does not say it.
    pub(super) async fn get(
        &self,
        connect: impl AsyncFnOnce() -> Result<Connection, QueueError>,
    ) -> Result<Option<String>, QueueError> {
        self.by(async || self.ask(connect().await?).await).await
    }

    async fn by(
        &self,
        ask: impl AsyncFnOnce() -> Result<Option<String>, QueueError>,
    ) -> Result<Option<String>, QueueError> {
        let begun = Instant::now();
        if let Some(name) = self.known() {
            return Ok(Some(name));
        }

        let mut last = self.0.last.lock().await;
        if let Some(name) = self.known() {
            return Ok(Some(name));
        }
        if self.0.is_held_up.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match &*last {
            // This one waited for that answer.
            Some(Unanswered { at, error }) if *at > begun => {
                return error.clone().map_or(Ok(None), Err);
            }
            Some(Unanswered { at, error: None }) if at.elapsed() < ASK_AGAIN => return Ok(None),
            Some(_) | None => {}
        }

        let asked = ask().await;
        *last = match &asked {
            Ok(Some(name)) => {
                self.0.known.lock().name = Some(name.clone());
                None
            }
            Ok(None) => Some(Unanswered {
                at: Instant::now(),
                error: None,
            }),
            Err(error) => Some(Unanswered {
                at: Instant::now(),
                error: Some(error.clone()),
            }),
        };
        asked
    }

    /// RabbitMQ refuses this name: the certificate was renewed with another one. The second time in short it is not
    /// asked again at once.
    pub(super) async fn forget(&self, refused: &str) {
        let is_repeated = {
            let mut known = self.0.known.lock();
            if known.name.as_deref() != Some(refused) {
                return;
            }
            known.name = None;
            let before = known.refused.replace(Instant::now());
            before.is_some_and(|before| before.elapsed() < ASK_AGAIN)
        };
        if is_repeated {
            let at = Instant::now();
            *self.0.last.lock().await = Some(Unanswered { at, error: None });
        }
    }

    async fn ask(&self, connection: Connection) -> Result<Option<String>, QueueError> {
        let connection = Arc::new(connection);
        let mut asking = Box::pin(answer(Arc::clone(&connection)));
        let answered = tokio::select! {
            answered = tokio::time::timeout(ANSWER_WITHIN, &mut asking) => answered,
            reason = blocked(&connection) => {
                tracing::info!(reason, "RabbitMQ will say under which name it knows our certificate when its alarm is over");
                self.0.is_held_up.store(true, Ordering::Relaxed);
                let name = self.clone();
                tokio::spawn(async move {
                    let answered = asking.await;
                    if let Ok(Answer::Name(said)) = answered {
                        name.0.known.lock().name = Some(said);
                    }
                    name.0.is_held_up.store(false, Ordering::Relaxed);
                    close(&connection).await;
                });
                return Ok(None);
            }
        };
        tokio::spawn(async move { close(&connection).await });

        let answered = answered.unwrap_or_else(|_elapsed| {
            let why = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            let what = "say who we are".to_owned();
            Err(QueueError::Broken { what, why })
        });
        Ok(match answered? {
            Answer::Name(name) => Some(name),
            Answer::MayNotAsk => None,
            Answer::Silence => {
                if !self.0.was_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "RabbitMQ does not say under which name it knows our certificate: headers of ours are not believed when they come back"
                    );
                }
                None
            }
        })
    }
}

/// A connection that does not close in order is dropped.
async fn close(connection: &Connection) {
    let closing = connection.close(200, "done".into());
    tokio::time::timeout(ANSWER_WITHIN, closing).await.ok();
}

enum Answer {
    Name(String),
    /// This login may publish with other keys only, or there is no exchange yet.
    MayNotAsk,
    /// It lets us claim any name, or cuts ours.
    Silence,
}

/// Claims to be somebody else. RabbitMQ refuses that before it looks for a queue, and says who we are.
async fn answer(connection: Arc<Connection>) -> Result<Answer, QueueError> {
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
        return Ok(Answer::Silence);
    };
    match error.kind() {
        ErrorKind::ProtocolError(answer) => match answer.get_id() {
            PRECONDITION_FAILED => {
                let name = name_in(&answer.get_message().to_string());
                Ok(name.map_or(Answer::Silence, Answer::Name))
            }
            ACCESS_REFUSED | NOT_FOUND => Ok(Answer::MayNotAsk),
            _ => Err(queue_error(&error, "say who we are")),
        },
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
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A question that takes a second, and counts.
    async fn asked(
        name: &CertificateName,
        count: &AtomicUsize,
        answer: Result<Option<&str>, &str>,
    ) -> Result<Option<String>, String> {
        let ask = async || {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer
                .map(|name| name.map(str::to_owned))
                .map_err(|why| QueueError::TlsFile(why.to_owned()))
        };
        name.by(ask).await.map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_want_the_name_one_question_is_asked_whatever_comes_of_it() {
        for answer in [Ok(Some("CN=a")), Ok(None), Err("away")] {
            let name = CertificateName::default();
            let count = AtomicUsize::new(0);
            let all = (0..64).map(|_| asked(&name, &count, answer));
            let expected = answer
                .map(|name| name.map(str::to_owned))
                .map_err(str::to_owned);
            for got in futures_util::future::join_all(all).await {
                assert_eq!(got, expected);
            }
            assert_eq!(count.load(Ordering::Relaxed), 1, "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_without_an_answer_is_repeated_later_and_a_failed_one_at_once() {
        let name = CertificateName::default();
        let count = AtomicUsize::new(0);
        assert_eq!(asked(&name, &count, Ok(None)).await, Ok(None));
        assert_eq!(asked(&name, &count, Ok(Some("CN=a"))).await, Ok(None));
        tokio::time::sleep(ASK_AGAIN).await;
        asked(&name, &count, Err("away")).await.unwrap_err();
        let said = asked(&name, &count, Ok(Some("CN=a"))).await;
        assert_eq!(said, Ok(Some("CN=a".to_owned())));
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_refused_is_asked_for_again_and_after_a_second_refusal_later() {
        let name = CertificateName::default();
        let count = AtomicUsize::new(0);
        let asked = async |answer| asked(&name, &count, Ok(Some(answer))).await.unwrap();
        assert_eq!(asked("CN=a").await.as_deref(), Some("CN=a"));
        // One of many that were under way when another one had forgotten it.
        name.forget("CN=other").await;
        assert_eq!(name.known().as_deref(), Some("CN=a"));
        name.forget("CN=a").await;
        assert_eq!(asked("CN=b").await.as_deref(), Some("CN=b"));
        name.forget("CN=b").await;
        assert_eq!(asked("CN=c").await, None);
        tokio::time::sleep(ASK_AGAIN).await;
        assert_eq!(asked("CN=c").await.as_deref(), Some("CN=c"));
    }

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

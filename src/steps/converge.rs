use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::failure::{Class, Code, Failure};
use crate::machine::{Event, Pause};

/// The API converges late, mostly within a second: so long a step reads again by itself. What takes
/// longer waits in the broker, so that no slot and no delivery is held for it.
const AT_ONCE: Duration = Duration::from_secs(2);

/// So long after the last write a read that does not show it is not yet taken for an answer.
const DEADLINE: SignedDuration = SignedDuration::from_secs(30);

const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// How often a document that changed under us is read and written again within one attempt.
const MAX_CONFLICTS: usize = 5;

/// The writes of one document that were refused because it is another than was read.
#[derive(Default)]
pub(super) struct Conflicts {
    tries: usize,
    /// The version that was refused last; an empty one where the server has none.
    refused: Option<String>,
    /// A write was refused though the version was that of the read before.
    unchanged: bool,
}

impl Conflicts {
    /// What to send as `If-Match`. A server that refused this very version compares in a way of its own: by RFC 9110
    /// section 13.1.1 a weak one never matches. The write goes without, and the read after it decides.
    pub(super) fn if_match<'a>(&mut self, version: Option<&'a str>) -> Option<&'a str> {
        let again = self.refused.as_deref() == Some(version.unwrap_or_default());
        self.unchanged |= again;
        version.filter(|_| !self.unchanged)
    }

    /// The write was refused; `Err` when that is enough.
    pub(super) fn met(&mut self, version: Option<&str>, what: &str) -> Result<(), Failure> {
        self.refused = Some(version.unwrap_or_default().to_owned());
        self.tries += 1;
        if self.tries < MAX_CONFLICTS {
            return Ok(());
        }
        let text = if self.unchanged {
            format!(
                "CXone refuses each write of the {what} as if it had changed, though it reads the same before and \
                 after, with If-Match and without; a proxy may change ETags: ask the vendor"
            )
        } else {
            format!("the {what} changed under each of {MAX_CONFLICTS} tries to write it")
        };
        Err(Failure::new(
            Class::Transient,
            Code::CxoneVersionConflict,
            text,
        ))
    }

    /// The object was missing for the write: the next read decides.
    pub(super) fn vanished(&mut self, what: &str) -> Result<(), Failure> {
        self.tries += 1;
        if self.tries < MAX_CONFLICTS {
            return Ok(());
        }
        let text = format!("CXone answers 404 to each write of the {what}, and reads find it");
        Err(Failure::new(
            Class::Transient,
            Code::CxoneContradiction,
            text,
        ))
    }
}

/// The pauses between reads of one visit.
pub(super) struct ConvergencePoll {
    until: Instant,
    pause: Duration,
}

impl ConvergencePoll {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now() + AT_ONCE,
            pause: Duration::from_millis(100),
        }
    }

    /// Waits a little; `false` when the visit has to end.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        true
    }
}

/// The visit ends and the next one reads again, until the deadline after the last write is over.
pub(super) fn later(since: Timestamp) -> Option<Event> {
    let now = Timestamp::now();
    (now.duration_since(since) < DEADLINE).then(|| Event::StepPostponed {
        until: now + AGAIN_AFTER,
        why: Pause::NotConverged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_was_refused_and_did_not_change_is_not_sent_again() {
        let mut conflicts = Conflicts::default();
        let weak = Some(r#"W/"1""#);
        assert_eq!(conflicts.if_match(weak), weak);
        conflicts.met(weak, "x").unwrap();
        assert_eq!(conflicts.if_match(weak), None, "it was no change");
        for _ in 2..MAX_CONFLICTS {
            conflicts.met(weak, "x").unwrap();
            assert_eq!(conflicts.if_match(weak), None);
        }
        let text = conflicts.met(weak, "SCIM user").unwrap_err().text;
        assert!(text.contains("reads the same before and after"), "{text}");
    }

    #[test]
    fn a_version_that_changes_is_sent_each_time() {
        let mut conflicts = Conflicts::default();
        for version in ["1", "2", "3", "4"].map(Some) {
            assert_eq!(conflicts.if_match(version), version);
            conflicts.met(version, "x").unwrap();
        }
        assert_eq!(conflicts.if_match(Some("5")), Some("5"));
        let text = conflicts.met(Some("5"), "queue").unwrap_err().text;
        assert_eq!(text, "the queue changed under each of 5 tries to write it");
    }

    #[test]
    fn without_versions_a_refusal_is_not_called_a_change() {
        let mut conflicts = Conflicts::default();
        for _ in 1..MAX_CONFLICTS {
            assert_eq!(conflicts.if_match(None), None);
            conflicts.met(None, "x").unwrap();
        }
        assert_eq!(conflicts.if_match(None), None);
        assert!(
            conflicts
                .met(None, "x")
                .unwrap_err()
                .text
                .contains("with If-Match and without")
        );
    }
}

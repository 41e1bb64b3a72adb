//! Writes that conflict: repeated a few times with what a new read shows.

use crate::failure::{Class, Code, Failure};

/// How often one attempt reads and writes a document that keeps changing.
const MAX_CONFLICTS: usize = 5;

/// The writes of one document that were refused because the document was not what was read.
#[derive(Default)]
pub(crate) struct Conflicts {
    tries: usize,
    /// The version that was refused last; an empty one where the server has none.
    refused: Option<String>,
    /// A write was refused though the version was that of the read before.
    unchanged: bool,
}

impl Conflicts {
    /// What to send as `If-Match`. A server may refuse even the current version: by RFC 9110 section 13.1.1, a weak `ETag`
    /// never matches. Then the write is sent without `If-Match`, and the read after it decides.
    pub(crate) fn if_match<'a>(&mut self, version: Option<&'a str>) -> Option<&'a str> {
        let again = self.refused.as_deref() == Some(version.unwrap_or_default());
        self.unchanged |= again;
        version.filter(|_| !self.unchanged)
    }

    /// The write was refused; `Err` after too many refusals.
    pub(crate) fn met(&mut self, version: Option<&str>, what: &str) -> Result<(), Failure> {
        self.refused = Some(version.unwrap_or_default().to_owned());
        self.tries += 1;
        if self.tries < MAX_CONFLICTS {
            return Ok(());
        }

        let text = if self.unchanged {
            format!(
                "the API refuses each write of the {what} as if it had changed, though it reads the same before and \
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

    /// The write did not find the object: the next read decides.
    pub(crate) fn vanished(&mut self, what: &str) -> Result<(), Failure> {
        self.tries += 1;
        if self.tries < MAX_CONFLICTS {
            return Ok(());
        }
        let text = format!("the API answers 404 to each write of the {what}, and reads find it");
        Err(Failure::new(
            Class::Transient,
            Code::CxoneContradiction,
            text,
        ))
    }
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
        assert_eq!(conflicts.if_match(weak), None, "it did not change");
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

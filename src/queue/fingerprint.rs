//! Fingerprints of faults.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The fingerprint of a fault: equal for dead letters that differ only in IDs and numbers.
pub(crate) fn fingerprint(code: &str, step: &str, error: &str) -> String {
    let digest = Sha256::digest(format!("{code}\n{step}\n{}", normalised(error)));
    hex::encode(digest.get(..6).unwrap_or_default())
}

const UUID_CHARS: usize = 36;

/// The text with `#` for each ID and each word with a digit. The status of an HTTP response stays, because it describes the
/// fault.
fn normalised(error: &str) -> String {
    let mut text = String::with_capacity(error.len());
    let mut rest = error;
    while let Some(first) = rest.chars().next() {
        let id = rest
            .get(..UUID_CHARS)
            .filter(|id| Uuid::try_parse(id).is_ok());
        let word = rest
            .find(|one: char| !one.is_alphanumeric())
            .unwrap_or(rest.len());
        let (piece, length) = match (id, rest.get(..word).unwrap_or_default()) {
            (Some(_), _) => ("#", UUID_CHARS),
            (None, "") => (
                rest.get(..first.len_utf8()).unwrap_or_default(),
                first.len_utf8(),
            ),
            (None, plain)
                if is_status(plain) || !plain.contains(|one: char| one.is_ascii_digit()) =>
            {
                (plain, word)
            }
            (None, _) => ("#", word),
        };
        text.push_str(piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    text
}

fn is_status(word: &str) -> bool {
    word.len() == 3
        && word
            .parse()
            .is_ok_and(|number: u16| (400..600).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_do_not_change_a_fingerprint_and_statuses_do() {
        let error = |id: &str, status: u16, seconds: u16| {
            format!(
                "PATCH /users/{id}: CXone answered {status} (correlation ID {id}-{seconds}) after {seconds} s"
            )
        };
        let one = normalised(&error("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11", 503, 7));
        assert_eq!(
            one,
            "PATCH /users/#: CXone answered 503 (correlation ID #-#) after # s"
        );
        assert_eq!(
            one,
            normalised(&error("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", 503, 12))
        );
        assert_ne!(
            one,
            normalised(&error("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11", 500, 7))
        );
        assert_eq!(normalised("Größe: 12 – zu groß"), "Größe: # – zu groß");
        assert_eq!(normalised(""), "");
    }

    #[test]
    fn code_and_step_change_a_fingerprint() {
        let one = fingerprint("cxone_timeout", "archive", "slow");
        assert_eq!(one.len(), 12);
        assert_ne!(one, fingerprint("cxone_timeout", "delete", "slow"));
        assert_ne!(one, fingerprint("cxone_unreachable", "archive", "slow"));
    }
}

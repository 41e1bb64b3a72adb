//! What an error of TLS means, in words for people. The libraries below report it only as a text, and each wraps it in
//! another way, so all adapters read that text here.

/// The cause in plain words, if the text of an error (with its sources) is one of TLS that people meet at set-up.
pub(super) fn cause(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));

    if says(&["invalidcontenttype"]) {
        Some("this port speaks no TLS")
    } else if says(&["unknownissuer", "unknown issuer"]) {
        Some("TLS: unknown issuer, no known CA signed the certificate")
    } else if says(&["causedasendentity"]) {
        Some("TLS: the certificate is self-signed")
    } else if says(&["notvalidforname"]) {
        Some("TLS: the certificate is for another host name")
    } else if says(&["certificateexpired", "peer certificate: expired"]) {
        Some("TLS: the certificate has expired, or the clock of this host is wrong")
    } else {
        None
    }
}

/// Whether a known CA would make the connection work.
pub(super) fn is_untrusted(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["unknownissuer", "unknown issuer", "causedasendentity"]
        .iter()
        .any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_libraries_become_plain_words() {
        for (text, says, untrusted) in [
            (
                "io error: received corrupt message of type InvalidContentType",
                "speaks no TLS",
                false,
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "no known CA",
                true,
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "self-signed",
                true,
            ),
            (
                "invalid peer certificate: NotValidForName",
                "another host name",
                false,
            ),
            ("invalid peer certificate: Expired", "has expired", false),
        ] {
            let cause = cause(text).unwrap();
            assert!(cause.contains(says), "{text}: {cause}");
            assert_eq!(is_untrusted(text), untrusted, "{text}");
        }
        assert_eq!(cause("connection refused"), None);
    }
}

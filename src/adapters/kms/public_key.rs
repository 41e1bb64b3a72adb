//! Public keys as KMS gives them: `SubjectPublicKeyInfo` in DER.

/// What comes before the 32 bytes of an Ed25519 key (RFC 8410).
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The bytes of an Ed25519 key; `None` if it is a key of another kind.
pub(super) fn ed25519(der: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(&ED25519)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// The example of RFC 8410, section 10.1.
    const OF_RFC_8410: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    #[test]
    fn only_a_key_of_ed25519_is_taken() {
        let der = STANDARD.decode(OF_RFC_8410).unwrap();
        let public = ed25519(&der).map(hex::encode);
        let of_the_rfc = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(public.as_deref(), Some(of_the_rfc));

        assert_eq!(ed25519(&der[..43]), None);
        assert_eq!(ed25519(&[&der[..], &[0]].concat()), None);
        for other in [
            // RSA, 1024 bits.
            "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCYVp2iirIZIYJOzs/JA8927dZp25uqWl3JM7WKixp0nuE5lh1tfpg4XDaBCHvGM+iw4lKZKH9t5OlBJxxv\
             PwJ8cXLvLdlmLiI58VuN66vvGpyK9dMmCVk6HCUP9SoJZsUUrID1vVRAAfsKf7UWdtCDqgQg8y2S5ZzjfskHsGymIQIDAQAB",
            // X25519, which has as many bytes.
            "MCowBQYDK2VuAyEAaSAtK9TWiP3F8lBKO7elIFOX1zdw01N+EFkiB0/y3AU=",
            // NIST P-256.
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELjMb/N5Y3noRErHZrQjMIDI4Rybydy+WygSSUuKCTTvlfKQOJpp+hCyOeUENn67JTPKLyiYkpH00w21Y2P/MQg==",
        ] {
            let other = STANDARD.decode(other).unwrap();
            assert_eq!(ed25519(&other), None);
        }
    }
}

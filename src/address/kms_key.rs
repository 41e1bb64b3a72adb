//! Keys of AWS KMS.

/// The name of a key of KMS: its ID, its ARN, or an alias. It is sent in a header; what it names, only AWS knows.
pub(crate) fn kms_key(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(
        "is no KMS key; give its ID, its ARN (arn:aws:kms:…:key/…), or an alias such as alias/name"
            .to_owned(),
    )
}

/// The same for a key that this process calls KMS with.
pub(crate) fn kms_signing_key(text: &str) -> Result<String, String> {
    if cfg!(feature = "kms") {
        kms_key(text)
    } else {
        Err(NO_KMS.to_owned())
    }
}

/// Why a binary without the feature refuses a key.
pub(crate) const NO_KMS: &str =
    "cannot be used by this binary, which was built without AWS KMS; build with `--features kms`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kms_key_fits_into_a_header() {
        for key in ["alias/aws/s3", "1234abcd-12ab-34cd-56ef-1234567890ab"] {
            assert_eq!(kms_key(key).as_deref(), Ok(key));
        }
        for bad in ["", "a b", "a\nb", "schlüssel"] {
            assert!(kms_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_binary_without_kms_says_how_to_build_one_with_it() {
        let key = kms_signing_key("alias/log");
        if cfg!(feature = "kms") {
            assert_eq!(key.as_deref(), Ok("alias/log"));
            assert!(kms_signing_key("a b").is_err());
        } else {
            assert!(key.unwrap_err().contains("build with `--features kms`"));
        }
    }
}

//! Which keys are taken, and how answers of KMS are classified.

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ErrorMetadata, SdkError};
use aws_sdk_kms::operation::sign::SignError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::failure::{Class, Classify as _, Code};

fn answer(spec: KeySpec, usage: KeyUsageType, der: &[u8]) -> GetPublicKeyOutput {
    GetPublicKeyOutput::builder()
        .key_spec(spec)
        .key_usage(usage)
        .public_key(Blob::new(der))
        .build()
}

#[test]
fn a_key_of_another_kind_is_named() {
    let mut der = hex::decode("302a300506032b6570032100").unwrap();
    der.extend([7; 32]);
    let ours = KeySpec::EccNistEdwards25519;
    let signs = KeyUsageType::SignVerify;
    assert_eq!(
        public_of(&answer(ours.clone(), signs.clone(), &der)),
        Ok([7; 32])
    );
    for (answer, says) in [
        (
            answer(KeySpec::Rsa2048, signs.clone(), &der),
            "RSA_2048 for SIGN_VERIFY",
        ),
        (
            answer(KeySpec::EccNistP256, KeyUsageType::KeyAgreement, &der),
            "ECC_NIST_P256 for KEY_AGREEMENT",
        ),
        (
            answer(ours, signs, &der[1..]),
            "no SubjectPublicKeyInfo of Ed25519",
        ),
        (GetPublicKeyOutput::builder().build(), "UNKNOWN for UNKNOWN"),
    ] {
        let refused = public_of(&answer).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

fn answered(status: u16, code: &str, message: &str) -> KmsError {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    let error = SdkError::service_error(SignError::generic(metadata), response);
    KmsError::of(&error, "sign with alias/log".to_owned())
}

/// Each answer says what to do, and names the key.
fn assert_classified(code: Code, answers: &[(u16, &str, Class, &str)]) {
    for (status, word, class, says) in answers {
        let error = answered(*status, word, "no");
        assert_eq!(error.classify(), (*class, code), "{status} {word}");
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("alias/log"), "{text}");
    }
}

#[test]
fn only_a_wrong_key_is_no_matter_of_time() {
    let passes = Class::Transient;
    let never = Class::Systemic;
    let rights = "kms:GetPublicKey and kms:Sign";
    let spec = "--key-spec ECC_NIST_EDWARDS25519";
    let unusable = [
        (400, "AccessDeniedException", passes, rights),
        (403, "", passes, rights),
        (400, "DisabledException", passes, "enable it"),
        (
            400,
            "KMSInvalidStateException",
            passes,
            "cancel its deletion",
        ),
        (400, "ValidationException", passes, "refused"),
        (
            400,
            "NotFoundException",
            never,
            "OFFBOARDER_EVIDENCE_KMS_KEY",
        ),
        (400, "UnsupportedOperationException", never, spec),
        (400, "InvalidKeyUsageException", never, spec),
    ];
    assert_classified(Code::EvidenceKeyUnusable, &unusable);
    let unreachable = [
        (400, "ThrottlingException", passes, "ThrottlingException"),
        (500, "KMSInternalException", passes, "AWS_ENDPOINT_URL_KMS"),
        (503, "", passes, "503"),
    ];
    assert_classified(Code::EvidenceKeyUnreachable, &unreachable);
}

#[test]
fn what_kms_says_is_shown_cut_and_escaped() {
    let hostile = answered(400, "\u{7}", &"\u{1b}\n".repeat(5_000)).to_string();
    assert!(hostile.len() < 3_000 && !hostile.contains(char::is_control));
}

#[test]
fn without_an_answer_the_cause_is_credentials_or_the_network() {
    let what = || "sign with k".to_owned();
    let none = KmsError::unanswered("CredentialsNotLoaded", "no providers", what());
    assert!(matches!(none, KmsError::NoCredentials { .. }), "{none}");
    let away = KmsError::unanswered("dispatch failure", "connection refused", what());
    assert!(away.to_string().contains("(connection refused)"), "{away}");
    assert_eq!(away.classify().1, Code::EvidenceKeyUnreachable);
}

//! How answers of S3 are classified, and which words of theirs are shown.

use super::*;
use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

fn answered(status: u16, code: &str, message: &str) -> S3Error {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    let error = SdkError::service_error(PutObjectError::generic(metadata), response);
    S3Error::of(&error, "store s3://b/k".to_owned())
}

#[test]
fn the_sentence_of_the_store_is_shown_cut_and_escaped() {
    let sentence =
        "A header you provided implies functionality that is not implemented: If-None-Match";
    let refused = answered(501, "NotImplemented", sentence);
    assert!(refused.to_string().contains(sentence), "{refused}");
    let hostile = format!("\u{1b}[2J\n\u{202e}{}", "x".repeat(5_000));
    let text = answered(400, "Invalid\u{7}", &hostile).to_string();
    assert!(
        text.len() < 1_000 && !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{text:?}"
    );
}

#[test]
fn an_operation_that_a_store_does_not_offer_is_not_an_outage() {
    for (status, code, class, word) in [
        (
            501,
            "NotImplemented",
            Class::Systemic,
            Code::ArchiveRejected,
        ),
        (501, "", Class::Systemic, Code::ArchiveRejected),
        (
            400,
            "InvalidArgument",
            Class::Systemic,
            Code::ArchiveRejected,
        ),
        (
            500,
            "InternalError",
            Class::Transient,
            Code::ArchiveUnreachable,
        ),
        (400, "BadDigest", Class::Transient, Code::ArchiveRejected),
    ] {
        assert_eq!(
            answered(status, code, "").classify(),
            (class, word),
            "{status} {code}"
        );
    }
    let blamed = answered(501, "NotImplemented", "no").blame("If-None-Match");
    assert!(
        blamed
            .to_string()
            .contains("because of the header If-None-Match (NotImplemented: no)")
    );
    assert!(matches!(
        answered(500, "InternalError", "").blame("x"),
        S3Error::Server { .. }
    ));
}

#[test]
fn a_wrong_key_or_secret_is_no_missing_permission() {
    for (code, says) in [
        (
            "SignatureDoesNotMatch",
            "the secret does not belong to the access key",
        ),
        (
            "InvalidAccessKeyId",
            "the store does not know the access key",
        ),
    ] {
        let error = answered(403, code, "");
        assert_eq!(error.code(), Code::ArchiveDenied);
        let text = error.to_string();
        assert!(
            text.contains(says) && !text.contains("permission"),
            "{text}"
        );
    }
}

#[test]
fn without_an_answer_the_text_says_what_to_set() {
    for (chain, names) in [
        (
            "invalid peer certificate: UnknownIssuer",
            "OFFBOARDER_ARCHIVE_CA_FILE",
        ),
        (
            "This behavior requires following cargo feature(s) enabled: sso. ",
            "credential_process",
        ),
        (
            "no providers in chain provided credentials",
            "no credentials found",
        ),
        ("connection refused", "AWS_ENDPOINT_URL_S3"),
        (
            "dns error: failed to lookup address information: Name or service not known",
            "OFFBOARDER_ARCHIVE_FORCE_PATH_STYLE=true",
        ),
        (
            "received corrupt message of type InvalidContentType",
            "speaks no TLS",
        ),
        ("invalid HTTP version parsed", "write https://"),
        (
            "dispatch failure: an error occurred while loading credentials: the SSO session has expired",
            "aws sso login",
        ),
        (
            "an error occurred while loading credentials: dispatch failure: UnknownIssuer",
            "OFFBOARDER_ARCHIVE_CA_FILE",
        ),
        (
            "an error occurred while loading credentials: dispatch failure: client error (Connect): dns error",
            "AWS cannot be reached for credentials",
        ),
    ] {
        let text = S3Error::unanswered(chain, chain, "store x".to_owned()).to_string();
        assert!(text.contains(names), "{text}");
    }
}

#[test]
fn a_key_of_kms_that_cannot_be_used_is_named_as_such() {
    for code in [
        "KMS.NotFoundException",
        "KMS.DisabledException",
        "KMS.KMSInvalidStateException",
    ] {
        let error = answered(400, code, "Key is disabled");
        assert_eq!(error.classify(), (Class::Systemic, Code::ArchiveDenied));
        let text = error.to_string();
        assert!(
            text.contains("OFFBOARDER_ARCHIVE_KMS_KEY") && text.contains(code),
            "{text}"
        );
    }
}

#[test]
fn http_at_a_port_for_https_is_named_as_such() {
    let sentence = "The plain HTTP request was sent to HTTPS port";
    for (body, header, wants_tls) in [(sentence, true, true), ("", false, true), ("", true, false)]
    {
        let status = StatusCode::try_from(400).unwrap();
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        if header {
            response.headers_mut().insert("server", "s3");
        }
        let unread = PutObjectError::unhandled("no XML");
        let error = SdkError::service_error(unread, response);
        let text = S3Error::of(&error, "store s3://b/k".to_owned()).to_string();
        assert_eq!(text.contains("write https://"), wants_tls, "{text}");
    }
}

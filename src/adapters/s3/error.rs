use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::failure::{Class, Classify, Code};

/// What the store can do to us. `what` names the operation and the object; `said` is the store's own word and
/// sentence, cut and escaped.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum S3Error {
    #[error(
        "cannot reach S3 to {what} ({why}); check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION"
    )]
    Unreachable { what: String, why: String },
    /// A certificate of a CA that we do not know.
    #[error(
        "cannot reach S3 to {what} ({why}): no known CA signed its certificate; name the file of its CA in \
         AWS_CA_BUNDLE (for S3 only) or SSL_CERT_FILE (for every service)"
    )]
    Untrusted { what: String, why: String },
    /// The file of CAs that `AWS_CA_BUNDLE` names.
    #[error("AWS_CA_BUNDLE: {path}: {why}; name a PEM file of CA certificates, or unset it")]
    CaBundle { path: String, why: String },
    /// The profile gets its credentials in a way that this program does not know.
    #[error(
        "cannot {what}: the AWS profile in force signs in with SSO or `aws login`, which offboarder does not do; give \
         it a profile with `credential_process = aws configure export-credentials --profile NAME --format process`"
    )]
    Profile { what: String },
    /// No credentials, wrong ones, or a right is missing.
    #[error(
        "S3 does not let us {what} ({said}); check the AWS credentials in force, and the rights in deploy/"
    )]
    Denied { what: String, said: String },
    /// What we sign is valid for some minutes around the store's own time.
    #[error(
        "S3 does not let us {what} (RequestTimeTooSkewed): the clock of this machine is off; set it"
    )]
    ClockOff { what: String },
    /// The bucket is not there.
    #[error("cannot {what}: no such bucket; make it, or set OFFBOARDER_ARCHIVE_URL to another")]
    NoBucket { what: String },
    /// 503 `SlowDown` or 429.
    #[error("S3 asks us to slow down ({what})")]
    Throttled { what: String },
    #[error("S3 answered {status} to {what} ({said})")]
    Server {
        what: String,
        status: u16,
        said: String,
    },
    /// The upload is gone, or has to begin again.
    #[error("the upload is gone ({what}, {said}); the archive begins again")]
    UploadLost { what: String, said: String },
    /// What arrived is not what was sent.
    #[error("S3 got or gave other bytes than were sent ({what}, {said})")]
    Corrupted { what: String, said: String },
    /// 501: the store does not offer it, and waiting changes nothing.
    #[error("S3 does not offer to {what} ({said}); use a store that does")]
    NotImplemented { what: String, said: String },
    #[error(
        "S3 refused to {what} with {status} ({said}); check bucket, region and OFFBOARDER_ARCHIVE_*"
    )]
    Rejected {
        what: String,
        status: u16,
        said: String,
    },
    /// A probe found the header that the store refuses.
    #[error(
        "S3 refused to {what} because of the header {header} ({said}); use a store, or a release of it, that \
         honours {header}, or look for a proxy that does not know it"
    )]
    Header {
        what: String,
        header: &'static str,
        said: String,
    },
    /// A document that should be small.
    #[error("cannot {what}: it is over {max_bytes} bytes")]
    TooLarge { what: String, max_bytes: usize },
    /// Conditional writes are not honoured.
    #[error(
        "{location} ignores If-None-Match {when}, so that objects could be overwritten; use a store that honours it"
    )]
    Overwrites {
        location: String,
        when: &'static str,
    },
    /// Something else that offboarder relies on.
    #[error("{location} {fault}; use a store that does this right")]
    Unfit { location: String, fault: String },
}

/// Whether the store says that something is there already.
pub(super) fn is_precondition<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status_of(error) == 412 || error.code() == Some("PreconditionFailed")
}

/// Whether two conditional writes met; the loser has to try again.
pub(super) fn is_race<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status_of(error) == 409
}

pub(super) fn is_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    // HEAD has no body, and so no code.
    matches!(error.code(), Some("NoSuchKey" | "NotFound" | "NoSuchVersion"))
        || (status_of(error) == 404 && error.code().is_none())
        // A delete marker, asked for by its version.
        || status_of(error) == 405
}

fn status_of<E>(error: &SdkError<E, HttpResponse>) -> u16 {
    error
        .raw_response()
        .map_or(0, |response| response.status().as_u16())
}

/// The store's word and sentence. They come from outside: cut to a line's length, without control characters.
fn said<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' => c.to_string(),
        other => other.escape_debug().to_string(),
    };
    let cut = |text: &str, chars| text.chars().take(chars).map(escaped).collect::<String>();
    let code = error.code().map_or_else(
        || format!("status {}", status_of(error)),
        |code| cut(code, 64),
    );
    match error.message().map(|message| cut(message.trim(), 300)) {
        Some(message) if !message.is_empty() => format!("{code}: {message}"),
        Some(_) | None => code,
    }
}

impl S3Error {
    /// Sorts an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, what: String) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = status_of(error);
        if status == 0 {
            return Self::unanswered(
                &DisplayErrorContext(error).to_string(),
                innermost(error),
                what,
            );
        }
        let said = said(error);
        match (error.code().unwrap_or_default(), status) {
            ("NoSuchBucket", _) => Self::NoBucket { what },
            ("RequestTimeTooSkewed", _) => Self::ClockOff { what },
            ("NoSuchUpload", _) => Self::UploadLost { what, said },
            ("SlowDown" | "SlowDownRead" | "SlowDownWrite" | "ThrottlingException", _)
            | (_, 429) => Self::Throttled { what },
            // The answer to a HEAD has no body to say `SlowDown` in.
            ("", 503) => Self::Throttled { what },
            (
                "BadDigest"
                | "InvalidDigest"
                | "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch",
                _,
            ) => Self::Corrupted { what, said },
            (_, 401 | 403) => Self::Denied { what, said },
            ("NotImplemented", _) | (_, 501) => Self::NotImplemented { what, said },
            (_, 408 | 500..=599) => Self::Server { what, status, said },
            _ => Self::Rejected { what, status, said },
        }
    }

    /// Without an answer, the texts of the SDK are all there is to sort by.
    fn unanswered(chain: &str, why: String, what: String) -> Self {
        if chain.contains("CredentialsNotLoaded") || chain.contains("no providers in chain") {
            Self::Denied {
                what,
                said: "no credentials found".to_owned(),
            }
        } else if chain.contains("cargo feature") {
            Self::Profile { what }
        } else if chain.contains("UnknownIssuer") {
            Self::Untrusted { what, why }
        } else {
            Self::Unreachable { what, why }
        }
    }

    /// A body that broke off, or whose checksum the SDK found wrong.
    pub(super) fn of_body(error: &(dyn std::error::Error + 'static), what: String) -> Self {
        let why = innermost(error);
        // The SDK compares what it reads with the checksum that the store returns.
        if why.to_ascii_lowercase().contains("checksum mismatch") {
            Self::Corrupted { what, said: why }
        } else {
            Self::Unreachable { what, why }
        }
    }

    /// The same, where it is known which header the store does not take.
    pub(super) fn blame(self, header: &'static str) -> Self {
        match self {
            Self::NotImplemented { what, said }
            | Self::Rejected {
                what,
                status: 400,
                said,
            } => Self::Header { what, header, said },
            other => other,
        }
    }
}

/// The last cause in the chain says most in the fewest words.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Classify for S3Error {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } => {
                (Class::Systemic, Code::ArchiveUnreachable)
            }
            Self::CaBundle { .. } => (Class::Systemic, Code::SettingsUnreadable),
            Self::Denied { .. } | Self::ClockOff { .. } | Self::Profile { .. } => {
                (Class::Systemic, Code::ArchiveDenied)
            }
            Self::NoBucket { .. } => (Class::Systemic, Code::ArchiveMissing),
            Self::Throttled { .. } => (Class::Throttled, Code::ArchiveThrottled),
            Self::Server { .. } => (Class::Transient, Code::ArchiveUnreachable),
            Self::UploadLost { .. } => (Class::Transient, Code::ArchiveUploadLost),
            Self::Corrupted { .. } => (Class::Transient, Code::ArchiveRejected),
            Self::NotImplemented { .. } | Self::Rejected { .. } | Self::Header { .. } => {
                (Class::Systemic, Code::ArchiveRejected)
            }
            Self::TooLarge { .. } => (Class::Defect, Code::ArchiveRejected),
            Self::Overwrites { .. } => (Class::Systemic, Code::ArchiveOverwrites),
            Self::Unfit { .. } => (Class::Systemic, Code::ArchiveUnfit),
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn the_stores_own_sentence_is_passed_on_cut_and_escaped() {
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
    fn what_a_store_does_not_offer_is_no_outage() {
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
    fn without_an_answer_the_way_out_is_named() {
        for (chain, names) in [
            ("invalid peer certificate: UnknownIssuer", "AWS_CA_BUNDLE"),
            ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
            (
                "This behavior requires following cargo feature(s) enabled: sso. ",
                "credential_process",
            ),
            (
                "no providers in chain provided credentials",
                "no credentials found",
            ),
            ("connection refused", "AWS_ENDPOINT_URL_S3"),
        ] {
            let text =
                S3Error::unanswered(chain, chain.to_owned(), "store x".to_owned()).to_string();
            assert!(text.contains(names), "{text}");
        }
    }
}

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::failure::{Class, Classify, Code};

/// What the store can do to us. `what` names the operation and the object.
#[derive(Debug, Clone, thiserror::Error)]
pub enum S3Error {
    /// No answer.
    #[error("cannot reach S3 to {what} ({why}); check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION")]
    Unreachable {
        /// Operation and object.
        what: String,
        /// The cause.
        why: String,
    },
    /// No credentials, wrong ones, or a right is missing.
    #[error(
        "S3 does not let us {what} ({code}); check the AWS credentials in force, and the rights in deploy/"
    )]
    Denied {
        /// Operation and object.
        what: String,
        /// S3's word.
        code: String,
    },
    /// What we sign is valid for some minutes around the store's own time.
    #[error("S3 does not let us {what} (RequestTimeTooSkewed): the clock of this machine is off; set it")]
    ClockOff {
        /// Operation and object.
        what: String,
    },
    /// The bucket is not there.
    #[error("cannot {what}: no such bucket; make it, or set OFFBOARDER_ARCHIVE_URL to another")]
    NoBucket {
        /// Operation and object.
        what: String,
    },
    /// 503 `SlowDown` or 429.
    #[error("S3 asks us to slow down ({what})")]
    Throttled {
        /// Operation and object.
        what: String,
    },
    /// 5xx.
    #[error("S3 answered {status} to {what} ({code})")]
    Server {
        /// Operation and object.
        what: String,
        /// HTTP status.
        status: u16,
        /// S3's word.
        code: String,
    },
    /// The upload is gone, or has to begin anew.
    #[error("the upload is gone ({what}, {code}); the archive begins anew")]
    UploadLost {
        /// Operation and object.
        what: String,
        /// S3's word.
        code: String,
    },
    /// What arrived is not what was sent.
    #[error("S3 got other bytes than were sent ({what}, {code})")]
    Corrupted {
        /// Operation and object.
        what: String,
        /// S3's word.
        code: String,
    },
    /// 501: the store does not offer it, and waiting changes nothing.
    #[error("S3 does not offer to {what} ({code}); use a store that does")]
    NotImplemented {
        /// Operation and object.
        what: String,
        /// S3's word.
        code: String,
    },
    /// Any other refusal.
    #[error("S3 refused to {what} with {status} ({code}); check bucket, region and OFFBOARDER_ARCHIVE_*")]
    Rejected {
        /// Operation and object.
        what: String,
        /// HTTP status.
        status: u16,
        /// S3's word.
        code: String,
    },
    /// A document that should be small.
    #[error("cannot {what}: it is over {max_bytes} bytes")]
    TooLarge {
        /// Operation and object.
        what: String,
        /// The cap.
        max_bytes: usize,
    },
    /// Conditional writes are not honoured.
    #[error(
        "{location} ignores If-None-Match, so that objects could be overwritten; use a store that honours it"
    )]
    Overwrites {
        /// The bucket.
        location: String,
    },
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
    error.raw_response().map_or(0, |response| response.status().as_u16())
}

impl S3Error {
    /// Sorts an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, what: String) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = status_of(error);
        let code = error.code().map_or_else(|| format!("status {status}"), str::to_owned);
        if status == 0 {
            let why = DisplayErrorContext(error).to_string();
            let no_credentials =
                why.contains("CredentialsNotLoaded") || why.contains("no providers in chain");
            return if no_credentials {
                Self::Denied { what, code: "no credentials found".to_owned() }
            } else {
                Self::Unreachable { what, why: innermost(error) }
            };
        }
        match (code.as_str(), status) {
            ("NoSuchBucket", _) => Self::NoBucket { what },
            ("RequestTimeTooSkewed", _) => Self::ClockOff { what },
            ("NoSuchUpload", _) => Self::UploadLost { what, code },
            ("SlowDown" | "SlowDownRead" | "SlowDownWrite" | "ThrottlingException", _) | (_, 429) => {
                Self::Throttled { what }
            }
            // The answer to a HEAD has no body to say `SlowDown` in.
            (_, 503) if error.code().is_none() => Self::Throttled { what },
            (
                "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch",
                _,
            ) => Self::Corrupted { what, code },
            (_, 401 | 403) => Self::Denied { what, code },
            ("NotImplemented", _) | (_, 501) => Self::NotImplemented { what, code },
            (_, 408 | 500..=599) => Self::Server { what, status, code },
            _ => Self::Rejected { what, status, code },
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
            Self::Unreachable { .. } => (Class::Systemic, Code::ArchiveUnreachable),
            Self::Denied { .. } | Self::ClockOff { .. } => (Class::Systemic, Code::ArchiveDenied),
            Self::NoBucket { .. } => (Class::Systemic, Code::ArchiveMissing),
            Self::Throttled { .. } => (Class::Throttled, Code::ArchiveThrottled),
            Self::Server { .. } => (Class::Transient, Code::ArchiveUnreachable),
            Self::UploadLost { .. } => (Class::Transient, Code::ArchiveUploadLost),
            Self::Corrupted { .. } => (Class::Transient, Code::ArchiveRejected),
            Self::NotImplemented { .. } | Self::Rejected { .. } => (Class::Systemic, Code::ArchiveRejected),
            Self::TooLarge { .. } => (Class::Defect, Code::ArchiveRejected),
            Self::Overwrites { .. } => (Class::Systemic, Code::ArchiveOverwrites),
        }
    }
}

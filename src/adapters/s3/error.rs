//! What can go wrong with S3.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::adapters::aws::{cut, innermost};
use crate::adapters::{proxy, tls};
use crate::failure::{Class, Classify, Code};

/// `what` names the operation and the object; `said` is the code and the sentence of the store, cut
/// and escaped.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum S3Error {
    #[error(
        "cannot reach S3 to {what} ({why}); check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION"
    )]
    Unreachable { what: String, why: String },
    /// The name of the host cannot be resolved.
    #[error(
        "cannot reach S3 to {what} ({why}); check AWS_ENDPOINT_URL_S3 and AWS_REGION; a store of your own mostly has no host \
         name for each bucket and needs OFFBOARDER_ARCHIVE_FORCE_PATH_STYLE=true"
    )]
    Unresolved { what: String, why: String },
    /// http towards a port that speaks TLS.
    #[error(
        "cannot reach S3 to {what}: the port speaks TLS; write https:// in AWS_ENDPOINT_URL_S3"
    )]
    WantsTls { what: String },
    /// The certificate was signed by an unknown CA.
    #[error(
        "cannot reach S3 to {what} ({why}); name the file of its CA in OFFBOARDER_ARCHIVE_CA_FILE"
    )]
    Untrusted { what: String, why: String },
    /// A file of CA certificates cannot be used.
    #[error("{0}")]
    CaFile(String),
    /// The profile, role or process of the AWS settings gives no credentials.
    #[error(
        "cannot {what}: no credentials ({why}); check the AWS profile in force (`aws sts get-caller-identity` with the same \
         settings), and sign in again (`aws sso login`) if it uses SSO"
    )]
    NoCredentials { what: String, why: String },
    /// The service that gives credentials, such as AWS' STS or SSO, does not answer.
    #[error(
        "cannot {what}: AWS cannot be reached for credentials ({why}); check the network, HTTPS_PROXY, AWS_REGION, and the \
         AWS profile in force"
    )]
    CredentialsUnreachable { what: String, why: String },
    /// The KMS key is unknown, disabled, or cannot be used.
    #[error(
        "S3 cannot {what} with the KMS key ({said}); check OFFBOARDER_ARCHIVE_KMS_KEY, or the default encryption of the \
         bucket: the key has to be enabled, in the region of the bucket, and named by its ARN if it is another account's"
    )]
    KmsKey { what: String, said: String },
    /// The profile gets its credentials in a way that the SDK was built without.
    #[error(
        "cannot {what}: the AWS profile in force signs in with `aws login`, which offboarder does not do; give \
         it a profile with `credential_process = aws configure export-credentials --profile NAME --format process`"
    )]
    Profile { what: String },
    /// No credentials, wrong ones, or a permission is missing.
    #[error(
        "S3 does not let us {what} ({said}); check the AWS credentials in force, and the permissions in deploy/"
    )]
    Denied { what: String, said: String },
    /// The store knows the access key, and computes another signature.
    #[error(
        "S3 does not let us {what} ({said}): the secret does not belong to the access key; set AWS_SECRET_ACCESS_KEY, or the profile in force, again; if both are right, look for a proxy that changes requests, or a wrong AWS_REGION"
    )]
    WrongSecret { what: String, said: String },
    /// The store does not know the access key.
    #[error(
        "S3 does not let us {what} ({said}): the store does not know the access key; check AWS_ACCESS_KEY_ID or the profile in force, and that AWS_ENDPOINT_URL_S3 is the store that issued it"
    )]
    UnknownKey { what: String, said: String },
    /// A signature is valid for some minutes around the store's own time.
    #[error(
        "S3 does not let us {what} (RequestTimeTooSkewed): the clock of this machine is wrong; set it"
    )]
    ClockOff { what: String },
    /// The bucket does not exist.
    #[error("cannot {what}: no such bucket; create it, or set OFFBOARDER_ARCHIVE_URL to another")]
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
    /// The bytes that arrived are not those that were sent.
    #[error("S3 received or returned other bytes than were sent ({what}, {said})")]
    Corrupted { what: String, said: String },
    /// 501: the store does not offer the operation, and waiting changes nothing.
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
    /// The document should be small.
    #[error("cannot {what}: it has more than {max_bytes} bytes")]
    TooLarge { what: String, max_bytes: usize },
    /// The store does not honour conditional writes.
    #[error(
        "{location} ignores If-None-Match {when}, so that objects could be overwritten; use a store that honours it"
    )]
    Overwrites {
        location: String,
        when: &'static str,
    },
    /// The store lacks something else that offboarder relies on.
    #[error("{location} {fault}; use a store that does this right")]
    Unfit { location: String, fault: String },
}

/// Whether the store says that an object exists already.
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

/// The code and the sentence of the store. They come from outside, so they are cut to the length of
/// a line, and control characters are escaped.
fn said<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
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
    /// Classifies an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, what: String) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = status_of(error);
        if status == 0 {
            let chain = DisplayErrorContext(error).to_string();
            return Self::unanswered(&chain, &innermost(error), what);
        }
        if status == 400 && error.code().is_none() && wants_tls(error) {
            return Self::WantsTls { what };
        }
        let said = said(error);

        match (error.code().unwrap_or_default(), status) {
            ("NoSuchBucket", _) => Self::NoBucket { what },
            ("SignatureDoesNotMatch", _) => Self::WrongSecret { what, said },
            ("InvalidAccessKeyId", _) => Self::UnknownKey { what, said },
            ("RequestTimeTooSkewed", _) => Self::ClockOff { what },
            (code, 400) if code.starts_with("KMS.") => Self::KmsKey { what, said },
            ("NoSuchUpload", _) => Self::UploadLost { what, said },
            ("SlowDown" | "SlowDownRead" | "SlowDownWrite" | "ThrottlingException", _)
            | (_, 429)
            // The answer to a HEAD has no body, and so no code.
            | ("", 503) => Self::Throttled { what },
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

    /// Without an answer, only the texts of the SDK say what went wrong.
    fn unanswered(chain: &str, why: &str, what: String) -> Self {
        let lower = chain.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));

        if chain.contains("CredentialsNotLoaded") || chain.contains("no providers in chain") {
            return Self::Denied {
                what,
                said: "no credentials found".to_owned(),
            };
        }
        if chain.contains("cargo feature") {
            return Self::Profile { what };
        }
        // It may be what another program printed.
        let why = tls::cause(chain).map_or_else(|| cut(why.trim(), 300), str::to_owned);
        let of_credentials = says(&[
            "loading credentials",
            "credentials provider",
            "providererror",
        ]);
        let why = why + &proxied(of_credentials);

        if tls::is_untrusted(chain) {
            Self::Untrusted { what, why }
        } else if of_credentials && says(&["client error (connect)"]) {
            Self::CredentialsUnreachable { what, why }
        } else if of_credentials {
            Self::NoCredentials { what, why }
        } else if says(&["failed to lookup address", "dns error"]) {
            Self::Unresolved { what, why }
        } else if says(&["invalid http version"]) {
            Self::WantsTls { what }
        } else {
            Self::Unreachable { what, why }
        }
    }

    /// The error of a body that broke off, or whose checksum the SDK found wrong.
    pub(super) fn of_body(error: &(dyn std::error::Error + 'static), what: String) -> Self {
        let why = innermost(error);
        // The SDK compares what it reads with the checksum that the store returns.
        if why.to_ascii_lowercase().contains("checksum mismatch") {
            Self::Corrupted { what, said: why }
        } else {
            Self::Unreachable { what, why }
        }
    }

    /// The same, where it is known which header the store refuses.
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

/// Servers in Go, and others, answer http at a port of theirs for https. Those in Go send no header, and close so early that
/// their sentence may be lost.
fn wants_tls<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|raw| {
        let body = String::from_utf8_lossy(raw.body().bytes().unwrap_or_default());
        body.contains("HTTPS") || raw.headers().iter().next().is_none()
    })
}

/// The proxy in front of S3, or of what gives credentials; empty without one. Only the environment is asked: a profile may
/// name another host, which `NO_PROXY` may name as well.
fn proxied(of_credentials: bool) -> String {
    let set = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].map(std::env::var);
    let mut set = set.into_iter().flatten().filter(|url| !url.is_empty());
    match set.next().filter(|_url| !of_credentials) {
        Some(url) => proxy::named(&url),
        None => proxy::named("https://amazonaws.com").replace(" through", ", maybe through"),
    }
}

impl Classify for S3Error {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. }
            | Self::Unresolved { .. }
            | Self::WantsTls { .. }
            | Self::Untrusted { .. }
            | Self::CredentialsUnreachable { .. } => (Class::Systemic, Code::ArchiveUnreachable),
            Self::CaFile(_) => (Class::Systemic, Code::SettingsUnreadable),
            Self::Denied { .. }
            | Self::WrongSecret { .. }
            | Self::UnknownKey { .. }
            | Self::ClockOff { .. }
            | Self::KmsKey { .. }
            | Self::NoCredentials { .. }
            | Self::Profile { .. } => (Class::Systemic, Code::ArchiveDenied),
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
#[path = "error_tests.rs"]
mod tests;

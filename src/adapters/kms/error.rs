//! What can go wrong with AWS KMS.

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::adapters::aws::{cut, innermost, is_of_credentials};
use crate::adapters::tls;
use crate::failure::{Class, Classify, Code};

/// `what` names the operation and the key; `said` is the code and the sentence of KMS, cut and escaped.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum KmsError {
    /// No connection, no answer in time, or 5xx.
    #[error(
        "cannot reach AWS KMS to {what} ({why}); check the network, AWS_REGION, and AWS_ENDPOINT_URL_KMS if it is set"
    )]
    Unreachable { what: String, why: String },
    /// A file of CA certificates cannot be used.
    #[error("{0}")]
    CaFile(String),
    /// The AWS settings give no credentials.
    #[error(
        "cannot {what}: no credentials ({why}); check the AWS credentials in force, which are those of the archive"
    )]
    NoCredentials { what: String, why: String },
    /// The credentials are wrong, or a right is missing.
    #[error(
        "AWS KMS does not let us {what} ({said}); give the role of this process kms:GetPublicKey and kms:Sign on the key"
    )]
    Denied { what: String, said: String },
    /// It is disabled, or its deletion is scheduled.
    #[error(
        "the key is in no state to {what} ({said}); enable it, and cancel its deletion if one is scheduled"
    )]
    Disabled { what: String, said: String },
    #[error(
        "AWS KMS knows no such key, to {what} ({said}); check OFFBOARDER_EVIDENCE_KMS_KEY and AWS_REGION, and name a key of another \
         account by its ARN"
    )]
    Unknown { what: String, said: String },
    /// Its kind is not ours.
    #[error(
        "cannot {what}: {why}, and the evidence log is signed with Ed25519; create a key with `aws kms create-key --key-spec \
         ECC_NIST_EDWARDS25519 --key-usage SIGN_VERIFY`, and name it"
    )]
    Unfit { what: String, why: String },
    #[error("AWS KMS refused to {what} ({said}); check OFFBOARDER_EVIDENCE_KMS_KEY")]
    Rejected { what: String, said: String },
}

impl KmsError {
    /// Classifies an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, what: String) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Some(response) = error.raw_response() else {
            let chain = DisplayErrorContext(error).to_string();
            return Self::unanswered(&chain, &innermost(error), what);
        };
        let status = response.status().as_u16();
        let code = error.code().unwrap_or_default();
        let message = error.message().unwrap_or_default().trim();
        let said = format!("{status} {} {}", cut(code, 64), cut(message, 300));
        let said = said.trim_end().to_owned();

        match (code, status) {
            (
                "ThrottlingException"
                | "LimitExceededException"
                | "DependencyTimeoutException"
                | "KeyUnavailableException"
                | "KMSInternalException",
                _,
            )
            | (_, 408 | 429 | 500..=599) => Self::Unreachable { what, why: said },
            ("NotFoundException" | "InvalidArnException", _) => Self::Unknown { what, said },
            ("DisabledException" | "KMSInvalidStateException", _) => Self::Disabled { what, said },
            ("UnsupportedOperationException" | "InvalidKeyUsageException", _) => {
                Self::Unfit { what, why: said }
            }
            (
                "AccessDeniedException"
                | "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "MissingAuthenticationToken",
                _,
            )
            | (_, 401 | 403) => Self::Denied { what, said },
            _ => Self::Rejected { what, said },
        }
    }

    /// Without an answer, only the texts of the SDK say what went wrong.
    pub(super) fn unanswered(chain: &str, why: &str, what: String) -> Self {
        let why = tls::cause(chain).map_or_else(|| cut(why.trim(), 300), str::to_owned);
        if is_of_credentials(chain) {
            Self::NoCredentials { what, why }
        } else {
            Self::Unreachable { what, why }
        }
    }
}

impl Classify for KmsError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. } => (Class::Transient, Code::EvidenceKeyUnreachable),
            Self::CaFile(_) => (Class::Systemic, Code::SettingsUnreadable),
            Self::NoCredentials { .. }
            | Self::Denied { .. }
            | Self::Disabled { .. }
            | Self::Rejected { .. } => (Class::Transient, Code::EvidenceKeyUnusable),
            Self::Unknown { .. } | Self::Unfit { .. } => {
                (Class::Systemic, Code::EvidenceKeyUnusable)
            }
        }
    }
}

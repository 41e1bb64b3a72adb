use serde::Serialize;

use crate::failure::{Code, Failure};

#[derive(Debug, Clone, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of the JSON document"
)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) ok: bool,
    pub(super) detail: String,
    /// It works, but is less safe than it could be.
    pub(super) warning: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    // The member of the JSON document keeps its first name.
    #[serde(rename = "mend")]
    pub(super) remedy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// The service did not respond.
    pub(super) unreachable: bool,
    /// It was not checked, because settings are missing or another finding is in the way.
    pub(super) skipped: bool,
}

impl Finding {
    pub(super) fn good(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            ok: true,
            detail: detail.into(),
            warning: false,
            remedy: None,
            code: None,
            unreachable: false,
            skipped: false,
        }
    }

    /// Not checked, and nothing is known to be wrong.
    pub(super) fn skipped(check: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::good(check, why)
        }
    }

    /// Not checked, because these settings are missing, without which `run` and `worker` cannot start.
    pub(super) fn needs(check: impl Into<String>, variables: &[String]) -> Self {
        let variables = variables.join(", ");
        Self {
            skipped: true,
            ..Self::bad(
                check,
                format!("skipped: needs {variables}"),
                "set it, or give a file that contains it by …_FILE",
            )
        }
    }

    pub(super) fn bad(
        check: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            ok: false,
            remedy: Some(remedy.into()),
            ..Self::good(check, detail)
        }
    }

    /// Something works, but is less safe than it could be. It does not change the exit status.
    pub(super) fn warning(
        check: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            warning: true,
            remedy: Some(remedy.into()),
            ..Self::good(check, detail)
        }
    }

    pub(super) fn failed(check: impl Into<String>, failure: impl Into<Failure>) -> Self {
        let failure: Failure = failure.into();
        let unreachable = matches!(
            failure.code,
            Code::CxoneUnreachable
                | Code::CxoneTimeout
                | Code::CxoneServerError
                | Code::ArchiveUnreachable
                | Code::CheckpointsUnreachable
                | Code::QueueUnreachable
                | Code::EvidenceKeyUnreachable
        );
        let remedy = remedy(failure.code);

        Self {
            code: Some(failure.code),
            unreachable,
            ..Self::bad(check, failure.text, remedy)
        }
    }
}

/// What to do about a failure, in short; its section of the runbook has the details.
fn remedy(code: Code) -> String {
    let short = match code {
        Code::CxoneUnreachable | Code::CxoneTimeout | Code::CxoneServerError => {
            "check DNS, proxy, firewall and TLS from this host to OFFBOARDER_CXONE_BASE_URI and \
             OFFBOARDER_CXONE_TOKEN_URI, and the vendor's status page"
        }
        Code::CxoneUnauthorized => {
            "compare the region of OFFBOARDER_CXONE_BASE_URI with the tenant's; check \
             OFFBOARDER_CXONE_CLIENT_ID and its secret in the vendor's admin console"
        }
        Code::CxoneRedirected | Code::CxoneUnreadable | Code::CxoneForeignAnswer => {
            "let the firewall and the proxy pass the calls of this host; OFFBOARDER_CXONE_BASE_URI must be the origin of the tenant's API itself, and OFFBOARDER_CXONE_TOKEN_URI its token endpoint"
        }
        Code::CxoneMissingScope | Code::CxoneRejected => "grant the missing permission",
        Code::ArchiveUnreachable => "check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION",
        Code::ArchiveDenied => {
            "correct what the finding names; if it names no key, secret or clock, grant s3:PutObject, s3:GetObject, \
             s3:ListBucket and s3:AbortMultipartUpload on bucket and prefix, or give this process other credentials"
        }
        Code::ArchiveMissing => "create the bucket or directory, or change OFFBOARDER_ARCHIVE_URL",
        Code::ArchiveOverwrites => "use a store that honours If-None-Match",
        Code::ArchiveUnfit => "use a store that supports what the finding names",
        Code::ArchiveFull => "free space",
        Code::CheckpointsUnreachable => {
            "check that Redis runs, and check OFFBOARDER_CHECKPOINTS_URL"
        }
        Code::CheckpointsRefused => {
            "check the user and password in OFFBOARDER_CHECKPOINTS_URL, and the memory of Redis"
        }
        Code::QueueUnreachable => "check that RabbitMQ runs, and check OFFBOARDER_QUEUE_URL",
        Code::QueueRefused => {
            "check the user, password and virtual host in OFFBOARDER_QUEUE_URL, and the permissions of the user"
        }
        Code::QueueUnroutable => "run `offboarder topology`",
        Code::CxoneOtherProfile => "set the profile at which the user's off-boarding began",
        Code::EvidenceKeyUnreachable => {
            "check the network, AWS_REGION, and AWS_ENDPOINT_URL_KMS if it is set"
        }
        Code::EvidenceKeyUnusable => {
            "correct what the finding names; give the role of the workers kms:GetPublicKey and kms:Sign on the key"
        }
        Code::SettingsUnreadable => "correct the file or the setting",
        Code::CxoneThrottled
        | Code::CxoneTooLarge
        | Code::CxoneBadNextPage
        | Code::CxoneCursorLost
        | Code::CxoneContradiction
        | Code::CxoneVersionConflict
        | Code::CxoneNotConverged
        | Code::UserNotFound
        | Code::ProtectedUser
        | Code::NotInOrder
        | Code::ArchiveThrottled
        | Code::ArchiveRejected
        | Code::ArchiveUploadLost
        | Code::ArchiveConflict
        | Code::CheckpointUnreadable
        | Code::IllegalTransition
        | Code::Surge
        | Code::Panicked
        | Code::Internal => "",
    };
    let more = format!("docs/operations/runbook.md, `{code}`");
    if short.is_empty() {
        more
    } else {
        format!("{short}; {more}")
    }
}

use serde::Serialize;

use crate::failure::{Code, Failure};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) ok: bool,
    pub(super) detail: String,
    /// It works, and is less safe than it could be.
    pub(super) warning: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// The service gave no answer.
    pub(super) unreachable: bool,
}

impl Finding {
    pub(super) fn well(check: impl Into<String>, detail: impl Into<String>) -> Self {
        let (check, detail) = (check.into(), detail.into());
        Self {
            check,
            ok: true,
            detail,
            warning: false,
            mend: None,
            code: None,
            unreachable: false,
        }
    }

    pub(super) fn bad(
        check: impl Into<String>,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            ok: false,
            mend: Some(mend.into()),
            ..Self::well(check, detail)
        }
    }

    /// What works, and is less safe than it could be: the exit status does not tell of it.
    pub(super) fn warning(
        check: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            warning: true,
            mend: Some(fix.into()),
            ..Self::well(check, detail)
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
        );
        let mend = mend(failure.code);
        Self {
            code: Some(failure.code),
            unreachable,
            ..Self::bad(check, failure.text, mend)
        }
    }
}

/// What to do about a failure, in short; its section of the runbook has the rest.
fn mend(code: Code) -> String {
    let short = match code {
        Code::CxoneUnreachable | Code::CxoneTimeout | Code::CxoneServerError => {
            "check DNS, proxy, firewall and TLS from this host to OFFBOARDER_CXONE_BASE_URI and \
             OFFBOARDER_CXONE_TOKEN_URI, and the vendor's status page"
        }
        Code::CxoneUnauthorized => {
            "compare the region of OFFBOARDER_CXONE_BASE_URI with the tenant's; check \
             OFFBOARDER_CXONE_CLIENT_ID and its secret in the CXone admin console"
        }
        Code::CxoneRedirected | Code::CxoneUnreadable | Code::CxoneForeignAnswer => {
            "have firewall and proxy let this host's calls through; OFFBOARDER_CXONE_BASE_URI has to be the origin of the tenant's API itself"
        }
        Code::CxoneMissingScope | Code::CxoneRejected => "grant the OAuth client what it lacks",
        Code::ArchiveUnreachable => "check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION",
        Code::ArchiveDenied => {
            "grant s3:PutObject, s3:GetObject, s3:ListBucket and s3:AbortMultipartUpload on bucket and \
             prefix, or give this process other credentials"
        }
        Code::ArchiveMissing => {
            "make the bucket or directory, or set OFFBOARDER_ARCHIVE_URL to another"
        }
        Code::ArchiveOverwrites => "use a store that honours If-None-Match",
        Code::ArchiveUnfit => "use a store that does what the finding names",
        Code::ArchiveFull => "free space",
        Code::CheckpointsUnreachable => "check that it runs, and OFFBOARDER_CHECKPOINTS_URL",
        Code::CheckpointsRefused => {
            "check user and password in OFFBOARDER_CHECKPOINTS_URL, and memory"
        }
        Code::QueueUnreachable => "check that it runs, and OFFBOARDER_QUEUE_URL",
        Code::QueueRefused => {
            "check user, password and virtual host in OFFBOARDER_QUEUE_URL, and the user's permissions"
        }
        Code::QueueUnroutable => "run `offboarder topology`",
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
        | Code::ArchiveThrottled
        | Code::ArchiveRejected
        | Code::ArchiveUploadLost
        | Code::ArchiveConflict
        | Code::CheckpointUnreadable
        | Code::IllegalTransition
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

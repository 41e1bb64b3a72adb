//! What can go wrong with a call, and whose fault it is. `what` is the operation with its path; no text holds a token, a
//! secret or a body.

use std::time::Duration;

use crate::failure::{Class, Classify, Code, Failure, Reason};

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// The settings cannot be used.
    #[error("cannot set up the client of the API: {0}")]
    Setup(String),
    /// No connection, or it broke before the request was sent.
    #[error(
        "{what}: cannot reach the API ({why}); check OFFBOARDER_CXONE_BASE_URI and the network"
    )]
    Unreachable { what: String, why: String },
    /// The certificate was signed by an unknown CA, or by itself.
    #[error(
        "{what}: cannot reach the API ({why}); name the file of its CA in OFFBOARDER_CXONE_CA_FILE, and check OFFBOARDER_CXONE_BASE_URI and OFFBOARDER_CXONE_TOKEN_URI"
    )]
    Untrusted { what: String, why: String },
    /// This process may open no more files or connections; every user would meet this.
    #[error(
        "{what}: {why}: no file descriptor is left to this process; raise its limit (`ulimit -n`)"
    )]
    NoDescriptor { what: String, why: String },
    #[error("{what}: no answer from the API in time")]
    Timeout { what: String },
    /// A write was sent, and its answer was lost: it may or may not have been applied.
    #[error("{what}: the answer was lost ({why}); the next attempt begins by reading")]
    AnswerLost { what: String, why: String },
    /// The OAuth client was refused.
    #[error(
        "{what}: the OAuth client was refused ({status}{code}{readings}); compare the region of OFFBOARDER_CXONE_BASE_URI, and check OFFBOARDER_CXONE_CLIENT_ID and its secret in the vendor's admin console"
    )]
    Unauthorized {
        what: String,
        status: u16,
        /// The error code, with a space before it.
        code: String,
        /// The forms in which ID and secret were sent, if there is more than one.
        readings: &'static str,
    },
    /// What answers at the URL of the token is not a token endpoint.
    #[error(
        "no token endpoint at {uri} ({status}, {shown}): set OFFBOARDER_CXONE_TOKEN_URI; if that URL is right, a firewall or a proxy answers in its place"
    )]
    NoTokenEndpoint {
        uri: String,
        status: u16,
        /// Type and server of the answer, and nothing of its body.
        shown: String,
    },
    /// The credentials lack a right.
    #[error(
        "{what}: the credentials lack the {right} {scope}; grant it; the next token will have it, since a token keeps the {right}s that it was issued with"
    )]
    MissingScope {
        what: String,
        right: &'static str,
        scope: &'static str,
    },
    #[error("{what}: over the tenant's quota (429)")]
    Throttled {
        what: String,
        retry_after: Option<Duration>,
    },
    #[error("{what}: the API answered {status}{code}")]
    Server {
        what: String,
        status: u16,
        /// The error code, with a space before it.
        code: String,
        retry_after: Option<Duration>,
    },
    #[error(
        "{what}: the API refused with {status}{code} (correlation ID {correlation_id}){advice}"
    )]
    Rejected {
        what: String,
        status: u16,
        /// The error code, with a space before it.
        code: String,
        /// The vendor finds the call by it.
        correlation_id: String,
        /// What a 403 may mean; empty, or follows a semicolon.
        advice: String,
        /// A 403 of an API that has no word for a missing right.
        may_lack_right: bool,
    },
    /// The answer is in the form of the API, and says that nothing was done, or something that contradicts another part of
    /// the API.
    #[error("{what}: the API answered {status} {why} (correlation ID {correlation_id})")]
    Withheld {
        what: String,
        status: u16,
        /// Follows the status, e.g. `and lists the user as not deactivated`.
        why: String,
        /// The vendor finds the call by it.
        correlation_id: String,
    },
    /// A 403, 404 or 410 without the API's JSON error: a firewall, a proxy or another server answered.
    #[error(
        "{what}: {status}, but not as the API answers ({shown}): a firewall or a proxy answers in its place, or OFFBOARDER_CXONE_BASE_URI is not the tenant's API"
    )]
    Foreign {
        what: String,
        status: u16,
        /// Type and server of the answer, and nothing of its body.
        shown: String,
    },
    /// Several users met the same refusal of a write, and no such write succeeded in between.
    #[error(
        "{refusal}; {users} users met this recently, and no such call succeeded in between, so every user would"
    )]
    RefusedToMany {
        refusal: Box<ApiError>,
        users: usize,
    },
    /// One part of the API knows the user, another does not.
    #[error(
        "{knows} answers {status} for this user and {missing} answers 404, twice: nothing counts as done; check in the vendor's admin console whether the account exists and is active, and that SCIM is enabled for the tenant"
    )]
    Contradiction {
        /// The call that finds the user.
        knows: String,
        status: u16,
        /// The call that does not.
        missing: String,
    },
    #[error(
        "{what}: the API answered {status}, a redirect, which is never followed; check OFFBOARDER_CXONE_BASE_URI"
    )]
    Redirected { what: String, status: u16 },
    /// The answer is not what the API promises.
    #[error("{what}: the answer cannot be read ({why})")]
    Unreadable { what: String, why: String },
    /// The body is larger than we accept.
    #[error(
        "{what}: the answer is over {max_bytes} bytes; lower OFFBOARDER_CXONE_PAGE_SIZE if these are conversations"
    )]
    TooLarge { what: String, max_bytes: usize },
    /// A next-page link that must not be followed.
    #[error("the link to the next page leads elsewhere ({why}); no request was sent there")]
    BadNextPage {
        /// What is wrong with the link.
        why: String,
    },
    /// The API makes next-page links to another origin than the one it is reached at.
    #[error(
        "the link to the next page leads elsewhere (another origin, {link}, than {base}); no request was sent there; set OFFBOARDER_CXONE_BASE_URI to the origin that the API gives itself, or have the proxy in front of it pass on scheme and host"
    )]
    ForeignNextPage {
        /// Scheme, host and port of the link.
        link: String,
        base: String,
    },
    /// The cursor is unknown or expired.
    #[error("{what}: the cursor is gone ({status}); the query begins again")]
    CursorLost { what: String, status: u16 },
    /// The pages of one query do not belong together: rows were added, removed or sorted otherwise while they were read.
    #[error("{what}: {why}; the query begins again")]
    PagesMoved { what: String, why: String },
    /// The API takes no query of this length: every user would meet this.
    #[error(
        "{what}: the API takes no query of this length (at most {longest}); set OFFBOARDER_CXONE_WINDOW to that or less"
    )]
    WindowTooLong {
        what: String,
        /// In the vendor's words, e.g. `7 days`.
        longest: String,
    },
    /// One window of this user has more conversations than the API returns of one query.
    #[error(
        "{what}: one window has more conversations than the API returns of a query (at most {most}); set OFFBOARDER_CXONE_WINDOW to fewer days"
    )]
    TooManyResults { what: String, most: u64 },
}

impl Classify for ApiError {
    fn classify(&self) -> (Class, Code) {
        let rejected = Class::Permanent(Reason::ApiRejected);
        match self {
            Self::Setup(_) => (Class::Systemic, Code::SettingsUnreadable),
            Self::Unreachable { .. } | Self::Untrusted { .. } => {
                (Class::Transient, Code::CxoneUnreachable)
            }
            Self::NoDescriptor { .. } => (Class::Systemic, Code::CxoneUnreachable),
            Self::Timeout { .. } => (Class::Transient, Code::CxoneTimeout),
            Self::AnswerLost { .. } => (Class::UnknownOutcome, Code::CxoneUnreachable),
            Self::Unauthorized { .. } => (Class::Systemic, Code::CxoneUnauthorized),
            Self::NoTokenEndpoint { .. } => (Class::Systemic, Code::CxoneForeignAnswer),
            Self::MissingScope { .. } => (Class::Systemic, Code::CxoneMissingScope),
            Self::Throttled { .. } => (Class::Throttled, Code::CxoneThrottled),
            Self::Server { .. } => (Class::Transient, Code::CxoneServerError),
            Self::Rejected { .. } | Self::Withheld { .. } | Self::TooManyResults { .. } => {
                (rejected, Code::CxoneRejected)
            }
            Self::Foreign { .. } => (Class::Transient, Code::CxoneForeignAnswer),
            Self::RefusedToMany { refusal, .. } if refusal.may_lack_right() => {
                (Class::Systemic, Code::CxoneMissingScope)
            }
            Self::RefusedToMany { refusal, .. } => (Class::Systemic, refusal.code()),
            Self::Contradiction { .. } => (rejected, Code::CxoneContradiction),
            Self::Redirected { .. } => (Class::Systemic, Code::CxoneRedirected),
            Self::Unreadable { .. } => (Class::Transient, Code::CxoneUnreadable),
            Self::TooLarge { .. } => (rejected, Code::CxoneTooLarge),
            Self::BadNextPage { .. } => (rejected, Code::CxoneBadNextPage),
            Self::ForeignNextPage { .. } => (Class::Systemic, Code::CxoneBadNextPage),
            Self::CursorLost { .. } | Self::PagesMoved { .. } => {
                (Class::Transient, Code::CxoneCursorLost)
            }
            Self::WindowTooLong { .. } => (Class::Systemic, Code::CxoneRejected),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            Self::Setup(_)
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::NoTokenEndpoint { .. }
            | Self::NoDescriptor { .. }
            | Self::Timeout { .. }
            | Self::AnswerLost { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Rejected { .. }
            | Self::Withheld { .. }
            | Self::Foreign { .. }
            | Self::RefusedToMany { .. }
            | Self::Contradiction { .. }
            | Self::Redirected { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::BadNextPage { .. }
            | Self::ForeignNextPage { .. }
            | Self::CursorLost { .. }
            | Self::PagesMoved { .. }
            | Self::WindowTooLong { .. }
            | Self::TooManyResults { .. } => None,
        }
    }

    fn may_lack_right(&self) -> bool {
        let lacks = |error: &Self| {
            matches!(
                error,
                Self::Rejected {
                    may_lack_right: true,
                    ..
                }
            )
        };
        match self {
            Self::RefusedToMany { refusal, .. } => lacks(refusal),
            other => lacks(other),
        }
    }

    fn of_one(&self) -> Option<Failure> {
        let Self::RefusedToMany { refusal, .. } = self else {
            return None;
        };
        Some(refusal.failure())
    }
}

//! How the APIs differ in what is the same for all calls of one of them.

/// The words and headers of one API.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// What the right to make a call is: `scope`, `permission`.
    pub(crate) right: &'static str,
    /// The header that carries the ID which we give a call.
    pub(crate) correlation_header: &'static str,
    /// The header by which the API names a call itself; evidence then has that ID.
    pub(crate) own_correlation_header: Option<&'static str>,
    /// Error codes of a 403 for which the credentials lack a right, for any user. `insufficient_scope` (RFC 6750
    /// section 3.1) always is one.
    pub(crate) missing_right: &'static [&'static str],
    /// No error code shows that a right is missing, so that any 403 may be for one: the token, which keeps the rights that it
    /// was issued with, is dropped at each.
    pub(crate) hides_missing_rights: bool,
    /// Error codes of a 404 that says that the object does not exist. Where there are none, any error of the API says so.
    pub(crate) not_found: &'static [&'static str],
    /// Members that only errors of this API have, besides those by which errors of any API are known.
    pub(crate) own_error: &'static [&'static str],
    /// A header that names the error where the body does not.
    pub(crate) error_header: Option<&'static str>,
}

/// An API that follows the standards, and nothing else.
pub(crate) const STANDARD: Dialect = Dialect {
    right: "scope",
    correlation_header: "X-Correlation-Id",
    own_correlation_header: None,
    missing_right: &[],
    hides_missing_rights: false,
    not_found: &[],
    own_error: &[],
    error_header: None,
};

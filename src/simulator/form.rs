//! Forms that are sent to a token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::gate::Call;

/// The members of an `application/x-www-form-urlencoded` text.
pub(super) struct Form {
    pub(super) members: Vec<(String, String)>,
}

impl Form {
    pub(super) fn parse(text: &[u8]) -> Self {
        Self {
            members: url::form_urlencoded::parse(text).into_owned().collect(),
        }
    }

    /// The body of a call, if it is a form.
    pub(super) fn of(call: &Call) -> Option<Self> {
        call.header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
            .then(|| Self::parse(&call.body))
    }

    pub(super) fn member(&self, name: &str) -> Option<&str> {
        self.members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Call {
    /// ID and secret of the client, by Basic authentication or in the body (RFC 6749 section 2.3.1).
    pub(super) fn client(&self, form: &Form) -> (String, String) {
        let basic = self
            .header("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| STANDARD.decode(value).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = |text: &str| {
            url::form_urlencoded::parse(text.as_bytes())
                .next()
                .map(|(name, _)| name.into_owned())
                .unwrap_or_default()
        };
        let sent = |name: &str| form.member(name).unwrap_or_default().to_owned();
        match basic.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((id, secret)) => (decoded(id), decoded(secret)),
            None => (sent("client_id"), sent("client_secret")),
        }
    }
}

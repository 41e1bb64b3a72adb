//! The link from one page of conversations to the next. A page names it, so it is not trusted: the token goes where it
//! leads.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::paths::CONVERSATIONS;
use crate::adapters::http::ApiError;

/// The link to a further page: path and query on the API's own origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct NextPage(String);

impl NextPage {
    /// Reads a link: absolute, relative, or only a query. A link that leads off the API's own origin is refused, since
    /// the token would go there too. Every user with a second page meets that, so it is systemic.
    pub(super) fn resolve(link: &str, base: &Url) -> Result<Self, ApiError> {
        let bad = |why: &str| ApiError::BadNextPage {
            why: why.to_owned(),
        };

        let here = base
            .join(CONVERSATIONS)
            .map_err(|_not_joined| bad("it cannot be resolved"))?;
        let url = here
            .join(link)
            .map_err(|_not_joined| bad("it is not a URL"))?;
        let same = url.scheme() == base.scheme()
            && url.host() == base.host()
            && url.port_or_known_default() == base.port_or_known_default();
        if !same {
            let link = url
                .origin()
                .ascii_serialization()
                .chars()
                .take(120)
                .collect();
            return Err(ApiError::ForeignNextPage {
                link,
                base: base.origin().ascii_serialization(),
            });
        }

        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user"));
        }
        if url.path() != CONVERSATIONS {
            return Err(bad("another path"));
        }

        match url.query() {
            Some(query) if query.len() <= 8192 => Ok(Self(format!("{CONVERSATIONS}?{query}"))),
            Some(_) => Err(bad("over 8192 characters")),
            None => Err(bad("no cursor")),
        }
    }

    pub(crate) fn url(&self, base: &Url) -> Result<Url, ApiError> {
        base.join(&self.0).map_err(|error| ApiError::BadNextPage {
            why: error.to_string(),
        })
    }
}

impl fmt::Display for NextPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NextPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a link that a checkpoint saved: the form that `Display` gives, and nothing else.
impl FromStr for NextPage {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let query = text
            .strip_prefix(CONVERSATIONS)
            .and_then(|rest| rest.strip_prefix('?'));
        match query {
            // A backslash separates segments of a path; in a query it is only a character.
            Some(query) if !query.contains('#') => Ok(Self(text.to_owned())),
            Some(_) | None => Err(ApiError::BadNextPage {
                why: "the saved link is damaged".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Classify as _, Code, Reason};

    fn base() -> Url {
        Url::parse("https://api.example").unwrap()
    }

    #[test]
    fn links_off_our_origin_are_refused() {
        for link in [
            "https://evil.example/api/v2/conversations/details/query?cursor=a",
            "http://api.example/api/v2/conversations/details/query?cursor=a",
            "https://api.example:8443/api/v2/conversations/details/query?cursor=a",
            "https://user@api.example/api/v2/conversations/details/query?cursor=a",
            "https://api.example@evil.example/api/v2/conversations/details/query?cursor=a",
            "//evil.example/api/v2/conversations/details/query?cursor=a",
            "\\\\evil.example\\api?cursor=a",
            "/api/v2/iam/users/x?cursor=a",
            "../../iam/users?cursor=a",
            "javascript:alert(1)",
            "/api/v2/conversations/details/query",
        ] {
            assert!(NextPage::resolve(link, &base()).is_err(), "{link}");
        }
    }

    #[test]
    fn a_link_to_another_origin_is_systemic_and_shows_only_that_origin() {
        for (link, shown) in [
            (
                "http://api.example/api/v2/conversations/details/query?cursor=secret",
                "http://api.example,",
            ),
            (
                "https://api.example:8443/secret?cursor=a",
                "https://api.example:8443,",
            ),
            (
                "https://secret:word@evil.example/?cursor=a",
                "https://evil.example,",
            ),
            ("javascript:alert(secret)", "null,"),
        ] {
            let error = NextPage::resolve(link, &base()).unwrap_err();
            assert_eq!(
                error.classify(),
                (Class::Systemic, Code::CxoneBadNextPage),
                "{link}"
            );
            let text = error.to_string();
            assert!(
                text.contains(shown) && text.contains("than https://api.example)"),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
        let own = NextPage::resolve("/api/v2/iam/users/x?cursor=a", &base()).unwrap_err();
        assert_eq!(
            own.classify().0,
            Class::Permanent(Reason::ApiRejected),
            "a page of this user only"
        );
    }

    #[test]
    fn a_saved_link_reads_back_and_a_damaged_one_does_not() {
        for cursor in ["?cursor=a%20b", r"?cursor=a\b"] {
            let link = NextPage::resolve(cursor, &base()).unwrap();
            assert_eq!(link.to_string().parse::<NextPage>().unwrap(), link);
        }
        for text in [
            "",
            "https://evil.example/",
            "//evil.example?cursor=a",
            "/api/v2/conversations/details/queryx?c=1",
        ] {
            assert!(text.parse::<NextPage>().is_err(), "{text}");
        }
    }
}

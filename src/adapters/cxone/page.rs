use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::error::CxoneError;

/// The path that every page comes from; a link to another is not followed.
pub(super) const PATH: &str = "/api/v2/conversations/details/query";

/// The link to a further page: path and query on the API's own origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct NextPage(String);

impl NextPage {
    /// Reads a link: absolute, relative, or a query alone. Whatever leads off the API's own origin is
    /// refused, since the token would go there too; every user with a second page meets it.
    fn resolve(link: &str, base: &Url) -> Result<Self, CxoneError> {
        let bad = |why: &str| CxoneError::BadNextPage {
            why: why.to_owned(),
        };
        let here = base
            .join(PATH)
            .map_err(|_not_joined| bad("it cannot be resolved"))?;
        let url = here.join(link).map_err(|_not_joined| bad("it is no URL"))?;
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
            return Err(CxoneError::ForeignNextPage {
                link,
                base: base.origin().ascii_serialization(),
            });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user"));
        }
        if url.path() != PATH {
            return Err(bad("another path"));
        }
        match url.query() {
            Some(query) if query.len() <= 8192 => Ok(Self(format!("{PATH}?{query}"))),
            Some(_) => Err(bad("over 8192 characters")),
            None => Err(bad("no cursor")),
        }
    }

    pub(crate) fn url(&self, base: &Url) -> Result<Url, CxoneError> {
        base.join(&self.0).map_err(|error| CxoneError::BadNextPage {
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

/// From a checkpoint; the same form that `Display` gives, and nothing else.
impl FromStr for NextPage {
    type Err = CxoneError;

    fn from_str(text: &str) -> Result<Self, CxoneError> {
        let query = text
            .strip_prefix(PATH)
            .and_then(|rest| rest.strip_prefix('?'));
        match query {
            // A backslash is a path's separator, and in a query nothing but a character.
            Some(query) if !query.contains('#') => Ok(Self(text.to_owned())),
            Some(_) | None => Err(CxoneError::BadNextPage {
                why: "the saved link is damaged".to_owned(),
            }),
        }
    }
}

/// A page as it was received: the body, and where in it the conversations lie.
pub(crate) struct Page {
    body: Bytes,
    conversations: Vec<Range<usize>>,
    next: Option<NextPage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, default)]
    details: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    next_page_uri: Option<std::borrow::Cow<'a, str>>,
}

impl Page {
    /// An empty body (204) is an empty last page.
    pub(crate) fn parse(body: Bytes, base: &Url, what: &str) -> Result<Self, CxoneError> {
        if body.is_empty() {
            return Ok(Self {
                body,
                conversations: Vec::new(),
                next: None,
            });
        }
        let unreadable = |why: String| CxoneError::Unreadable {
            what: what.to_owned(),
            why,
        };
        // A derived reader takes a list for an object whose members are in order.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(unreadable(
                "no page of conversations, but something else".to_owned(),
            ));
        }
        let wire: Wire<'_> = serde_json::from_slice(&body).map_err(|error| {
            unreadable(format!(
                "no page of conversations, at line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        let details = wire.details.unwrap_or_default();
        // An archive of anything else would not be known again for one of ours.
        if details.iter().any(|raw| !raw.get().starts_with('{')) {
            return Err(unreadable("a conversation is no object".to_owned()));
        }
        let begin = body.as_ptr().addr();
        let conversations = details
            .into_iter()
            .map(|raw| {
                // A borrowed raw value lies within the body that it was parsed from.
                let from = raw.get().as_ptr().addr().saturating_sub(begin);
                from..from + raw.get().len()
            })
            .collect();
        let next = match wire.next_page_uri.as_deref() {
            None | Some("") => None,
            Some(link) => Some(NextPage::resolve(link, base)?),
        };
        Ok(Self {
            body,
            conversations,
            next,
        })
    }

    /// The conversations, byte for byte and in order.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &[u8]> {
        self.conversations
            .iter()
            .filter_map(|range| self.body.get(range.clone()))
    }

    /// The link to the page after this one.
    pub(crate) const fn next(&self) -> Option<&NextPage> {
        self.next.as_ref()
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
    fn conversations_are_the_bytes_received() {
        let body = "{\"details\" : [ {\"a\": 1.10 ,\"b\":\"\\u00e9\"},\n{\"c\":9007199254740993}], \"nextPageUri\":null}";
        let page = Page::parse(Bytes::from_static(body.as_bytes()), &base(), "x").unwrap();
        let rows: Vec<&str> = page
            .conversations()
            .map(|row| std::str::from_utf8(row).unwrap())
            .collect();
        assert_eq!(
            rows,
            [
                "{\"a\": 1.10 ,\"b\":\"\\u00e9\"}",
                "{\"c\":9007199254740993}"
            ]
        );
        assert!(page.next().is_none());
    }

    #[test]
    fn an_empty_page_may_have_a_next_one() {
        for body in [
            r#"{"details":[],"nextPageUri":"?cursor=a"}"#,
            r#"{"details":null,"nextPageUri":"?cursor=a"}"#,
            r#"{"nextPageUri":"\/api/v2/conversations/details/query?cursor=a"}"#,
            r#"{"nextPageUri":"https://api.example:443/api/v2/conversations/details/query?cursor=a"}"#,
        ] {
            let page = Page::parse(Bytes::from_static(body.as_bytes()), &base(), "x").unwrap();
            assert_eq!(page.conversations().count(), 0);
            assert_eq!(
                page.next().unwrap().to_string(),
                format!("{PATH}?cursor=a"),
                "{body}"
            );
        }
        assert!(
            Page::parse(Bytes::new(), &base(), "x")
                .unwrap()
                .next()
                .is_none()
        );
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
    fn a_link_of_another_origin_is_everybodys_and_shows_that_origin_and_no_more() {
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

    #[test]
    fn a_conversation_that_is_nested_without_end_is_the_bytes_received() {
        let nested =
            |open: &str, close: &str| format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
        let deep = format!(r#"{{"a":{}}}"#, nested("[", "]"));
        let body = format!(
            r#"{{"details":[{deep}],"more":{}}}"#,
            nested(r#"{"b":"#, "}")
        );
        let page = Page::parse(Bytes::from(body), &base(), "x").unwrap();
        assert_eq!(page.conversations().collect::<Vec<_>>(), [deep.as_bytes()]);
    }

    #[test]
    fn what_is_no_page_is_an_error_and_never_an_empty_page() {
        for body in [
            "<html></html>",
            "{\"details\":[{\"a\":1}",
            "[]",
            "{\"details\":{}}",
            "null",
            "{\"details\":[{},null]}",
        ] {
            assert!(
                Page::parse(Bytes::from_static(body.as_bytes()), &base(), "x").is_err(),
                "{body}"
            );
        }
    }
}

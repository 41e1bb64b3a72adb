use std::fmt;

/// Text that no log, listing or error may hold. There is no `Serialize` on purpose.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL that may carry a password. `Display` and `Debug` print it without.
#[derive(Clone)]
pub struct SecretUrl {
    whole: Secret,
    masked: String,
}

impl SecretUrl {
    pub(super) fn new(text: &str) -> Self {
        Self { whole: Secret::new(text), masked: masked(text) }
    }

    /// The URL with its password, for the client that connects.
    pub fn expose(&self) -> &str {
        self.whole.expose()
    }

    /// The URL for people.
    pub fn display_masked(&self) -> &str {
        &self.masked
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

/// The value with whatever may be a password in it replaced by `***`. It has to hold for text that
/// is not a URL yet, since faults quote it: an unescaped `/` or `@` in a password must not undo it,
/// so the last `@` counts and doubt masks. Text without a password comes back as it is.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None if text.rsplit_once('@').is_some_and(|(head, _)| head.contains(':')) => (String::new(), text),
        None => return without_secret_query(text),
    };
    let (user, hosts) = match rest.rsplit_once('@') {
        // Nobody can tell whether that `@` ends a password with a `?`, or stands in a query's.
        Some((before, _)) if before.contains('?') && without_secret_query(rest) != rest => {
            return format!("{scheme}***");
        }
        None if !looks_like_hosts(rest) => return format!("{scheme}***"),
        None => (String::new(), rest),
        Some((userinfo, hosts)) => match userinfo.split_once(':') {
            Some((user, _)) => (format!("{user}:***@"), hosts),
            None => ("***@".to_owned(), hosts),
        },
    };
    format!("{scheme}{user}{}", without_secret_query(hosts))
}

fn without_secret_query(text: &str) -> String {
    let is_secret = |query: &str| {
        let query = query.to_ascii_lowercase();
        ["pass", "secret", "token", "key"].iter().any(|word| query.contains(word))
    };
    match text.split_once('?') {
        Some((before, query)) if is_secret(query) => format!("{before}?***"),
        Some(_) | None => text.to_owned(),
    }
}

/// `host`, `host:port` or several with commas; `user:password` without its host is none.
fn looks_like_hosts(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.split(',').all(|host| {
        let address = host.strip_prefix('[').and_then(|host| host.split_once(']'));
        let after_address = address.map_or(host, |(_, after)| after);
        after_address.split_once(':').is_none_or(|(_, port)| port.chars().all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
        let url = SecretUrl::new("amqp://u:hunter2@h/%2f");
        assert_eq!(format!("{url} {url:?}"), "amqp://u:***@h/%2f amqp://u:***@h/%2f");
        assert_eq!(url.expose(), "amqp://u:hunter2@h/%2f");
    }

    #[test]
    fn no_spelling_of_a_password_survives() {
        for text in [
            "amqp://u:hunter2@h/",
            "redis://:hunter2@h",
            "redis://hunter2@h",
            "redis://u:pa/hunter2@h",
            "redis://u:pa@hunter2@h",
            "redis://u:pa#hunter2@h",
            "redis+cluster://u:hunter2@a:1,b:2",
            "redis://h/0?password=hunter2",
            "redis://h/0?password=pa@hunter2",
            "redis://h/0?a=pa@b&password=hunter2",
            "h/0?password=hunter2",
            "redis://u:pa]hunter2",
            "amqp://u:hunter2",
            "u:hunter2@h",
            "https://hunter2@h/path",
        ] {
            let masked = masked(text);
            assert!(!masked.contains("hunter2"), "{text} became {masked}");
            assert!(masked.contains("***"), "{text} became {masked}");
        }
    }

    #[test]
    fn text_without_a_password_stays_as_it_is() {
        for text in [
            "redis://h:1/2",
            "redis://h?protocol=resp3",
            "s3://b/p/",
            "file:./x",
            "20/s",
            "me@example.com",
            "redis+sentinel://a:1,b/m",
            "http://[::1]:80/",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}

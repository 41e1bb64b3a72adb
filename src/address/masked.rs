//! The one place that removes passwords from what people may see.

use super::parts::Parts;

/// The text as people may see it. A URL is shown from the parts that a connection is made of. A
/// text that is no proper URL may hold a password anywhere, so at most its scheme is shown.
pub(crate) fn masked(text: &str) -> String {
    if is_plain_location(text) {
        return text.to_owned();
    }
    if let Ok(parts) = Parts::parse(text) {
        return parts.shown;
    }
    match text.split_once("://") {
        Some((scheme, _))
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) =>
        {
            format!("{scheme}://***")
        }
        Some(_) => "***".to_owned(),
        // Without a scheme it is a number, a path or a name; or a URL whose beginning is missing.
        None if text.contains('@') && text.contains(':') || text.contains('?') => "***".to_owned(),
        None => text.to_owned(),
    }
}

/// A URL with a login, or with members of its query that may be one. Any other text is refused
/// later, unless an `@` or `?` in it suggests a password.
pub(crate) fn may_hold_a_password(text: &str) -> bool {
    match Parts::parse(text) {
        Ok(parts) => parts.login.is_some() || parts.shown.ends_with("?***"),
        Err(_no_url) => masked(text) != *text && text.contains(['@', '?']),
    }
}

/// A path, or a bucket with a key: nothing in it can be a password, however oddly it is spelt.
fn is_plain_location(text: &str) -> bool {
    let in_bucket = |rest: &str| !rest.split('/').next().unwrap_or_default().contains(':');
    let is_location =
        text.starts_with("file:///") || text.strip_prefix("s3://").is_some_and(in_bucket);
    is_location && !text.contains(['@', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "amqp://u:2024#hunter2@h:5671/%2f",
            "amqp://u:2024/hunter2@h:5671/%2f",
            "amqp://u:2024?hunter2@h:5671/%2f",
            "amqp:u:hunter2@h",
            "s3://key:hunter2@b/p",
            "file://u:hunter2@h/p",
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
            "s3://b/a prefix/",
            "file:///var/a path",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}

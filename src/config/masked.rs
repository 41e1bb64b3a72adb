//! What a setting may show of its value.

use super::address::Parts;

/// The value as people may see it. A URL is shown from the parts that a connection is made of; what cannot be
/// taken apart may hold a password anywhere, and only its scheme is shown.
pub(super) fn masked(text: &str) -> String {
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
        // Without a scheme it is a number, a path, a name; or a URL that lost its beginning.
        None if text.contains('@') && text.contains(':') || text.contains('?') => "***".to_owned(),
        None => text.to_owned(),
    }
}

/// A path or a bucket with a key, in which nothing can be a password, however oddly it is spelt.
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

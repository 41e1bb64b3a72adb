use std::path::PathBuf;

use url::Url;

use super::reader::Reader;
use super::secret::SecretUrl;

/// The broker.
#[derive(Debug, Clone)]
pub struct Queue {
    /// `amqp://` or `amqps://`.
    pub url: SecretUrl,
    /// PEM file of a private CA.
    pub ca_file: Option<PathBuf>,
}

impl Queue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.get("queue.url", url);
        let ca_file = reader.get("queue.ca_file", |text| Ok(PathBuf::from(text)));
        let url = url?;
        if ca_file.is_some() && !url.expose().starts_with("amqps:") {
            // Whoever names a CA believes that the connection is encrypted.
            reader.refuse(
                "queue.ca_file",
                "is of no use without TLS; \
                 make OFFBOARDER_QUEUE_URL an amqps:// URL, or remove this",
            );
        }
        Some(Self { url, ca_file })
    }
}

fn url(text: &str) -> Result<SecretUrl, String> {
    let example = "give one such as amqps://user:password@host:5671/vhost";
    let url = Url::parse(text).map_err(|why| {
        format!("is not a URL ({why}); percent-encode what is special in a password, and {example}")
    })?;
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return Err(format!("is not an amqp:// or amqps:// URL; {example}"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("names no host; {example}"));
    }
    Ok(SecretUrl::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amqp_with_a_host_is_a_broker() {
        for good in ["amqp://h", "amqps://u:p@h:5671/%2f", "amqp://[::1]:5672/v?heartbeat=10"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in ["amqp:///v", "amqp:h", "http://h", "h:5672", "amqp://u:p/q@h"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}

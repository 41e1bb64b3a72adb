//! `[admin]`: where a worker serves HTTP, and to whom.

use std::net::SocketAddr;

use super::reader::Reader;
use super::table;
use crate::secret::Secret;

/// The shortest token that is safe when other hosts can guess at it.
const SHORTEST: usize = 32;

#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub listen: SocketAddr,
    /// The operator's bearer token: it may read and write.
    pub token: Option<Secret>,
    /// May only read.
    pub read_token: Option<Secret>,
}

impl Admin {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let token = reader.get(&table::ADMIN_TOKEN, token);
        let read_token = reader.get(&table::ADMIN_READ_TOKEN, self::token);
        if let (Some(token), Some(read_token)) = (&token, &read_token)
            && token.expose() == read_token.expose()
        {
            reader.refuse(
                &table::ADMIN_READ_TOKEN,
                "is also the operator's token; give a different one, which may only read",
            );
        }
        let listen = reader.get(&table::ADMIN_LISTEN, listen)?;

        let no_token =
            reader.is_unset(&table::ADMIN_TOKEN) && reader.is_unset(&table::ADMIN_READ_TOKEN);
        if no_token && !listen.ip().is_loopback() {
            reader.refuse(
                &table::ADMIN_LISTEN,
                "is open to other hosts, and there is no token; \
                 set OFFBOARDER_ADMIN_TOKEN, or listen on 127.0.0.1",
            );
        }
        if !listen.ip().is_loopback() {
            for (setting, token) in [
                (&table::ADMIN_TOKEN, &token),
                (&table::ADMIN_READ_TOKEN, &read_token),
            ] {
                let is_short = |token: &Secret| token.expose().len() < SHORTEST;
                if token.as_ref().is_some_and(is_short) {
                    reader.refuse(
                        setting,
                        "has fewer than 32 characters, and OFFBOARDER_ADMIN_LISTEN is open to \
                         other hosts; make one with `openssl rand -base64 32`",
                    );
                }
            }
        }
        Some(Self {
            listen,
            token,
            read_token,
        })
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "is not an IP address and a port; give one such as 127.0.0.1:9464".to_owned();
    text.parse().ok().ok_or_else(wrong)
}

/// An `Authorization` header cannot carry any other character.
fn token(text: &str) -> Result<Secret, String> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(Secret::new(text));
    }
    Err(
        "holds a space or a character beyond ASCII, which no header can carry; give another"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_takes_an_address_and_a_port() {
        assert!(listen("127.0.0.1:0").is_ok() && listen("[::]:9464").is_ok());
        for bad in [
            "9464",
            ":9464",
            "localhost:9464",
            "127.0.0.1",
            "127.0.0.1:99999",
        ] {
            assert!(listen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_fits_into_a_header() {
        assert_eq!(token("s3cr3t+/=").unwrap().expose(), "s3cr3t+/=");
        assert!(token("two words").is_err() && token("schlüssel").is_err());
    }
}

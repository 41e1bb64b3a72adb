//! `[admin]`: where a worker serves HTTP, and to whom. `[person]`: who runs a command.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::reader::Reader;
use super::table;
use crate::address::{DocumentLocation, KeySetLocation, WebOrigin};
use crate::printable;
use crate::secret::Secret;

/// The shortest token that is safe when other hosts can guess at it.
const SHORTEST: usize = 32;
const LONGEST_NAME: usize = 40;

/// How a proxy's JWTs are known.
#[derive(Debug, Clone)]
pub(crate) struct Jwt {
    pub issuer: String,
    pub audience: String,
    pub keys: KeySetLocation,
    pub claim: String,
    /// Where they come from; empty: from everywhere.
    pub proxies: Vec<IpNet>,
}

#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub listen: SocketAddr,
    /// The operator's bearer token: it may read and write.
    pub token: Option<Secret>,
    /// May only read.
    pub read_token: Option<Secret>,
    /// Who may use the API and the commands.
    pub people: Option<DocumentLocation>,
    /// A proxy that signs people in.
    pub jwt: Option<Jwt>,
    /// The key of the person who runs a command.
    pub person_key: Option<Secret>,
    /// The second key of an admin, for an emergency.
    pub break_glass_key: Option<Secret>,
    /// The environment's name.
    pub name: Option<String>,
    /// Where browsers see the console.
    pub origin: Option<WebOrigin>,
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
        let people = reader.get(&table::ADMIN_PEOPLE, DocumentLocation::parse);
        let jwt = Jwt::read(reader);
        let person_key = reader.get(&table::PERSON_KEY, self::token);
        let break_glass_key = reader.get(&table::BREAK_GLASS_KEY, self::token);
        let name = reader.get(&table::ADMIN_NAME, name);
        let origin = reader.get(&table::ADMIN_ORIGIN, WebOrigin::parse);
        let listen = reader.get(&table::ADMIN_LISTEN, listen)?;

        let no_token = reader.is_unset(&table::ADMIN_TOKEN)
            && reader.is_unset(&table::ADMIN_READ_TOKEN)
            && reader.is_unset(&table::ADMIN_PEOPLE);
        if no_token && !listen.ip().is_loopback() {
            reader.refuse(
                &table::ADMIN_LISTEN,
                "is open to other hosts, and there is no token; \
                 set OFFBOARDER_ADMIN_TOKEN or OFFBOARDER_ADMIN_PEOPLE, or listen on 127.0.0.1",
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
            people,
            jwt,
            person_key,
            break_glass_key,
            name,
            origin,
        })
    }
}

impl Jwt {
    /// `None` if no proxy is set, or a fault was noted.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let line = |text: &str| Ok(text.to_owned());
        let issuer = reader.get(&table::ADMIN_JWT_ISSUER, line);
        let audience = reader.get(&table::ADMIN_JWT_AUDIENCE, line);
        let keys = reader.get(&table::ADMIN_JWT_JWKS, KeySetLocation::parse);
        let claim = reader.get(&table::ADMIN_JWT_CLAIM, line);
        let proxies = reader.get(&table::ADMIN_JWT_PROXY, networks);

        // A JWT that is checked by halves would be accepted from anybody.
        let settings = [
            &table::ADMIN_JWT_ISSUER,
            &table::ADMIN_JWT_AUDIENCE,
            &table::ADMIN_JWT_JWKS,
        ];
        if settings.iter().all(|setting| reader.is_unset(setting)) {
            if proxies.is_some() {
                reader.refuse(
                    &table::ADMIN_JWT_PROXY,
                    "is of no use without the JWTs of a proxy; set OFFBOARDER_ADMIN_JWT_ISSUER",
                );
            }
            return None;
        }
        for setting in settings {
            if reader.is_unset(setting) {
                reader.note(
                    setting,
                    "is not set, and JWTs need issuer, audience and keys",
                );
            }
        }
        if reader.is_unset(&table::ADMIN_PEOPLE) {
            reader.note(
                &table::ADMIN_PEOPLE,
                "is not set, and it gives people whom a JWT names their roles",
            );
        }
        Some(Self {
            issuer: issuer?,
            audience: audience?,
            keys: keys?,
            claim: claim?,
            proxies: proxies.unwrap_or_default(),
        })
    }
}

/// Networks and addresses, with commas between them.
fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        let parsed = part.parse::<IpNet>().or_else(|_none| address());
        parsed.map_err(|_none| {
            "has a part that is no network and no address; give such as 10.1.2.0/24, fd00::/8"
                .to_owned()
        })
    };
    text.split(',').map(str::trim).map(network).collect()
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "is not an IP address and a port; give one such as 127.0.0.1:9464".to_owned();
    text.parse().ok().ok_or_else(wrong)
}

/// It is shown beside every answer, so it is short and has no characters that mislead.
fn name(text: &str) -> Result<String, String> {
    if printable::is_plain_line(text) && text.chars().count() <= LONGEST_NAME {
        return Ok(text.to_owned());
    }
    Err("is not one line of 1 to 40 characters; give a name, e.g. production".to_owned())
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
    fn networks_are_written_with_their_length_or_as_an_address() {
        let read = networks("10.1.2.0/24, 10.9.9.9,fd00::/8").unwrap();
        let shown: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.1.2.0/24", "10.9.9.9/32", "fd00::/8"]);
        for bad in [
            "",
            "10.1.2.0/24,",
            "10.1.2.0/33",
            "proxy.example.com",
            "10.1.2",
        ] {
            assert!(networks(bad).is_err(), "{bad}");
        }
    }

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
    fn a_name_is_one_short_line() {
        assert_eq!(name("production").unwrap(), "production");
        for bad in ["", "a\nb", "\u{202e}x", &"x".repeat(41)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_fits_into_a_header() {
        assert_eq!(token("s3cr3t+/=").unwrap().expose(), "s3cr3t+/=");
        assert!(token("two words").is_err() && token("schlüssel").is_err());
    }
}

//! Decides who may use the API: the holders of the two tokens, or, without tokens, this machine.

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::problem::Problem;
use crate::secret::Secret;

/// The tokens of the API; without any, only this machine may use it.
pub(crate) struct Tokens {
    pub(crate) operator: Option<Secret>,
    pub(crate) reader: Option<Secret>,
}

/// The digests of the tokens. Digests have one length, so a comparison does not reveal the length of a token.
pub(super) struct Gate {
    operator: Option<[u8; 32]>,
    reader: Option<[u8; 32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Operator,
    Reader,
    /// Reads and writes: only this machine can reach the worker.
    Loopback,
}

impl Role {
    /// For the audit log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator token",
            Self::Reader => "read token",
            Self::Loopback => "loopback, no token",
        }
    }
}

impl Role {
    /// Refuses who may only read.
    pub(super) fn act(self) -> Result<(), Problem> {
        match self {
            Self::Operator | Self::Loopback => Ok(()),
            Self::Reader => {
                let detail =
                    "this token is read-only; use the operator token (OFFBOARDER_ADMIN_TOKEN)";
                Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
            }
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Gate {
    pub(super) fn new(tokens: &Tokens) -> Self {
        let kept = |token: &Option<Secret>| token.as_ref().map(|token| digest(token.expose()));
        Self {
            operator: kept(&tokens.operator),
            reader: kept(&tokens.reader),
        }
    }

    /// The role of a request, or why it is refused.
    pub(super) fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Role, Problem> {
        let writes = !matches!(*method, Method::GET | Method::HEAD);
        if self.operator.is_none() && self.reader.is_none() {
            return from_here(uri, headers, writes).map(|()| Role::Loopback);
        }
        match self.role(headers) {
            Some(role) if writes => role.act().map(|()| role),
            Some(role) => Ok(role),
            None => {
                let detail = "send a token: `Authorization: Bearer …` (OFFBOARDER_ADMIN_TOKEN, OFFBOARDER_ADMIN_READ_TOKEN)";
                Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized",
                    detail,
                ))
            }
        }
    }

    /// Compares with both tokens in any case, so that the time taken does not reveal which one matches.
    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = given.split_once(' ')?;
        let given = digest(token.trim());
        let is = |known: &Option<[u8; 32]>| known.is_some_and(|known| known.ct_eq(&given).into());
        let [operator, reader] = [is(&self.operator), is(&self.reader)];
        match scheme.eq_ignore_ascii_case("bearer") {
            true if operator => Some(Role::Operator),
            true if reader => Some(Role::Reader),
            true | false => None,
        }
    }
}

impl Problem {
    /// Why a request was refused: a label of the metric.
    pub(super) fn refusal(&self, gave_a_token: bool) -> &'static str {
        match (self.asks_for_a_token(), gave_a_token) {
            (true, true) => "wrong_token",
            (true, false) => "no_token",
            (false, true) => "read_token",
            (false, false) => "foreign_host",
        }
    }
}

/// Without tokens, any program on this machine may use the API, but not a web page in a browser on this machine. A page
/// that points its own name at this address (DNS rebinding) sends that name as the Host, and a page that writes sends
/// its Origin.
fn from_here(uri: &Uri, headers: &HeaderMap, writes: bool) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail));
    let Some(host) = host(uri, headers).filter(is_loopback) else {
        return refuse(
            "without a token the API accepts only localhost and loopback addresses as the Host",
        );
    };
    match headers.get(ORIGIN) {
        Some(origin) if writes && *origin != format!("http://{host}") => {
            refuse("a web page of another origin must not write; set OFFBOARDER_ADMIN_TOKEN")
        }
        Some(_) | None => Ok(()),
    }
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok()?.parse().ok());
    uri.authority().cloned().or(named)
}

/// Whether the Host of a request is a name other than localhost. That is so for a web page that points its own name at
/// this address (DNS rebinding); probes and scrapers send an address or no Host.
pub(super) fn is_of_another_host(uri: &Uri, headers: &HeaderMap) -> bool {
    let is_address = |host: &Authority| bare(host).parse::<std::net::IpAddr>().is_ok();
    match host(uri, headers) {
        Some(host) => !is_address(&host) && !is_loopback(&host),
        None => headers.contains_key(HOST),
    }
}

fn bare(host: &Authority) -> &str {
    host.host().trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &Authority) -> bool {
    let name = bare(host);
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(operator: Option<&str>, reader: Option<&str>) -> Gate {
        Gate::new(&Tokens {
            operator: operator.map(Secret::new),
            reader: reader.map(Secret::new),
        })
    }

    fn admit(gate: &Gate, method: &Method, headers: &[(&'static str, &str)]) -> Result<Role, u16> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let problem = |problem: Problem| {
            serde_json::to_value(problem).unwrap()["status"]
                .as_u64()
                .unwrap()
        };
        let admitted = gate.admit(method, &Uri::from_static("/pause"), &headers.collect());
        admitted.map_err(|why| u16::try_from(problem(why)).unwrap())
    }

    #[test]
    fn a_reader_may_not_act_though_it_may_ask_for_anything() {
        assert!(Role::Reader.act().is_err());
        assert_eq!(Role::Operator.act(), Ok(()));
        assert_eq!(Role::Loopback.act(), Ok(()));
    }

    #[test]
    fn each_token_has_its_role_and_other_tokens_are_refused() {
        let gate_of_both = gate(Some("s3cret"), Some("reads"));
        let with = |gate: &Gate, method: &Method, token: &str| {
            admit(gate, method, &[("authorization", token)])
        };
        let both = |method: &Method, token: &str| with(&gate_of_both, method, token);
        assert_eq!(both(&Method::POST, "Bearer s3cret"), Ok(Role::Operator));
        assert_eq!(both(&Method::GET, "bearer reads"), Ok(Role::Reader));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(both(&method, "Bearer reads"), Err(403), "{method}");
        }
        for wrong in [
            "Bearer s3cre",
            "Bearer s3crett",
            "Basic s3cret",
            "s3cret",
            "Bearer ",
            "Bearer",
            "",
        ] {
            assert_eq!(both(&Method::GET, wrong), Err(401), "{wrong}");
        }
        assert_eq!(
            admit(&gate_of_both, &Method::GET, &[("host", "localhost")]),
            Err(401)
        );
        // If there is only a read token, nothing can write.
        let readers = gate(None, Some("reads"));
        assert_eq!(
            with(&readers, &Method::GET, "Bearer reads"),
            Ok(Role::Reader)
        );
        assert_eq!(with(&readers, &Method::POST, "Bearer reads"), Err(403));
        assert_eq!(
            admit(&readers, &Method::POST, &[("host", "localhost")]),
            Err(401)
        );
    }

    #[test]
    fn addresses_and_localhost_are_this_host_and_other_names_are_not() {
        let of = |host: &str| {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            is_of_another_host(&Uri::from_static("/metrics"), &headers)
        };
        for host in [
            "localhost:9464",
            "LOCALHOST",
            "127.0.0.1:9464",
            "[::1]:9464",
            "10.0.0.7:9464",
        ] {
            assert!(!of(host), "{host}");
        }
        for host in [
            "attacker.example:9464",
            "127.0.0.1.nip.io",
            "localhost.attacker.example",
            "a b",
        ] {
            assert!(of(host), "{host}");
        }
        assert!(!is_of_another_host(
            &Uri::from_static("/metrics"),
            &HeaderMap::new()
        ));
    }

    #[test]
    fn without_tokens_only_this_machine_is_admitted_and_no_page_of_another_origin_writes() {
        let open = gate(None, None);
        let get = |host: &str| admit(&open, &Method::GET, &[("host", host)]);
        for host in [
            "localhost:9464",
            "127.0.0.1:9464",
            "127.8.8.8",
            "[::1]:9464",
            "LOCALHOST",
        ] {
            assert_eq!(get(host), Ok(Role::Loopback), "{host}");
        }
        for host in [
            "attacker.example",
            "localhost.attacker.example",
            "192.0.2.1:9464",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert_eq!(get(host), Err(403), "{host}");
        }
        assert_eq!(admit(&open, &Method::GET, &[]), Err(403));
        let from = |origin| {
            admit(
                &open,
                &Method::POST,
                &[("host", "localhost:9464"), ("origin", origin)],
            )
        };
        assert_eq!(from("http://localhost:9464"), Ok(Role::Loopback));
        for origin in [
            "http://attacker.example",
            "http://localhost:3000",
            "https://localhost:9464",
            "null",
        ] {
            assert_eq!(from(origin), Err(403), "{origin}");
        }
    }
}

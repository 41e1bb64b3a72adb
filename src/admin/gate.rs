//! Decides who may use the API: people with a key, the holders of the two tokens, or, without both, this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::caller::{Caller, SignIn};
use super::jwt::JwtVerifier;
use super::problem::Problem;
use crate::people::People;
use crate::registers::PeopleWatch;
use crate::secret::Secret;

/// Where proxies put their JWT if not into `Authorization`: Cloudflare Access and Pomerium.
const ASSERTIONS: [&str; 2] = ["cf-access-jwt-assertion", "x-pomerium-jwt-assertion"];

/// Who may use the API; without tokens and people, only this machine may.
#[derive(Default)]
pub(crate) struct Access {
    pub(crate) operator: Option<Secret>,
    pub(crate) reader: Option<Secret>,
    pub(crate) people: Option<Arc<PeopleWatch>>,
    /// A proxy that signs people in; there are people then.
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
}

/// The digests of the tokens. Digests have one length, so a comparison does not reveal the length of a token.
pub(super) struct Gate {
    operator: Option<[u8; 32]>,
    reader: Option<[u8; 32]>,
    people: Option<Arc<PeopleWatch>>,
    jwt: Option<Arc<JwtVerifier>>,
}

/// Why a request is refused.
pub(super) struct Refusal {
    pub(super) problem: Box<Problem>,
    /// A label of the metric.
    pub(super) reason: &'static str,
}

fn refuse<T>(
    status: StatusCode,
    code: &'static str,
    detail: impl Into<String>,
    reason: &'static str,
) -> Result<T, Refusal> {
    let problem = Box::new(Problem::new(status, code, detail));
    Err(Refusal { problem, reason })
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Gate {
    pub(super) fn new(access: Access) -> Self {
        let kept = |token: Option<Secret>| token.map(|token| digest(token.expose()));
        Self {
            operator: kept(access.operator),
            reader: kept(access.reader),
            people: access.people,
            jwt: access.jwt,
        }
    }

    pub(super) fn people_watch(&self) -> Option<Arc<PeopleWatch>> {
        self.people.clone()
    }

    /// Who sends a request, or why it is refused.
    pub(super) fn admit(
        &self,
        peer: IpAddr,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Caller, Refusal> {
        let writes = !matches!(*method, Method::GET | Method::HEAD);
        if self.operator.is_none() && self.reader.is_none() && self.people.is_none() {
            let local = Caller::token(SignIn::Loopback, false);
            return from_here(uri, headers, writes).map(|()| local);
        }
        let bearer = bearer(headers);
        let known = bearer.map(|token| self.holder(token)).transpose()?;
        match known.flatten() {
            Some(caller) if writes && caller.sign_in == SignIn::ReadToken => {
                let detail =
                    "this token is read-only; use the operator token (OFFBOARDER_ADMIN_TOKEN)";
                return refuse(StatusCode::FORBIDDEN, "forbidden", detail, "read_token");
            }
            Some(caller) => return Ok(caller),
            None => {}
        }
        if let Some(verifier) = &self.jwt
            && let Some(jwt) = bearer.filter(|token| is_jwt(token)).or(assertion(headers))
        {
            let caller = self.signed_in(verifier, jwt, peer)?;
            if writes && is_of_another_page(uri, headers) {
                let detail = "a web page of another origin must not write";
                return refuse(
                    StatusCode::FORBIDDEN,
                    "foreign_origin",
                    detail,
                    "foreign_origin",
                );
            }
            return Ok(caller);
        }
        let detail = "send a person's key or a token: `Authorization: Bearer …` (`offboarder people add`, OFFBOARDER_ADMIN_TOKEN, OFFBOARDER_ADMIN_READ_TOKEN)";
        let reason = if headers.contains_key(AUTHORIZATION) {
            "wrong_token"
        } else {
            "no_token"
        };
        refuse(StatusCode::UNAUTHORIZED, "unauthorized", detail, reason)
    }

    /// Whose token or key it is. It is compared with both tokens in any case, so that the time taken does not reveal which
    /// one matches.
    fn holder(&self, token: &str) -> Result<Option<Caller>, Refusal> {
        let given = digest(token);
        let is = |known: &Option<[u8; 32]>| known.is_some_and(|known| known.ct_eq(&given).into());
        let [operator, reader] = [is(&self.operator), is(&self.reader)];
        if operator || reader {
            let sign_in = if operator {
                SignIn::OperatorToken
            } else {
                SignIn::ReadToken
            };
            return Ok(Some(Caller::token(sign_in, self.people.is_some())));
        }
        let Some(people) = self.people()? else {
            return Ok(None);
        };
        let person = people.with_key(token);
        Ok(person.map(|person| Caller::person(person, SignIn::Key)))
    }

    /// The person whom a JWT names. The role comes from the people file, so that it ends with the entry there.
    fn signed_in(
        &self,
        verifier: &JwtVerifier,
        jwt: &str,
        peer: IpAddr,
    ) -> Result<Caller, Refusal> {
        let named = if verifier.is_proxy(peer) {
            verifier.name(jwt)
        } else {
            Err("it does not come from a network of OFFBOARDER_ADMIN_JWT_PROXY")
        };
        let name = match named {
            Ok(name) => name,
            Err(why) => {
                let detail = format!("the JWT is not accepted: {why}");
                return refuse(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized",
                    detail,
                    "wrong_jwt",
                );
            }
        };
        let people = self.people()?.unwrap_or_default();
        if let Some(person) = people.named(&name) {
            return Ok(Caller::person(person, SignIn::Proxy));
        }
        let detail = "the JWT is right, and its name is not in the people file; ask an admin for `offboarder people add --no-key`";
        refuse(StatusCode::FORBIDDEN, "forbidden", detail, "unknown_person")
    }

    fn people(&self) -> Result<Option<Arc<People>>, Refusal> {
        let people = self.people.as_ref().map(|people| people.now());
        people.transpose().map_err(|_logged| Refusal {
            problem: Box::new(Problem::no_people()),
            reason: "people_unreadable",
        })
    }
}

fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2
}

fn assertion(headers: &HeaderMap) -> Option<&str> {
    let mut given = ASSERTIONS.iter().filter_map(|name| headers.get(*name));
    given.next()?.to_str().ok()
}

/// A browser sends a proxy's cookie with the requests of any page, and the proxy adds its JWT. So a page that writes has to be
/// ours.
fn is_of_another_page(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let ours = host(uri, headers).map(|host| host.to_string());
    let origin = origin.to_str().ok();
    let theirs = origin.and_then(|origin| origin.split_once("://"));
    theirs.map(|(_scheme, host)| host) != ours.as_deref()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Without tokens, any program on this machine may use the API, but not a web page in a browser on this machine. A page
/// that points its own name at this address (DNS rebinding) sends that name as the Host, and a page that writes sends
/// its Origin.
fn from_here(uri: &Uri, headers: &HeaderMap, writes: bool) -> Result<(), Refusal> {
    let refuse = |detail: &str| {
        refuse(
            StatusCode::FORBIDDEN,
            "foreign_host",
            detail,
            "foreign_host",
        )
    };
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

pub(super) fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
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

pub(super) fn is_loopback(host: &Authority) -> bool {
    let name = bare(host);
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;

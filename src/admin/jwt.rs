//! JWTs of a proxy that signs people in: each is checked by issuer, audience, time and signature. A header that only names a
//! user is never believed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::ports::KeySet;

const MAX_SET_BYTES: usize = 256 * 1024;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A new key of the issuer is known after this time.
const READ_EVERY: Duration = Duration::from_mins(1);
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long keys are used that cannot be read again.
const GOOD_FOR: Duration = Duration::from_mins(15);
/// Clocks differ.
const LEEWAY_SECONDS: u64 = 30;
/// Those with a public key. With the others, who can check a signature can also make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Which JWTs are accepted.
#[derive(Debug, Clone)]
pub(crate) struct JwtRules {
    pub issuer: String,
    pub audience: String,
    /// The claim that names the person.
    pub claim: String,
    /// Where they have to come from; empty: from everywhere.
    pub proxies: Vec<IpNet>,
}

/// The issuer's keys, and the rules.
pub(crate) struct JwtVerifier {
    rules: JwtRules,
    source: Box<dyn KeySet>,
    keys: Mutex<Option<(Instant, Arc<Vec<Jwk>>)>>,
}

impl JwtVerifier {
    /// Reads the keys once; [`Self::keep_reading`] continues.
    pub(crate) async fn begin(rules: JwtRules, source: Box<dyn KeySet>) -> Arc<Self> {
        let verifier = Self {
            rules,
            source,
            keys: Mutex::default(),
        };
        verifier.read().await;
        Arc::new(verifier)
    }

    pub(crate) async fn keep_reading(&self) {
        loop {
            let wait = if self.keys().is_some() {
                READ_EVERY
            } else {
                READ_WITHIN
            };
            tokio::time::sleep(wait).await;
            self.read().await;
        }
    }

    async fn read(&self) {
        let begun = Instant::now();
        let reading = tokio::time::timeout(READ_WITHIN, self.source.read(MAX_SET_BYTES));
        let read = match reading.await {
            Ok(read) => read.and_then(|bytes| parse(&bytes)),
            Err(_elapsed) => Err(format!("no answer within {} s", READ_WITHIN.as_secs())),
        };
        match read {
            Ok(keys) => *self.keys.lock() = Some((begun, Arc::new(keys))),
            Err(why) => tracing::warn!(
                place = self.source.place(),
                why,
                "the keys of OFFBOARDER_ADMIN_JWT_JWKS cannot be read"
            ),
        }
    }

    fn keys(&self) -> Option<Arc<Vec<Jwk>>> {
        let keys = self.keys.lock();
        let (read_at, keys) = keys.as_ref()?;
        (read_at.elapsed() < GOOD_FOR).then(|| Arc::clone(keys))
    }

    /// Whether JWTs from this address are checked, and not refused.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        let proxies = &self.rules.proxies;
        let peer = peer.to_canonical();
        proxies.is_empty() || proxies.iter().any(|network| network.contains(&peer))
    }

    /// The name in a JWT, or why it is not accepted.
    pub(super) fn name(&self, token: &str) -> Result<String, &'static str> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("it is too long");
        }
        let header =
            decode_header(token).map_err(|_malformed| "it is malformed, or is not signed")?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err("its algorithm has no public key");
        }
        let keys = self.keys().ok_or("the keys of the issuer are not known")?;
        let key = find(&keys, header.kid.as_deref()).ok_or("its key is not in the key set")?;
        let named = key.common.key_algorithm;
        if named.is_some_and(|named| named.to_string() != format!("{:?}", header.alg)) {
            return Err("its algorithm is not that of its key");
        }
        let key = DecodingKey::from_jwk(key).map_err(|_odd| "its key cannot be used")?;

        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| refusal(error.kind()))?
            .claims;
        self.name_in(&claims)
    }

    fn name_in(&self, claims: &Map<String, Value>) -> Result<String, &'static str> {
        // Some issuers let people write any address until they confirm it.
        let is_unverified = claims.get("email_verified") == Some(&Value::Bool(false));
        if self.rules.claim == "email" && is_unverified {
            return Err("its e-mail address is not verified");
        }
        let name = claims.get(&self.rules.claim).and_then(Value::as_str);
        name.map(str::to_owned)
            .ok_or("it has no text in the claim of OFFBOARDER_ADMIN_JWT_CLAIM")
    }
}

/// Keys of a kind that we do not know are left out.
fn parse(bytes: &[u8]) -> Result<Vec<Jwk>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }

    let set: Set = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no key set (line {})", error.line()))?;
    let known = set.keys.into_iter();
    Ok(known
        .filter_map(|key| serde_json::from_value(key).ok())
        .collect())
}

/// The key of that ID; without an ID, the only key.
fn find<'a>(keys: &'a [Jwk], id: Option<&str>) -> Option<&'a Jwk> {
    let key = match (id, keys) {
        (Some(id), keys) => keys
            .iter()
            .find(|key| key.common.key_id.as_deref() == Some(id))?,
        (None, [only]) => only,
        (None, _) => return None,
    };
    let encrypts = key.common.public_key_use == Some(PublicKeyUse::Encryption);
    (!encrypts).then_some(key)
}

fn refusal(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "its issuer is not OFFBOARDER_ADMIN_JWT_ISSUER",
        ErrorKind::InvalidAudience => "its audience is not OFFBOARDER_ADMIN_JWT_AUDIENCE",
        ErrorKind::MissingRequiredClaim(_) => "it has no exp, iss or aud",
        ErrorKind::InvalidSignature => "its signature is wrong",
        _ => "it cannot be checked",
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;

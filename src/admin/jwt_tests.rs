//! Which JWTs are accepted.

use std::sync::LazyLock;

use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "offboarder";
/// A fresh key for each run of the tests.
static PRIVATE: LazyLock<Vec<u8>> = LazyLock::new(fresh);
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(fresh);

fn fresh() -> Vec<u8> {
    let pair = Ed25519KeyPair::generate().unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
}

struct Keys(Mutex<Result<Value, String>>);

#[async_trait]
impl KeySet for Keys {
    fn place(&self) -> String {
        "keys".to_owned()
    }

    async fn read(&self, _max_bytes: usize) -> Result<Vec<u8>, String> {
        self.0
            .lock()
            .clone()
            .map(|set| set.to_string().into_bytes())
    }
}

/// The public key of a private key, as an issuer publishes it.
fn public(der: &[u8], id: &str) -> Value {
    let key = EncodingKey::from_ed_der(der);
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    serde_json::to_value(jwk).unwrap()
}

async fn verifier(claim: &str) -> Arc<JwtVerifier> {
    verifier_for(claim, &[]).await
}

async fn verifier_for(claim: &str, proxies: &[&str]) -> Arc<JwtVerifier> {
    let rules = JwtRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        claim: claim.to_owned(),
        proxies: proxies
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
    };
    // A key of a kind that nobody knows hides no other.
    let set = json!({ "keys": [{ "kty": "new", "kid": "x" }, public(&PRIVATE, "one")] });
    JwtVerifier::begin(rules, Box::new(Keys(Mutex::new(Ok(set))))).await
}

fn claims() -> Value {
    let now = jsonwebtoken::get_current_timestamp();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "email": "ada@example.com", "sub": "4711" })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn signed(der: &[u8], id: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, &EncodingKey::from_ed_der(der)).unwrap()
}

#[tokio::test]
async fn a_jwt_that_is_right_names_its_person() {
    let token = signed(&PRIVATE, Some("one"), &claims());
    let by_email = verifier("email").await;
    assert_eq!(by_email.name(&token), Ok("ada@example.com".to_owned()));
    assert_eq!(verifier("sub").await.name(&token), Ok("4711".to_owned()));
    assert!(verifier("name").await.name(&token).is_err());
    let several = with("aud", json!(["another", AUDIENCE]));
    let token = signed(&PRIVATE, Some("one"), &several);
    assert!(by_email.name(&token).is_ok());
}

#[tokio::test]
async fn a_jwt_has_to_come_from_the_proxy_where_its_networks_are_set() {
    let addresses = ["10.1.2.3", "::ffff:10.1.2.3", "10.1.3.3", "fd00::1", "::1"];
    let from = |verifier: Arc<JwtVerifier>| {
        addresses.map(|address| verifier.is_proxy(address.parse().unwrap()))
    };
    assert_eq!(from(verifier("email").await), [true; 5]);
    let set = verifier_for("email", &["10.1.2.0/24", "fd00::/8"]).await;
    assert_eq!(from(set), [true, true, false, true, false]);
}

#[tokio::test]
async fn a_jwt_with_any_fault_is_refused() {
    let verifier = verifier("email").await;
    let now = jsonwebtoken::get_current_timestamp();
    for (member, value, why) in [
        ("iss", json!("https://other.example.com"), "issuer"),
        ("aud", json!("another"), "audience"),
        ("exp", json!(now - 60), "expired"),
        ("nbf", json!(now + 600), "not valid yet"),
        ("email_verified", json!(false), "not verified"),
        ("email", json!(7), "OFFBOARDER_ADMIN_JWT_CLAIM"),
    ] {
        let token = signed(&PRIVATE, Some("one"), &with(member, value));
        let refused = verifier.name(&token).unwrap_err();
        assert!(refused.contains(why), "{member}: {refused}");
    }
    for missing in ["iss", "aud", "exp", "email"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        let token = signed(&PRIVATE, Some("one"), &claims);
        assert!(verifier.name(&token).is_err(), "{missing}");
    }
    let unknown = verifier.name(&signed(&OTHER, Some("two"), &claims()));
    assert!(unknown.unwrap_err().contains("not in the key set"));
    let unnamed = verifier.name(&signed(&PRIVATE, None, &claims()));
    assert!(unnamed.unwrap_err().contains("not in the key set"));
    let forged = verifier.name(&signed(&OTHER, Some("one"), &claims()));
    assert!(forged.unwrap_err().contains("signature"));
    for odd in ["", "a.b.c", "..", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        assert!(verifier.name(odd).is_err());
    }
}

#[tokio::test]
async fn a_jwt_without_a_signature_or_with_one_by_the_public_key_is_refused() {
    let verifier = verifier("email").await;
    let token = signed(&PRIVATE, Some("one"), &claims());
    let body = token.split('.').nth(1).unwrap();
    for header in [
        r#"{"alg":"none","kid":"one"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"EdDSA","kid":"one"}"#,
    ] {
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
        assert!(verifier.name(&format!("{header}.{body}.")).is_err());
    }
    let public = public(&PRIVATE, "one")["x"].as_str().unwrap().to_owned();
    let secret = EncodingKey::from_secret(public.as_bytes());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".to_owned());
    let forged = encode(&header, &claims(), &secret.unwrap()).unwrap();
    assert!(
        verifier
            .name(&forged)
            .unwrap_err()
            .contains("no public key")
    );
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_again_are_used_for_a_while_only() {
    let verifier = verifier("email").await;
    let token = signed(&PRIVATE, Some("one"), &claims());
    tokio::time::advance(GOOD_FOR.checked_sub(Duration::from_secs(1)).unwrap()).await;
    assert!(verifier.name(&token).is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(verifier.name(&token).unwrap_err().contains("not known"));
}

#[test]
fn a_key_set_that_is_none_is_refused() {
    for bad in ["", "[]", "{}", r#"{"keys": 7}"#] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(parse(br#"{"keys": [7]}"#).unwrap(), []);
}

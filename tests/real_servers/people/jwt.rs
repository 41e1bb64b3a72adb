//! People whom a proxy signs in.

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::{FOLLOWS, KEY, PEOPLE, ask};
use crate::support::http::{self, exchange};
use crate::support::population::user_id;
use crate::support::world::World;
use crate::support::{eventually, trial};

trial!(
    "the JWT of a proxy is accepted only where issuer, audience, time, key and name are right",
    jwt
);

const ISSUER: &str = "https://idp.example.com";

fn fresh() -> EncodingKey {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("its text");
    EncodingKey::from_ed_der(der.as_ref())
}

fn signed(key: &EncodingKey, changes: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": "offboarder", "email": "ada@example.com", "exp": get_current_timestamp() + 600,
    });
    for (member, value) in changes.as_object().expect("an object") {
        claims[member] = value.clone();
    }
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("one".to_owned());
    encode(&header, &claims, key).expect("a JWT")
}

fn jwt(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    let key = fresh();
    let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("a public key");
    public.common.key_id = Some("one".to_owned());
    let keys = world.write("keys.json", &json!({ "keys": [public] }).to_string());
    let people = world.directory.path().join("people.toml");
    world.set("OFFBOARDER_ADMIN_JWT_ISSUER", ISSUER);
    let faults = world.run(&["worker"]).expect(2).errors;
    for missing in ["JWT_AUDIENCE", "JWT_JWKS", "ADMIN_PEOPLE"] {
        assert!(faults.contains(missing), "{missing}: {faults}");
    }
    world.set("OFFBOARDER_ADMIN_JWT_AUDIENCE", "offboarder");
    world.set("OFFBOARDER_ADMIN_JWT_JWKS", &keys);
    world.set(PEOPLE, &people.display().to_string());
    let root = world.add_person("root", "admin");
    world.set(KEY, &root);
    let ada = [
        "people",
        "add",
        "ada@example.com",
        "--role",
        "operator",
        "--no-key",
    ];
    world.run(&ada).expect(0);

    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let me = |token: &str| ask(token, "GET", &admin, "/api/v1/me", None);
    let good = signed(&key, &json!({}));
    let ours = me(&good).expect(200);
    assert_eq!(
        (&ours["person"], &ours["who"]),
        (&json!("ada@example.com"), &json!("proxy"))
    );
    assert_wrong_ones_are_refused(&admin, &key, &good);
    assert_a_proxy_acts(&admin, &good);
    world
        .run(&["people", "remove", "ada@example.com"])
        .expect(0);
    eventually(FOLLOWS, || {
        let answer = me(&good);
        if answer.status == 403 {
            Ok(())
        } else {
            Err(answer.text())
        }
    });
    World::drain(worker);
}

fn assert_wrong_ones_are_refused(admin: &str, key: &EncodingKey, good: &str) {
    let me = |token: &str| ask(token, "GET", admin, "/api/v1/me", None);
    for (changes, why) in [
        (json!({ "iss": "https://other.example.com" }), "issuer"),
        (json!({ "aud": "another" }), "audience"),
        (json!({ "exp": get_current_timestamp() - 120 }), "expired"),
    ] {
        let refused = me(&signed(key, &changes)).expect(401);
        assert!(refused["detail"].to_string().contains(why), "{refused}");
    }
    // A key that is not in the set, and no signature at all.
    me(&signed(&fresh(), &json!({}))).expect(401);
    let body = good.split('.').nth(1).expect("a body");
    me(&format!("eyJhbGciOiJub25lIn0.{body}.")).expect(401);
    me(&signed(key, &json!({ "email": "eve@example.com" }))).expect(403);
    let wrong = http::sample(
        admin,
        "offboarder_admin_refused_total{reason=\"wrong_jwt\"}",
    );
    assert_eq!(wrong, Some(5.0));
    // A bare name in a header is nobody.
    let named = [("X-Forwarded-User", "ada@example.com")];
    assert_eq!(
        exchange("GET", admin, "/api/v1/me", &named, b"").status,
        401
    );
}

/// What the person does is recorded by name, and no page of another origin does it.
fn assert_a_proxy_acts(admin: &str, token: &str) {
    let body = json!({ "why": "a test" }).to_string();
    let pause = |more: (&str, &str)| {
        let headers = [
            ("Cf-Access-Jwt-Assertion", token),
            ("Content-Type", "application/json"),
            more,
        ];
        exchange("POST", admin, "/api/v1/pause", &headers, body.as_bytes())
    };
    let foreign = pause(("Sec-Fetch-Site", "cross-site")).expect(403);
    assert_eq!(foreign["code"], "foreign_origin");
    let paused = pause(("Sec-Fetch-Site", "same-origin")).expect(200);
    let who = paused["who"].as_str().expect("a name");
    assert!(
        who.starts_with("ada@example.com, by the admin API of"),
        "{who}"
    );
    let lift = json!({ "users": [user_id(0, 1)], "why": "a test" });
    let refused = ask(token, "POST", admin, "/api/v1/holds/remove", Some(&lift)).expect(403);
    assert!(
        refused["detail"].to_string().contains("lift_hold"),
        "{refused}"
    );
}

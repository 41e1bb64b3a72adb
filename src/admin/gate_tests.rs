//! Who is admitted.

use super::*;
use crate::registers::{PeopleRegister, Place};

fn gate(operator: Option<&str>, reader: Option<&str>) -> Gate {
    Gate::new(Access {
        operator: operator.map(Secret::new),
        reader: reader.map(Secret::new),
        people: None,
        jwt: None,
    })
}

fn admit(gate: &Gate, method: &Method, headers: &[(&'static str, &str)]) -> Result<SignIn, u16> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let problem = |problem: Problem| {
        serde_json::to_value(problem).unwrap()["status"]
            .as_u64()
            .unwrap()
    };
    let peer = IpAddr::from([192, 0, 2, 1]);
    let uri = Uri::from_static("/pause");
    let admitted = gate.admit(peer, method, &uri, &headers.collect());
    let admitted = admitted.map(|caller| caller.sign_in);
    admitted.map_err(|refusal| u16::try_from(problem(*refusal.problem)).unwrap())
}

#[test]
fn each_token_has_its_role_and_other_tokens_are_refused() {
    let gate_of_both = gate(Some("s3cret"), Some("reads"));
    let with = |gate: &Gate, method: &Method, token: &str| {
        admit(gate, method, &[("authorization", token)])
    };
    let both = |method: &Method, token: &str| with(&gate_of_both, method, token);
    assert_eq!(
        both(&Method::POST, "Bearer s3cret"),
        Ok(SignIn::OperatorToken)
    );
    assert_eq!(both(&Method::GET, "bearer reads"), Ok(SignIn::ReadToken));
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
        Ok(SignIn::ReadToken)
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
        assert_eq!(get(host), Ok(SignIn::Loopback), "{host}");
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
    assert_eq!(from("http://localhost:9464"), Ok(SignIn::Loopback));
    for origin in [
        "http://attacker.example",
        "http://localhost:3000",
        "https://localhost:9464",
        "null",
    ] {
        assert_eq!(from(origin), Err(403), "{origin}");
    }
}

#[tokio::test]
async fn a_key_admits_its_person_until_the_person_is_removed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = format!("offboarder_{}", "a".repeat(64));
    let digest = hex::encode(Sha256::digest(key.as_bytes()));
    let text = format!("[[people]]\nname = 'ada'\nrole = 'reader'\nkey_sha256 = '{digest}'\n");
    let write = |text: &str| std::fs::write(file.path(), text).unwrap();
    let watch = async || {
        let place = Place::File(file.path().to_owned());
        Some(PeopleWatch::begin(PeopleRegister::at(place)).await)
    };
    let of = |people: Option<Arc<PeopleWatch>>| {
        Gate::new(Access {
            operator: Some(Secret::new("s3cret")),
            reader: None,
            people,
            jwt: None,
        })
    };
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let get = |gate: &Gate| admit(gate, &Method::GET, &headers);

    write(&text);
    assert_eq!(get(&of(watch().await)), Ok(SignIn::Key));
    assert_eq!(get(&of(None)), Err(401));
    write("");
    assert_eq!(get(&of(watch().await)), Err(401));
    write("[[people]]\nname = 'ada'\n");
    let unreadable = of(watch().await);
    assert_eq!(get(&unreadable), Err(503));
    // Tokens need no people file, and this machine is no person.
    let token = admit(
        &unreadable,
        &Method::POST,
        &[("authorization", "Bearer s3cret")],
    );
    assert_eq!(token, Ok(SignIn::OperatorToken));
    let only_people = Gate::new(Access {
        people: watch().await,
        ..Access::default()
    });
    let local = admit(&only_people, &Method::GET, &[("host", "localhost")]);
    assert_eq!(local, Err(401));
}

#[test]
fn a_page_of_another_origin_must_not_write_with_the_jwt_of_a_proxy() {
    let is_foreign = |headers: &[(&'static str, &str)]| {
        let host = [("host", "offboarder.example.com")];
        let all = host.iter().chain(headers);
        let all = all.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        is_of_another_page(&Uri::from_static("/api/v1/pause"), &all.collect())
    };
    for ours in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://offboarder.example.com")],
    ] {
        assert!(!is_foreign(ours), "{ours:?}");
    }
    for theirs in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://attacker.example")],
        &[("origin", "https://offboarder.example.com.attacker.example")],
        &[("origin", "null")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://offboarder.example.com"),
        ],
    ] {
        assert!(is_foreign(theirs), "{theirs:?}");
    }
}

use super::{faults, only_fault, worker_and};
use crate::address::RedisUrl;
use crate::config::{CheckpointsUrl, TenantSettings};

const CA: (&str, &str) = ("OFFBOARDER_CHECKPOINTS_CA_FILE", "/nowhere/ca.pem");
const CERT: (&str, &str) = ("OFFBOARDER_CHECKPOINTS_CLIENT_CERT_FILE", "/nowhere/c.pem");
const KEY: (&str, &str) = ("OFFBOARDER_CHECKPOINTS_CLIENT_KEY_FILE", "/nowhere/k.pem");
const SENTINEL: (&str, &str) = ("OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD", "hunter3");

fn at(url: &'static str) -> (&'static str, &'static str) {
    ("OFFBOARDER_CHECKPOINTS_URL", url)
}

fn redis(pairs: &[(&str, &str)]) -> RedisUrl {
    match TenantSettings::read(&worker_and(pairs))
        .unwrap()
        .base
        .checkpoints
    {
        CheckpointsUrl::Redis(url) => *url,
        CheckpointsUrl::Embedded(path) => panic!("{}", path.display()),
    }
}

#[test]
fn redis_gets_the_files_of_tls_and_the_password_of_the_sentinels() {
    let url = redis(&[at("rediss+sentinel://a/m"), CA, CERT, KEY, SENTINEL]);
    let beside = &url.beside;
    let ca = beside.tls.ca.as_ref().unwrap();
    assert_eq!((ca.setting.as_str(), ca.path.to_str()), (CA.0, Some(CA.1)));
    let client = beside.tls.client.as_ref().unwrap();
    assert_eq!(client.certificate.path.to_str(), Some(CERT.1));
    assert_eq!(client.key.path.to_str(), Some(KEY.1));
    let password = beside.sentinel_password.as_ref().unwrap();
    assert_eq!(password.expose(), SENTINEL.1);
    assert!(!format!("{url} {url:?} {beside:?}").contains("hunter3"));
}

#[test]
fn what_would_have_no_effect_on_redis_is_refused() {
    for url in ["redis://a", "redis+cluster://a", "file:./d"] {
        let found = faults(&worker_and(&[at(url), CA, CERT, KEY]));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found.iter().all(|fault| fault.contains("without TLS")),
            "{found:?}"
        );
    }
    for url in ["rediss://a", "rediss+cluster://a", "file:./d"] {
        let fault = only_fault(&worker_and(&[at(url), SENTINEL]));
        assert!(
            fault.contains("without sentinels") && !fault.contains("hunter3"),
            "{fault}"
        );
    }
    let tls = at("rediss://a");
    assert!(only_fault(&worker_and(&[tls, CERT])).contains("CLIENT_KEY_FILE as well"));
    assert!(only_fault(&worker_and(&[tls, KEY])).contains("CLIENT_CERT_FILE as well"));
}

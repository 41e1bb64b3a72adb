//! The client against small servers, each of which reads a standard in its own way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use super::Client;
use crate::adapters::http::{ApiOptions, Grant, LocalQuotas};
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::ports::{Deactivation, RoutingWrites, Tenant, TenantRead};
use crate::progress::Progress;
use crate::secret::Secret;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

/// What a server answers to a path, and to the credentials or the token that came with it.
type Answer = fn(&str, &str) -> (u16, &'static str);

/// Serves until the test ends; the requests are counted.
async fn serve(answer: Answer) -> (Client, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let app = Router::new().fallback(move |request: Request| {
        let path = request.uri().path().to_owned();
        let sent = request
            .headers()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let sent = sent.unwrap_or_default();
        let basic = sent
            .strip_prefix("Basic ")
            .map(|basic| STANDARD.decode(basic).unwrap());
        let sent = basic.map_or(sent.clone(), |pair| String::from_utf8(pair).unwrap());
        requests.lock().push(format!("{path} {sent}"));
        let (status, body) = answer(&path, &sent);
        async move { (StatusCode::from_u16(status).unwrap(), body) }
    });
    (client_of(app).await, seen)
}

/// A client of a server that runs until the test ends.
async fn client_of(app: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: url::Url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::new(ApiOptions {
        token_uri: base.join("/token").unwrap(),
        base_uri: base,
        ca: None,
        client_id: "K2Q4====".to_owned(),
        client_secret: Secret::new("ab/c+d=="),
        grant: Grant::ClientCredentials,
        rate_routing: None,
        rate_scim: None,
        rate_analytics: None,
        quotas: Arc::new(LocalQuotas::default()),
        page_size: 100,
        second_read_after: Duration::from_millis(1),
        clock: Clock::system(),
        progress: Progress::default(),
    });
    client.unwrap()
}

fn count(seen: &Mutex<Vec<String>>, path: &str) -> usize {
    seen.lock()
        .iter()
        .filter(|request| request.starts_with(path))
        .count()
}

const TOKEN: &str = r#"{"access_token":"t1","token_type":"Bearer","expires_in":3600}"#;
const MISSING: (u16, &str) = (404, r#"{"code":"not_found","message":"no such user"}"#);

fn token_or(path: &str, other: (u16, &'static str)) -> (u16, &'static str) {
    if path == "/token" {
        (200, TOKEN)
    } else {
        other
    }
}

#[tokio::test]
async fn a_server_that_reads_credentials_plain_is_accepted_and_remembered() {
    // Each token is refused at its first use, so that one has to be fetched twice.
    static TOKENS: AtomicUsize = AtomicUsize::new(0);
    let (client, seen) = serve(|path, sent| match (path, sent) {
        ("/token", "K2Q4====:ab/c+d==") => {
            TOKENS.fetch_add(1, Ordering::SeqCst);
            (200, TOKEN)
        }
        ("/token", _) => (401, r#"{"error":"invalid_client"}"#),
        _ if TOKENS.load(Ordering::SeqCst) < 2 => (401, ""),
        _ => MISSING,
    })
    .await;
    client.probe(TenantRead::User).await.unwrap();
    assert_eq!(
        count(&seen, "/token K2Q4%3D"),
        1,
        "the form of the standard first, and once: {seen:?}"
    );
    assert_eq!(count(&seen, "/token K2Q4===="), 2, "{seen:?}");
}

#[tokio::test]
async fn credentials_that_are_refused_in_both_forms_say_so() {
    for (status, tries) in [(401, 2), (400, 2), (403, 1)] {
        let (client, seen) = match status {
            401 => serve(|_, _| (401, "")).await,
            400 => serve(|_, _| (400, r#"{"error":"invalid_client"}"#)).await,
            _ => serve(|_, _| (403, r#"{"error":"access_denied"}"#)).await,
        };
        let error = Tenant::scopes(&client).await.unwrap_err();
        assert_eq!(
            (error.class, error.code),
            (Class::Systemic, Code::CxoneUnauthorized)
        );
        let both = error.to_string().contains("form-encoded and plain");
        assert_eq!(
            (both, count(&seen, "/token")),
            (tries == 2, tries),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_token_without_a_life_is_kept_for_more_than_one_call() {
    let (client, seen) = serve(|path, _| match path {
        "/token" => (200, r#"{"access_token":"t1","expires_in":0}"#),
        _ => MISSING,
    })
    .await;
    for _ in 0..3 {
        client.probe(TenantRead::User).await.unwrap();
    }
    assert_eq!((count(&seen, "/token"), count(&seen, "/api")), (1, 3));
}

#[tokio::test]
async fn the_probe_succeeds_only_with_an_answer_of_the_api() {
    let missing = |path: &str, _: &str| token_or(path, MISSING);
    probe(missing).await.unwrap();

    let others: [Answer; 6] = [
        |path, _| token_or(path, (404, "<html>nginx")),
        |path, _| token_or(path, (404, "")),
        |path, _| token_or(path, (200, "<html>Please log in")),
        |path, _| token_or(path, (403, "<html>Access Denied")),
        |path, _| token_or(path, (403, r#"{"code":"ip_not_allowed"}"#)),
        |path, _| token_or(path, (404, r#"{"message":"no Route matched"}"#)),
    ];
    for answer in others {
        probe(answer).await.unwrap_err();
    }
}

async fn probe(answer: Answer) -> Result<(), Failure> {
    serve(answer).await.0.probe(TenantRead::User).await
}

#[tokio::test]
async fn a_missing_user_is_read_twice_and_a_log_in_page_is_not_a_user() {
    let user_id = ID.parse().unwrap();
    let (client, seen) = serve(|path, _| token_or(path, MISSING)).await;
    let missing = client.find_user(user_id).await.unwrap();
    assert!(!missing.value && missing.call.note.is_some(), "{missing:?}");
    assert_eq!(count(&seen, "/api"), 2);
    assert!(!client.user_exists(user_id).await.unwrap().value);
    assert_eq!(
        count(&seen, "/api"),
        3,
        "one read is enough to confirm a deletion of ours"
    );
    let account = client.account(user_id).await.unwrap();
    assert!(
        account.account.is_none() && account.calls.len() == 2,
        "SCIM and IAM: {account:?}"
    );

    let (client, _) = serve(|path, _| token_or(path, (200, "<html>Log in"))).await;
    let error = client.find_user(user_id).await.unwrap_err();
    assert_eq!(error.code, Code::CxoneUnreadable);
}

const PROFILE_PATH: &str =
    "/api/v2/routing/users/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11/routingprofile";

/// A server whose PATCH of a routing profile, and PUT of a SCIM user, are answered so.
async fn serve_writes(profile: &'static str, account: &'static str) -> Client {
    let app = Router::new().fallback(move |request: Request| async move {
        let path = request.uri().path();
        let body = match request.method().as_str() {
            "PATCH" => profile,
            "PUT" => account,
            _ if path == "/token" => {
                r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#
            }
            _ if path == PROFILE_PATH => r#"{"queues":[{"id":"q"}]}"#,
            _ if path.ends_with("/queues/q") => r#"{"id":"q","ownerId":"another"}"#,
            _ => r#"{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","active":true}"#,
        };
        (StatusCode::OK, body)
    });
    client_of(app).await
}

#[tokio::test]
async fn a_write_that_returns_the_new_state_is_a_read_and_any_other_answer_is_none() {
    let user_id = ID.parse().unwrap();
    for (profile, account, shown) in [
        (
            r#"{"queues":[]}"#,
            r#"{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","active":false}"#,
            true,
        ),
        (
            r#"{"queues":[{"id":"q"}]}"#,
            r#"{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","active":true}"#,
            false,
        ),
        (
            "{}",
            r#"{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"}"#,
            false,
        ),
        ("", "", false),
        (
            "<html>",
            r#"{"id":"00000000-9a51-4b4b-8f6c-1f9a4f9b7c11","active":false}"#,
            false,
        ),
    ] {
        let client = serve_writes(profile, account).await;
        let mut calls = Vec::new();
        let cleared = client.clear_routing(user_id, &mut calls).await.unwrap();
        assert_eq!(cleared == RoutingWrites::Shown, shown, "{profile}");
        let done = client.deactivate(user_id, &mut calls).await.unwrap();
        assert_eq!(done == Deactivation::Shown, shown, "{account}");

        let notes = calls.iter().filter(|call| call.note.is_some()).count();
        assert_eq!(notes, if shown { 2 } else { 0 }, "the manifest says so");
    }
}

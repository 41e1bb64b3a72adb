use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::adapters::http::{Grant, LocalQuotas, STANDARD, connect};
use crate::failure::{Class, Code};
use crate::progress::Progress;

/// A server that issues tokens, and receives every other request whole and then closes the connection.
async fn server_that_loses_answers() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();

    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let length = stream.read(&mut request).await.unwrap();
            if !request[..length].starts_with(b"POST /token") {
                continue;
            }
            let token = r#"{"access_token":"t1","expires_in":3600}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{token}",
                token.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}").parse().unwrap()
}

fn transport(base: &Url) -> Transport {
    let quota = |class| {
        Quota::new(
            class,
            None,
            Arc::new(LocalQuotas::default()),
            Progress::default(),
        )
    };
    let http = connect(base, None).unwrap();
    let token_uri = base.join("/token").unwrap();
    Transport {
        http: http.clone(),
        dialect: &STANDARD,
        tokens: Tokens::new(
            http,
            token_uri,
            "id",
            &Secret::new("secret"),
            &Grant::ClientCredentials,
            Clock::system(),
        ),
        routing: quota(QuotaClass::Routing),
        scim: quota(QuotaClass::Scim),
        analytics: quota(QuotaClass::Analytics),
        clock: Clock::system(),
        progress: Progress::default(),
    }
}

#[tokio::test]
async fn a_lost_answer_is_of_unknown_outcome_if_the_call_writes_whatever_its_method() {
    let base = server_that_loses_answers().await;
    let transport = transport(&base);
    let url = base.join("/object").unwrap();

    for method in [Method::GET, Method::POST, Method::PUT] {
        let read = Request::read(method.clone(), url.clone(), QuotaClass::Routing, "scope");
        let write = Request::write(method.clone(), url.clone(), QuotaClass::Routing, "scope");
        for (request, class) in [(read, Class::Transient), (write, Class::UnknownOutcome)] {
            let error = transport.send(request).await.err().unwrap();
            let expected = (class, Code::CxoneUnreachable);
            assert_eq!(error.classify(), expected, "{method}: {error}");
        }
    }
}

#[test]
fn a_403_names_the_right_that_the_call_needs_and_what_to_do() {
    let hides = Dialect {
        right: "permission",
        hides_missing_rights: true,
        ..STANDARD
    };
    let refused = |dialect, status| {
        let received = Received {
            what: "PATCH /x",
            status,
            headers: &HeaderMap::new(),
            body: br#"{"code":"forbidden"}"#,
            correlation_id: "c1",
            at: Timestamp::UNIX_EPOCH,
        };
        refusal(received, dialect, "to edit employees")
    };

    let hidden = refused(&hides, 403);
    let text = hidden.to_string();
    assert!(
        text.contains("the permission to edit employees: grant it"),
        "{text}"
    );
    let named = refused(&STANDARD, 403).to_string();
    assert!(
        named.contains("the scope to edit employees: grant it"),
        "{named}"
    );
    let other = refused(&hides, 409).to_string();
    assert!(!other.contains("grant"), "{other}");

    // One user's refusal may be the user's own, and that of many is a right's.
    let many = |refusal: ApiError| ApiError::RefusedToMany {
        refusal: Box::new(refusal),
        users: 5,
    };
    assert_eq!(hidden.code(), Code::CxoneRejected);
    assert_eq!(
        many(hidden).classify(),
        (Class::Systemic, Code::CxoneMissingScope)
    );
    for own in [refused(&STANDARD, 403), refused(&hides, 409)] {
        assert_eq!(many(own).code(), Code::CxoneRejected);
    }
}

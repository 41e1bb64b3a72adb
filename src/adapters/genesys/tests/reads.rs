//! Reads of nobody, for probes and for `doctor`; and what the client says of itself.

use super::*;
use crate::adapters::http::NOBODY;
use crate::failure::Code;
use crate::ports::{RefusalCause, Tenant, TenantRead};
use crate::profile::TenantProfile;

/// As the API answers for a user that nobody is.
fn of_nobody(asked: &Asked) -> Answer {
    if asked.line.starts_with("POST") {
        answer(200, json!({ "totalHits": 0 }))
    } else {
        not_found()
    }
}

#[tokio::test]
async fn each_read_of_nobody_touches_no_user_and_changes_nothing() {
    let server = serve(of_nobody).await;
    for read in TenantRead::ALL {
        server.client.probe(read).await.unwrap();
        let facts = server.client.examine(read).await.unwrap();
        assert!(facts.is_own && !facts.is_scim_error, "{read:?}");
    }
    let nobody = NOBODY;
    let distinct: std::collections::BTreeSet<String> = server.seen().into_iter().collect();
    let expected = [
        format!("GET /users/{nobody}"),
        format!("GET /users/{nobody}/queues?joined=true&pageSize=1&pageNumber=1"),
        "POST /analytics/conversations/details/query".to_owned(),
    ];
    assert_eq!(distinct, expected.into());
}

#[tokio::test]
async fn the_probe_succeeds_only_with_an_answer_of_the_api() {
    let others: [fn() -> Answer; 7] = [
        || answer(404, "<html>nginx"),
        || answer(404, ""),
        || answer(200, "<html>Please log in"),
        || answer(200, "[]"),
        || answer(403, "<html>Access Denied"),
        || error(404, "bad.request", "m"),
        forbidden,
    ];
    for given in others {
        let server = serve(move |_| given()).await;
        for read in TenantRead::ALL {
            server.client.probe(read).await.unwrap_err();
        }
    }
    let server = serve(|_| error(429, "too.many.requests", "m")).await;
    server.client.probe(TenantRead::User).await.unwrap();
}

#[tokio::test]
async fn doctor_asks_for_the_configured_window_and_sees_quota_rights_and_limits() {
    let server = serve(|asked| {
        let interval = asked.body["interval"].as_str().unwrap();
        let [from, to] = interval
            .split('/')
            .map(|at| at.parse::<jiff::Timestamp>().unwrap())
            .collect::<Vec<_>>()[..]
        else {
            panic!("{interval}");
        };
        assert_eq!(to.duration_since(from).as_hours(), 7 * 24);
        Answer {
            headers: vec![
                ("inin-ratelimit-count", "290".to_owned()),
                ("inin-ratelimit-allowed", "300".to_owned()),
            ],
            ..of_nobody(asked)
        }
    })
    .await;
    let facts = server.client.examine(TenantRead::Conversations).await;
    assert_eq!(facts.unwrap().quota_left, Some((10, 300)));

    let server = serve(|_| forbidden()).await;
    let refused = server.client.examine(TenantRead::Routing).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.cause, RefusalCause::MissingScope);
    assert!(
        refused
            .failure
            .text
            .contains("permission routing:queue:view"),
        "{}",
        refused.failure
    );

    let server = serve(|_| error(400, "bad.request", "does not exceed 7 days")).await;
    let refused = server.client.examine(TenantRead::Conversations).await;
    let failure = refused.unwrap_err().failure;
    assert_eq!(failure.code, Code::CxoneRejected);
    assert!(
        failure.text.contains("OFFBOARDER_CXONE_WINDOW"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_calls_that_plan_counts_are_those_of_a_clean_run() {
    let server = serve(|asked| {
        let line = asked.line.as_str();
        if line == format!("GET /users/{ID}") && asked.before < 3 {
            user(
                if asked.before == 0 {
                    "active"
                } else {
                    "inactive"
                },
                1,
            )
        } else if line.ends_with("state=deleted") {
            user("deleted", 1)
        } else if line.starts_with("GET") {
            not_found()
        } else {
            answer(200, "{}")
        }
    })
    .await;
    let client = &server.client;
    let planned = client.step_calls(&[]);
    let mut calls = Vec::new();

    client.deactivate(user_id(), &mut calls).await.unwrap();
    let read = client.account(user_id()).await.unwrap();
    assert_eq!(read.account.unwrap().active, Some(false));
    client
        .end_access(user_id(), None, &mut calls)
        .await
        .unwrap();
    assert_eq!(server.seen().len() as u64, planned.deactivate.routing);

    server.seen.lock().clear();
    assert!(client.find_user(user_id()).await.unwrap().value);
    let ready = client.ready_deletion(user_id()).await.unwrap();
    ready.send().await.unwrap();
    assert!(!client.user_exists(user_id()).await.unwrap().value);
    assert_eq!(server.seen().len() as u64, planned.delete.routing);

    let page = planned.page.plus(planned.account);
    assert_eq!((page.routing, page.scim, page.analytics), (2, 0, 0));
}

#[tokio::test]
async fn the_client_is_no_user_and_its_token_lists_no_scopes() {
    let server = serve(of_nobody).await;
    assert_eq!(server.client.profile(), TenantProfile::Genesys);
    assert_eq!(server.client.own_account().await.unwrap(), None);
    assert_eq!(Tenant::scopes(&server.client).await.unwrap(), None);
    assert!(!server.client.access_waits());
}

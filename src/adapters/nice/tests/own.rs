//! Whose credentials these are, and that nobody touches them.

use serde_json::json;

use super::server::{
    ACD_404, DEACTIVATE, ID, KEY, KEYS, NO_KEYS, OTHER, OWN, OWN_KEY, OWN_KEYS, SPRING_403, USER,
    ann, serve_with, serve_with_token,
};
use crate::failure::{Class, Code, Reason};
use crate::ports::Tenant;

const AGENT_9: &str = "GET /incontactapi/services/v34.0/agents/9";

fn own_agent() -> String {
    json!({ "agents": [{ "agentId": 9, "userId": OWN }] }).to_string()
}

#[tokio::test]
async fn the_token_names_our_own_user_by_id_or_by_agent() {
    let own = Some(OWN.parse().unwrap());
    for claims in [
        json!({ "userId": OWN, "sub": OTHER }),
        json!({ "sub": OWN }),
        json!({ "sub": format!("user:{OWN}") }),
    ] {
        let server = serve_with(&claims).await;
        assert_eq!(server.client.own_account().await.unwrap(), own, "{claims}");
        assert!(server.calls().is_empty());
    }
    for claims in [
        json!({ "icAgentId": "9" }),
        json!({ "icAgentId": 9, "sub": "service" }),
        json!({ "icAgentId": 9, "sub": OTHER }),
    ] {
        let server = serve_with(&claims).await;
        server.answer(AGENT_9, &[(200, &own_agent())]);
        for _ in 0..3 {
            assert_eq!(server.client.own_account().await.unwrap(), own, "{claims}");
        }
        assert_eq!(server.count(AGENT_9), 1, "known from then on");
    }
}

#[tokio::test]
async fn a_read_of_our_own_agent_that_is_refused_stops_nobody_and_one_that_may_succeed_waits() {
    let nobody = json!({ "agents": [{ "agentId": 9 }] }).to_string();
    for answer in [SPRING_403, (400, ""), ACD_404] {
        let server = serve_with(&json!({ "icAgentId": 9 })).await;
        server.answer(AGENT_9, &[answer]);
        for _ in 0..2 {
            assert_eq!(server.client.own_account().await.unwrap(), None);
        }
        assert_eq!(server.count(AGENT_9), 1, "asked once");
    }
    for answer in [(500, ""), (404, ""), (200, "{}"), (200, nobody.as_str())] {
        let server = serve_with(&json!({ "icAgentId": 9 })).await;
        server.answer(AGENT_9, &[answer]);
        assert!(server.client.own_account().await.is_err(), "{answer:?}");
    }
}

/// `sub` may be of another thing, and an agent may not be readable.
#[tokio::test]
async fn where_whom_the_token_names_does_not_have_our_key_the_keys_of_each_user_decide() {
    let keys = json!({ "accessKeys": [{ "accessKeyId": OWN_KEY, "isActive": true }] }).to_string();
    for own_keys in [NO_KEYS, (400, "")] {
        let server = serve_with(&json!({ "sub": OWN })).await;
        server.answer(OWN_KEYS, &[own_keys]);
        server
            .client
            .deactivate(ann(), &mut Vec::new())
            .await
            .unwrap();
        assert_eq!(server.count(KEYS), 1);

        server.answer(KEYS, &[(200, &keys)]).forget();
        let client = &server.client;
        let cleared = client.clear_routing(ann(), &mut Vec::new()).await;
        let deactivated = client.deactivate(ann(), &mut Vec::new()).await;
        for failure in [cleared.unwrap_err(), deactivated.unwrap_err()] {
            assert_eq!(failure.class, Class::Permanent(Reason::ProtectedUser));
        }
        let writes = server.calls();
        assert!(
            writes.iter().all(|call| call.starts_with("GET")),
            "{writes:?}"
        );
        assert_eq!(server.count(OWN_KEYS), 0, "asked once");
    }

    // A missing right is no fault of the user whose turn it is.
    let server = serve_with(&json!({ "sub": OWN })).await;
    server.answer(OWN_KEYS, &[SPRING_403]);
    let client = &server.client;
    let failure = client.clear_routing(ann(), &mut Vec::new()).await;
    assert_eq!(failure.unwrap_err().code, Code::CxoneMissingScope);
}

#[tokio::test]
async fn our_own_employee_is_never_deactivated_whatever_the_token_says() {
    let keys = json!({ "accessKeys": [{ "accessKeyId": OWN_KEY, "isActive": true }] }).to_string();
    for token in [
        serve_with(&json!({ "sub": ID })).await,
        serve_with_token("opaque").await,
        serve_with(&json!({ "tenantId": "t" })).await,
    ] {
        token.answer(KEYS, &[(200, &keys)]);
        let error = token
            .client
            .deactivate(ann(), &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Permanent(Reason::ProtectedUser));
        assert_eq!(token.count(DEACTIVATE), 0);

        let error = token
            .client
            .end_access(ann(), None, &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Permanent(Reason::ProtectedUser));
        assert_eq!(token.count(KEY), 0);
    }
    let opaque = serve_with_token("opaque").await;
    opaque
        .client
        .deactivate(ann(), &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(opaque.calls(), [USER, KEYS, DEACTIVATE]);
}

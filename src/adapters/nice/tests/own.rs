//! Whose credentials these are, and that nobody touches them.

use serde_json::json;

use super::server::{
    ACD_404, DEACTIVATE, ID, KEY, KEYS, OTHER, OWN, OWN_KEY, USER, ann, serve_with,
    serve_with_token,
};
use crate::failure::{Class, Reason};
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
        json!({ "sub": format!("user:{OWN}"), "icAgentId": "9" }),
    ] {
        let server = serve_with(&claims).await;
        assert_eq!(server.client.own_account().await.unwrap(), own, "{claims}");
        assert!(server.calls().is_empty());
    }
    for claims in [
        json!({ "icAgentId": "9" }),
        json!({ "icAgentId": 9, "sub": "service" }),
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
async fn an_agent_of_ours_that_cannot_be_resolved_is_no_permission_to_go_on() {
    let server = serve_with(&json!({ "icAgentId": 9 })).await;
    for (status, body) in [
        (500, String::new()),
        (404, String::new()),
        (200, "{}".to_owned()),
        (
            200,
            json!({ "agents": [{ "agentId": 8, "userId": OWN }] }).to_string(),
        ),
        (200, json!({ "agents": [{ "agentId": 9 }] }).to_string()),
    ] {
        server.answer(AGENT_9, &[(status, &body)]);
        assert!(server.client.own_account().await.is_err(), "{body}");
    }
    server.answer(AGENT_9, &[ACD_404]);
    assert_eq!(server.client.own_account().await.unwrap(), None);
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
            .end_access(ann(), &mut Vec::new())
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

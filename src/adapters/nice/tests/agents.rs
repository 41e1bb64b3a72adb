//! The number of an agent, and the proof that there is none.

use super::server::{
    ACD_404, AGENT, AGENT_17, DELETED, ID, NO_AGENT, NOT_FOUND, OTHER, SKILLS, SPRING_403, Server,
    USER, ann, serve,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::ports::{RoutingWrites, Tenant};

async fn clear(server: &Server) -> Result<RoutingWrites, Failure> {
    server.client.clear_routing(ann(), &mut Vec::new()).await
}

fn none_left() -> RoutingWrites {
    RoutingWrites::Accepted {
        released: Vec::new(),
    }
}

#[tokio::test]
async fn no_agent_counts_only_where_userhub_names_none_either() {
    let server = serve().await;
    for nothing in [ACD_404, (204, ""), (200, r#"{"agents":[]}"#)] {
        server.answer(AGENT, &[nothing]).answer(USER, &[NO_AGENT]);
        assert_eq!(clear(&server).await.unwrap(), none_left(), "{nothing:?}");

        // UserHub names an agent, or does not say.
        let unsaid = NO_AGENT.1.replace(r#","acdInfos":[]"#, "");
        for user in [DELETED, (200, unsaid.as_str())] {
            server.answer(USER, &[user]);
            let error = clear(&server).await.unwrap_err();
            assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
            assert!(error.text.contains("nothing counts as empty"), "{error}");
        }
        server.answer(USER, &[NOT_FOUND]);
        assert_eq!(clear(&server).await.unwrap(), RoutingWrites::UserGone);
    }
}

#[tokio::test]
async fn an_agent_that_a_second_read_finds_is_one() {
    let server = serve().await;
    server.answer(AGENT, &[(204, ""), AGENT_17]);
    assert_eq!(clear(&server).await.unwrap(), none_left());
    assert_eq!(server.count(SKILLS), 1);
}

#[tokio::test]
async fn the_number_comes_from_the_row_of_this_user_and_from_no_other() {
    let server = serve().await;
    let ours = format!(
        r#"{{"agents":[{{"agentId":18,"userId":"{OTHER}"}},{{"agentId":17,"userID":"{}"}}]}}"#,
        ID.to_uppercase()
    );
    server.answer(AGENT, &[(200, &ours)]);
    assert_eq!(clear(&server).await.unwrap(), none_left());
    assert_eq!(server.count(SKILLS), 1, "agent 17: {:?}", server.calls());

    for (body, code) in [
        (
            format!(r#"{{"agents":[{{"agentId":18,"userId":"{OTHER}"}}]}}"#),
            Code::CxoneUnreadable,
        ),
        (
            format!(
                r#"{{"agents":[{{"agentId":17,"userId":"{ID}"}},{{"agentId":18,"userId":"{ID}"}}]}}"#
            ),
            Code::CxoneUnreadable,
        ),
        (
            r#"{"agents":[{"agentId":17}]}"#.to_owned(),
            Code::CxoneUnreadable,
        ),
        (
            format!(r#"{{"agents":[{{"agentId":0,"userId":"{ID}"}}]}}"#),
            Code::CxoneUnreadable,
        ),
        (
            format!(r#"{{"agents":[{{"agentId":"17/../18","userId":"{ID}"}}]}}"#),
            Code::CxoneUnreadable,
        ),
        ("{}".to_owned(), Code::CxoneUnreadable),
        (String::new(), Code::CxoneUnreadable),
        ("<html>".to_owned(), Code::CxoneUnreadable),
        (
            r#"{"agents":[],"hiddenAgents":1}"#.to_owned(),
            Code::CxoneMissingScope,
        ),
        (
            r#"{"agents":[],"hiddenAgents":[7]}"#.to_owned(),
            Code::CxoneMissingScope,
        ),
        (
            r#"{"agents":[],"hiddenAgents":"some"}"#.to_owned(),
            Code::CxoneUnreadable,
        ),
    ] {
        server.answer(AGENT, &[(200, &body)]);
        let error = clear(&server).await.unwrap_err();
        assert_eq!(error.code, code, "{body}");
    }
}

#[tokio::test]
async fn a_lookup_that_the_api_did_not_answer_is_no_lookup() {
    let server = serve().await;
    server.answer(USER, &[NO_AGENT]);
    for (answer, code) in [
        ((404, ""), Code::CxoneForeignAnswer),
        ((404, "<html>"), Code::CxoneForeignAnswer),
        ((403, "<html>"), Code::CxoneForeignAnswer),
        (SPRING_403, Code::CxoneRejected),
        ((400, ""), Code::CxoneRejected),
        ((500, ""), Code::CxoneServerError),
        ((503, ""), Code::CxoneServerError),
    ] {
        server.answer(AGENT, &[answer]);
        let error = clear(&server).await.unwrap_err();
        assert_eq!(error.code, code, "{answer:?}");
    }
}

#[tokio::test]
async fn a_number_is_read_once_for_the_steps_that_follow() {
    let server = serve().await;
    clear(&server).await.unwrap();
    server
        .client
        .left_over(ann(), &[], &mut Vec::new())
        .await
        .unwrap();
    server
        .client
        .end_access(ann(), None, &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(server.count(AGENT), 1);

    // That there is none is read again, since it is evidence.
    server.answer(AGENT, &[(204, "")]).answer(USER, &[NO_AGENT]);
    clear(&server).await.unwrap();
    server.forget();
    let mut proof = Vec::new();
    server
        .client
        .left_over(ann(), &[], &mut proof)
        .await
        .unwrap();
    assert_eq!(server.calls(), [AGENT, USER]);
    assert_eq!(proof.len(), 2);
}

//! Queues that come from groups and teams.

use super::clearing::{Q1, Q2, Routing, clear, left_over};
use super::*;
use crate::machine::Residual;
use crate::ports::{RoutingWrites, Tenant as _};

const GROUP: &str = "33333333-0000-4000-8000-000000000001";
const TEAM: &str = "33333333-0000-4000-8000-000000000002";

fn of_groups(queue: &str, groups: &Value) -> Value {
    json!({ "id": queue, "name": "Support", "joined": true, "memberGroups": groups })
}

fn group() -> Value {
    json!([{ "id": GROUP, "name": "Night shift", "type": "GROUP" }])
}

/// Serves queues that come from groups: only leaving the group, which is answered so, takes the user from them.
async fn serve_groups(
    leave_groups: bool,
    queues: Vec<Value>,
    member: fn() -> Answer,
    leaving: fn() -> Answer,
) -> Server {
    let routing = Mutex::new(Routing {
        joined: queues,
        ..Routing::default()
    });
    serve_with(leave_groups, move |asked| {
        let line = asked.line.as_str();
        if line.starts_with("DELETE /routing/queues/") {
            return member();
        }
        if line.starts_with("DELETE /groups/") || line.starts_with("DELETE /teams/") {
            let given = leaving();
            if given.status < 300 {
                let id = line.split('/').nth(2).unwrap();
                let mut routing = routing.lock();
                let of_it = |queue: &Value| queue["memberGroups"][0]["id"] != id;
                routing.joined.retain(of_it);
            }
            return given;
        }
        routing.lock().answer(asked)
    })
    .await
}

fn one(left: &[Residual]) -> &Residual {
    assert_eq!(left.len(), 1, "{left:?}");
    &left[0]
}

#[tokio::test]
async fn what_keeps_the_user_in_a_queue_is_left_once_with_the_calls_that_plan_counts() {
    for member in [(|| answer(204, "")) as fn() -> Answer, || {
        error(400, "bad.request", "is a member by a group")
    }] {
        let team = json!([{ "id": TEAM, "name": "Berlin", "type": "TEAM" }]);
        let queues = vec![of_groups(Q1, &group()), of_groups(Q2, &team)];
        let server = serve_groups(true, queues, member, || answer(202, "{}")).await;
        let planned = server.client.step_calls(&left_over(&server).await);

        server.seen.lock().clear();
        server.client.find_user(user_id()).await.unwrap();
        let (writes, calls) = clear(&server).await;
        assert!(matches!(writes, RoutingWrites::Accepted { .. }));
        assert!(left_over(&server).await.is_empty());
        let lines = server.seen();
        assert_eq!(lines.len() as u64, planned.clear_queues.routing);
        for line in [
            format!("DELETE /groups/{GROUP}/members?ids={ID}"),
            format!("DELETE /teams/{TEAM}/members?id={ID}"),
        ] {
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
        assert!(calls.iter().any(|call| call.path.contains("/teams/")));
    }
}

#[tokio::test]
async fn a_group_of_several_queues_is_left_once_and_one_of_no_queue_that_is_left_not_at_all() {
    let queues = vec![of_groups(Q1, &group()), of_groups(Q2, &group())];
    let server = serve_groups(true, queues, || answer(204, ""), || answer(204, "")).await;
    clear(&server).await;
    assert_eq!(server.count("DELETE /groups/"), 1);

    // A direct member of a queue that has groups besides.
    let routing = Mutex::new(Routing {
        joined: vec![of_groups(Q1, &group())],
        ..Routing::default()
    });
    let server = serve(move |asked| routing.lock().answer(asked)).await;
    clear(&server).await;
    assert!(left_over(&server).await.is_empty());
    assert_eq!(server.count("DELETE /groups/"), 0);
}

#[tokio::test]
async fn a_group_that_does_not_let_the_user_go_is_a_residual_that_names_it() {
    for refusal in [
        (|| error(400, "bad.request", "members are selected by a rule")) as fn() -> Answer,
        || error(403, "not.authorized", "m"),
        || error(409, "general.conflict", "m"),
    ] {
        let queues = vec![of_groups(Q1, &group())];
        let server = serve_groups(true, queues, || answer(204, ""), refusal).await;
        let (writes, calls) = clear(&server).await;
        assert!(matches!(writes, RoutingWrites::Accepted { .. }));
        let refused = calls.iter().find(|call| call.path.contains("/groups/"));
        let note = refused.unwrap().note.as_deref();
        assert!(note.unwrap().starts_with("refused"), "{note:?}");

        let left = left_over(&server).await;
        let left = one(&left);
        let note = left.note.as_deref().unwrap();
        assert_eq!(
            (left.kind.as_str(), left.reference.as_str()),
            ("group_queue_member", Q1)
        );
        assert!(
            note.contains(&format!("the group Night shift ({GROUP})")),
            "{note}"
        );
        assert!(note.contains("a rule"), "{note}");
    }
}

#[tokio::test]
async fn groups_are_not_left_where_the_setting_says_so_or_their_type_is_another() {
    let skilled = json!([{ "id": GROUP, "name": "French", "type": "SKILLGROUP" }]);
    for (leave_groups, groups, why) in [
        (false, group(), "OFFBOARDER_CXONE_LEAVE_GROUPS is false"),
        (true, skilled, "the SKILLGROUP French"),
    ] {
        let queues = vec![of_groups(Q1, &groups)];
        let server = serve_groups(leave_groups, queues, || answer(204, ""), || panic!()).await;
        clear(&server).await;
        assert_eq!(server.count("DELETE"), 1, "the membership, and no group");
        let left = left_over(&server).await;
        let note = one(&left).note.as_deref().unwrap();
        assert!(note.contains(why), "{note}");
    }
}

#[tokio::test]
async fn a_group_that_cannot_be_asked_fails_the_step() {
    for refusal in [
        forbidden as fn() -> Answer,
        || error(503, "service.unavailable", "m"),
        || error(504, "request.timeout", "m"),
        || answer(403, "<html>"),
        || answer(400, "<html>"),
    ] {
        let queues = vec![of_groups(Q1, &group())];
        let server = serve_groups(true, queues, || answer(204, ""), refusal).await;
        let mut calls = Vec::new();
        let cleared = server.client.clear_routing(user_id(), &mut calls).await;
        cleared.unwrap_err();
    }
}

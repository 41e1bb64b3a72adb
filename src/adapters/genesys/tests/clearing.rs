//! Queues and skills: read to the end, taken away, and read again.

use super::*;
use crate::failure::{Class, Code};
use crate::machine::Residual;
use crate::ports::{CallCounts, RoutingWrites, Tenant as _, UNKNOWN_ROUTING};

pub(super) const Q1: &str = "11111111-0000-4000-8000-000000000001";
pub(super) const Q2: &str = "11111111-0000-4000-8000-000000000002";
const SKILL: &str = "22222222-0000-4000-8000-000000000001";

/// What routes work to the user, as a server keeps it.
#[derive(Default)]
pub(super) struct Routing {
    pub(super) joined: Vec<Value>,
    pub(super) not_joined: Vec<Value>,
    pub(super) skills: Vec<Value>,
}

impl Routing {
    /// Answers like the API, which takes what a call names.
    pub(super) fn answer(&mut self, asked: &Asked) -> Answer {
        let line = asked.line.as_str();
        if line == format!("GET /users/{ID}") {
            user("active", 1)
        } else if line.contains("/queues?joined=true&pageSize=100&pageNumber=1") {
            whole(&json!(self.joined))
        } else if line.contains("/queues?joined=false&pageSize=100&pageNumber=1") {
            whole(&json!(self.not_joined))
        } else if line == format!("GET /users/{ID}/routingskills?pageSize=100&pageNumber=1") {
            whole(&json!(self.skills))
        } else if line == format!("PUT /users/{ID}/routingskills/bulk") {
            assert_eq!(asked.body, json!([]));
            self.skills.clear();
            whole(&json!([]))
        } else if let Some(rest) = line.strip_prefix("DELETE /routing/queues/") {
            let queue = rest.strip_suffix(&format!("/members/{ID}")).unwrap();
            let stays = |known: &Value| known["id"] != queue;
            self.joined.retain(stays);
            self.not_joined.retain(stays);
            answer(204, "")
        } else {
            panic!("{line}")
        }
    }
}

pub(super) async fn serve_routing(routing: Routing) -> Server {
    let routing = Mutex::new(routing);
    serve(move |asked| routing.lock().answer(asked)).await
}

pub(super) async fn clear(server: &Server) -> (RoutingWrites, Vec<Call>) {
    let mut calls = Vec::new();
    let writes = server.client.clear_routing(user_id(), &mut calls).await;
    (writes.unwrap(), calls)
}

pub(super) async fn left_over(server: &Server) -> Vec<Residual> {
    let mut calls = Vec::new();
    let left = server.client.left_over(user_id(), &[], &mut calls).await;
    left.unwrap()
}

fn accepted() -> RoutingWrites {
    RoutingWrites::Accepted {
        released: Vec::new(),
    }
}

fn kinds(left: &[Residual]) -> Vec<(&str, &str)> {
    left.iter()
        .map(|left| (left.kind.as_str(), left.reference.as_str()))
        .collect()
}

#[tokio::test]
async fn queues_that_are_not_joined_and_skills_are_cleared_too_with_the_calls_that_plan_counts() {
    let server = serve_routing(Routing {
        joined: vec![json!({ "id": Q1, "name": "Support", "joined": true, "memberGroups": [] })],
        not_joined: vec![json!({ "id": Q2, "joined": false })],
        skills: vec![json!({ "id": SKILL, "name": "French", "proficiency": 3.0 })],
    })
    .await;
    let left = left_over(&server).await;
    assert_eq!(
        kinds(&left),
        [("queue_member", Q1), ("queue_member", Q2), ("skill", SKILL)]
    );
    let planned = server.client.step_calls(&left).clear_queues;

    server.seen.lock().clear();
    assert!(server.client.find_user(user_id()).await.unwrap().value);
    let (writes, calls) = clear(&server).await;
    assert_eq!(writes, accepted());
    assert!(left_over(&server).await.is_empty());
    let made = CallCounts {
        routing: server.seen().len() as u64,
        ..CallCounts::default()
    };
    assert_eq!(planned, made);
    assert_eq!(
        shown(&calls),
        [
            "GET /users/U/queues 200 joined=true".to_owned(),
            "GET /users/U/queues 200 joined=false".to_owned(),
            format!("DELETE /routing/queues/{Q1}/members/U 204"),
            format!("DELETE /routing/queues/{Q2}/members/U 204"),
            "GET /users/U/routingskills 200".to_owned(),
            "PUT /users/U/routingskills/bulk 200".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_user_whom_nothing_routes_work_to_costs_no_write() {
    let server = serve_routing(Routing::default()).await;
    let planned = server.client.step_calls(&[]);
    assert_eq!(clear(&server).await.0, accepted());
    assert!(left_over(&server).await.is_empty());
    assert_eq!(server.seen().len() as u64 + 1, planned.clear_queues.routing);
    assert_eq!(server.count("GET"), server.seen().len());
}

fn id_of(number: usize) -> Value {
    json!({ "id": format!("11111111-0000-4000-8000-{number:012}") })
}

/// A page of `count` queues from the `first` on.
fn page(first: usize, count: usize, total: impl Into<Value>) -> Answer {
    let entities: Vec<Value> = (first..first + count).map(id_of).collect();
    answer(200, json!({ "entities": entities, "total": total.into() }))
}

/// What is read of 150 joined queues, of which these are the pages.
async fn listed(
    pages: impl Fn(&str, usize) -> Answer + Send + Sync + 'static,
) -> (Server, Result<Vec<Residual>, crate::failure::Failure>) {
    let server = serve(move |asked| {
        let Some((_, number)) = asked
            .line
            .split_once("/queues?joined=true&pageSize=100&pageNumber=")
        else {
            return whole(&json!([]));
        };
        pages(number, asked.before)
    })
    .await;
    let left = server
        .client
        .left_over(user_id(), &[], &mut Vec::new())
        .await;
    (server, left)
}

#[tokio::test]
async fn a_list_is_read_to_its_total() {
    let (server, left) = listed(|number, _| match number {
        "1" => page(0, 100, 150),
        "2" => page(100, 50, 150),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(left.unwrap().len(), 150);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_list_that_moves_is_read_again_from_its_beginning() {
    let (_, left) = listed(|number, before| match (number, before) {
        ("1", 0) => page(0, 100, 150),
        ("1", _) => page(0, 100, 101),
        ("2", 0) => page(100, 49, 149),
        _ => page(100, 1, 101),
    })
    .await;
    assert_eq!(left.unwrap().len(), 101);
}

#[tokio::test]
async fn a_list_that_does_not_add_up_is_unreadable_and_never_short() {
    let faulty: [fn(&str) -> Answer; 7] = [
        // An empty page before the end.
        |number| match number {
            "1" => page(0, 100, 150),
            _ => page(0, 0, 150),
        },
        // The same page again.
        |_| page(0, 100, 200),
        // More than there are.
        |_| page(0, 100, 99),
        |_| page(0, 0, Value::Null),
        |_| answer(200, "{}"),
        |_| answer(200, json!({ "entities": [{ "id": "../x" }], "total": 1 })),
        |_| answer(200, json!({ "entities": {}, "total": 0 })),
    ];
    for (index, given) in faulty.into_iter().enumerate() {
        let (_, left) = listed(move |number, _| given(number)).await;
        let failure = left.unwrap_err();
        assert_eq!(
            (failure.class, failure.code),
            (Class::Transient, Code::CxoneUnreadable),
            "{index}: {failure}"
        );
    }
}

#[tokio::test]
async fn a_membership_that_ended_in_the_meantime_is_as_good_as_taken() {
    let routing = Mutex::new(Routing {
        joined: vec![json!({ "id": Q1 })],
        ..Routing::default()
    });
    let server = serve(move |asked| {
        let given = routing.lock().answer(asked);
        if asked.line.starts_with("DELETE") {
            return not_found();
        }
        given
    })
    .await;
    assert_eq!(clear(&server).await.0, accepted());
    assert!(left_over(&server).await.is_empty());
}

#[tokio::test]
async fn a_queue_that_does_not_let_the_user_go_fails_the_step() {
    for (given, class) in [
        (
            (|| error(403, "not.authorized", "m")) as fn() -> Answer,
            Class::Permanent(crate::failure::Reason::ApiRejected),
        ),
        (forbidden, Class::Systemic),
        (|| error(504, "request.timeout", "m"), Class::UnknownOutcome),
        (|| answer(403, "<html>"), Class::Transient),
    ] {
        let routing = Mutex::new(Routing {
            joined: vec![json!({ "id": Q1 })],
            ..Routing::default()
        });
        let server = serve(move |asked| {
            if asked.line.starts_with("DELETE") {
                return given();
            }
            routing.lock().answer(asked)
        })
        .await;
        let mut calls = Vec::new();
        let failure = server.client.clear_routing(user_id(), &mut calls).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert_eq!(calls.len(), 2, "the reads are evidence all the same");
    }
}

#[tokio::test]
async fn a_list_that_answers_404_is_unknown_while_the_user_exists_and_empty_once_it_is_gone() {
    for of in ["/queues", "/routingskills"] {
        let server = serve(move |asked| {
            if asked.line.contains(of) {
                not_found()
            } else {
                Routing::default().answer(asked)
            }
        })
        .await;
        let RoutingWrites::Unknown(residual) = clear(&server).await.0 else {
            panic!("{of}");
        };
        assert_eq!(residual.kind, UNKNOWN_ROUTING);
        assert_eq!(left_over(&server).await, [residual]);

        let server = serve(|asked| {
            if asked.line.ends_with("state=deleted") {
                user("deleted", 3)
            } else {
                not_found()
            }
        })
        .await;
        assert_eq!(clear(&server).await.0, RoutingWrites::UserGone);
        assert!(left_over(&server).await.is_empty());
    }
}

#[tokio::test]
async fn skills_that_change_under_the_write_are_read_and_written_again() {
    let routing = Mutex::new(Routing {
        skills: vec![json!({ "id": SKILL })],
        ..Routing::default()
    });
    let server = serve(move |asked| {
        if asked.line.starts_with("PUT") && asked.before == 0 {
            return error(409, "general.conflict", "m");
        }
        routing.lock().answer(asked)
    })
    .await;
    assert_eq!(clear(&server).await.0, accepted());
    assert_eq!(server.count("PUT"), 2);
}

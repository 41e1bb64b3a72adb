//! What the tenant and a user show, and writes that are repeated.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Asked, ID, answer, error, forbidden, not_found, serve, user, user_id, whole};
use crate::machine::Call;
use crate::ports::{Observation, Seen, SeenWord, Tenant};

const QUEUE: &str = "11111111-9a51-4b4b-8f6c-1f9a4f9b7c11";
const OTHER: &str = "22222222-9a51-4b4b-8f6c-1f9a4f9b7c11";

#[track_caller]
fn assert_seen(all: &[Observation], check: &str, word: SeenWord, says: &str) {
    let found = all
        .iter()
        .find(|one| one.question == Some(check) || one.check == check);
    let one = found.unwrap_or_else(|| panic!("{check} in {all:?}"));
    let text = match &one.seen {
        Seen::Good(text) | Seen::Fact(text) | Seen::Unknown(text) => text.clone(),
        Seen::Bad { detail, remedy } => format!("{detail}; {remedy}"),
        Seen::Failed(failure) => failure.text.clone(),
    };
    assert!(
        one.seen.word() == word && text.contains(says),
        "{check}: {one:?}"
    );
}

fn with_rate(mut given: Answer, allowed: &str) -> Answer {
    given.headers = vec![
        ("inin-ratelimit-count", "1".to_owned()),
        ("inin-ratelimit-allowed", allowed.to_owned()),
    ];
    given
}

fn no_conversations(hits: u64) -> Answer {
    answer(200, json!({ "totalHits": hits, "conversations": [] }))
}

fn grants(division: &str, entities: &[(&str, &str, &str)]) -> Value {
    let policies: Vec<Value> = entities
        .iter()
        .map(|(domain, entity, action)| {
            json!({ "domain": domain, "entityName": entity, "actions": [action] })
        })
        .collect();
    json!({ "grants": [{ "division": { "id": division }, "role": { "policies": policies } }] })
}

fn good_tenant(asked: &Asked) -> Answer {
    match asked.line.as_str() {
        "GET /tokens/me" => with_rate(answer(200, json!({ "OAuthClient": {} })), "300"),
        "GET /authorization/subjects/me" => answer(200, grants("*", &[("*", "*", "*")])),
        "GET /organizations/limits/namespaces/analytics" => {
            let limit = json!({ "key": "query.rate", "value": 300 });
            answer(200, json!({ "entities": [limit] }))
        }
        "POST /analytics/conversations/details/query" => no_conversations(0),
        _ => not_found(),
    }
}

#[tokio::test]
async fn a_tenant_as_it_should_be_is_seen_as_good_and_only_read() {
    let server = serve(good_tenant).await;
    let all = server.client.survey(None).await;
    assert_seen(&all, "genesys-1", SeenWord::Good, "7 days");
    assert_seen(&all, "genesys-2", SeenWord::Good, "all 7, in all divisions");
    assert_seen(&all, "genesys-3", SeenWord::Fact, "300 calls a minute");
    assert_seen(&all, "genesys-9", SeenWord::Fact, "200 with 1 grants");
    assert_seen(&all, "token", SeenWord::Good, "client");
    assert_seen(
        &all,
        "limits by namespace",
        SeenWord::Fact,
        "query.rate 300",
    );
    let writes = ["PATCH", "PUT", "DELETE"];
    assert!(writes.iter().all(|write| server.count(write) == 0));
}

#[tokio::test]
async fn what_is_wrong_at_a_tenant_is_named_with_its_remedy() {
    let mut server = serve(|asked| match asked.line.as_str() {
        "POST /analytics/conversations/details/query" => error(
            400,
            "bad.request",
            "an interval that does not exceed 1 days",
        ),
        "GET /authorization/subjects/me" => {
            let some = [("directory", "user", "edit"), ("oauth", "token", "delete")];
            answer(200, grants("d-1", &some))
        }
        _ => good_tenant(asked),
    })
    .await;
    server.client.rate = Some(10.0);
    let all = server.client.survey(None).await;
    assert_seen(
        &all,
        "genesys-1",
        SeenWord::Bad,
        "set OFFBOARDER_CXONE_WINDOW=1d",
    );
    assert_seen(&all, "genesys-2", SeenWord::Bad, "in some divisions only");
    assert_seen(&all, "genesys-2", SeenWord::Bad, "routing:skill:assign");
    assert_seen(
        &all,
        "genesys-3",
        SeenWord::Bad,
        "600 a minute; set OFFBOARDER_CXONE_RATE_ROUTING=300/m",
    );
    let text = format!("{all:?}");
    assert!(!text.contains("d-1"), "{text}");

    let server = serve(|asked| match asked.line.as_str() {
        "POST /analytics/conversations/details/query" => no_conversations(0),
        _ => forbidden(),
    })
    .await;
    let all = server.client.survey(None).await;
    assert_seen(&all, "genesys-2", SeenWord::Unknown, "does not show");
    for check in ["genesys-3", "token", "limits by namespace"] {
        let one = all
            .iter()
            .find(|one| one.question == Some(check) || one.check == check);
        let word = one.unwrap().seen.word();
        assert!(
            matches!(word, SeenWord::Unknown | SeenWord::Failed),
            "{check}: {word:?}"
        );
    }
}

/// A user in two queues, of which one has a group.
fn of_user(state: &'static str) -> impl Fn(&Asked) -> Answer {
    move |asked| {
        let line = asked.line.replace(ID, "U");
        let deleted = state == "deleted";
        match line.as_str() {
            "GET /users/U" if deleted => not_found(),
            "GET /users/U" => user(state, 7),
            "GET /users/U?state=deleted" if deleted => user(state, 7),
            "GET /users/U?expand=authorization" => answer(
                200,
                json!({ "id": ID, "authorization": { "roles": [{ "id": "r" }, { "id": "s" }] } }),
            ),
            "POST /analytics/conversations/details/query" => no_conversations(3),
            _ if line.starts_with("GET /users/U/queues") && deleted => not_found(),
            _ if line.starts_with("GET /users/U/queues?joined=true") => {
                let group = json!({ "id": OTHER, "name": "Secret Sales", "type": "GROUP" });
                let queues = json!([
                    { "id": QUEUE, "memberGroups": [group] },
                    { "id": OTHER },
                ]);
                whole(&queues)
            }
            _ if line.starts_with("GET /users/U/queues") => whole(&json!([])),
            "PATCH /users/U" => user("inactive", 8),
            "DELETE /tokens/U" => answer(200, json!({})),
            _ => not_found(),
        }
    }
}

#[tokio::test]
async fn a_user_shows_groups_roles_and_once_deleted_whether_conversations_are_found() {
    let server = serve(of_user("inactive")).await;
    let all = server.client.survey(Some(user_id())).await;
    assert_seen(&all, "state of the user", SeenWord::Fact, "inactive");
    assert_seen(&all, "genesys-4", SeenWord::Fact, "1 of 2");
    assert_seen(&all, "genesys-7", SeenWord::Unknown, "3 found");
    assert_seen(&all, "genesys-8", SeenWord::Fact, "inactive, with 2 roles");
    let text = format!("{all:?}");
    assert!(!text.contains("Secret") && !text.contains(QUEUE), "{text}");

    let all = serve(of_user("deleted"))
        .await
        .client
        .survey(Some(user_id()))
        .await;
    assert_seen(&all, "state of the user", SeenWord::Fact, "deleted");
    assert_seen(&all, "genesys-4", SeenWord::Unknown, "no list");
    assert_seen(&all, "genesys-7", SeenWord::Fact, "3 found");

    let nobody = serve(|asked| match asked.line.as_str() {
        "POST /analytics/conversations/details/query" => no_conversations(0),
        _ => not_found(),
    });
    let all = nobody.await.client.survey(Some(user_id())).await;
    assert_seen(
        &all,
        "state of the user",
        SeenWord::Unknown,
        "does not know",
    );
}

fn call(method: &str, path: &str, status: u16, note: Option<&str>) -> Call {
    Call {
        method: method.to_owned(),
        path: format!("/api/v2{path}"),
        status,
        at: Timestamp::UNIX_EPOCH,
        correlation_id: None,
        note: note.map(str::to_owned),
    }
}

#[tokio::test]
async fn only_for_an_inactive_user_are_writes_repeated_and_only_its_own() {
    let of_groups = Some(super::super::clearing::OF_GROUPS);
    let calls = [
        call(
            "DELETE",
            &format!("/routing/queues/{OTHER}/members/{OTHER}"),
            204,
            of_groups,
        ),
        call(
            "DELETE",
            &format!("/routing/queues/{QUEUE}/members/{ID}"),
            202,
            of_groups,
        ),
    ];
    let server = serve(of_user("active")).await;
    let all = server.client.repeat_writes(user_id(), &calls).await;
    assert_seen(
        &all,
        "a repeated deactivation",
        SeenWord::Unknown,
        "inactive",
    );
    assert_eq!(server.count("DELETE") + server.count("PATCH"), 0);

    let server = serve(of_user("inactive")).await;
    let all = server.client.repeat_writes(user_id(), &calls).await;
    assert_seen(&all, "genesys-5", SeenWord::Fact, "202");
    assert_seen(&all, "genesys-6", SeenWord::Unknown, "deletes nobody");
    assert_seen(
        &all,
        "taking away a membership twice",
        SeenWord::Fact,
        "202, and then 404",
    );
    assert_seen(&all, "deleting tokens twice", SeenWord::Fact, "200");
    assert_seen(&all, "a repeated deactivation", SeenWord::Fact, "200");
    assert_eq!(server.count(&format!("DELETE /routing/queues/{QUEUE}")), 1);
    assert_eq!(server.count("DELETE /users"), 0);
    assert_eq!(server.count(&format!("DELETE /routing/queues/{OTHER}")), 0);

    let none = server.client.repeat_writes(user_id(), &calls[..1]).await;
    assert_seen(&none, "genesys-5", SeenWord::Unknown, "in no queue");
    assert_seen(
        &none,
        "taking away a membership twice",
        SeenWord::Unknown,
        "no membership",
    );
}

//! What is read over the admin API besides lists: limits, the audit log by filters, what a text names, evidence.

use serde_json::{Value, json};

use super::{OPERATOR, READER, ask, audit_log, code, get, ids, post, signed, with_dead_letters};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, trial};

trial!(
    "limits, filters of the audit log, what a text names, and the evidence of a user are read over HTTP",
    read_over_http
);

fn read_over_http(place: usize) {
    let (world, worker) = with_dead_letters(place, 4, 2);
    let admin = worker.admin();
    assert_limits(&admin);
    assert_entries(&world, &admin);
    assert_found(&world, &admin);
    assert_evidence(&world, &admin);
    assert_about(&admin);
    World::drain(worker);
}

fn assert_limits(admin: &str) {
    eventually(PATIENCE, || {
        let limits = get(admin, "/api/v1/limits");
        let worker = &limits["workers"]["known"][0];
        let is_there = worker["ready"] == true
            && worker["stoppedBy"].is_null()
            && worker["lanes"]["access"]["slots"].as_u64() > Some(0)
            && limits["deletionRateLimit"]["allowed"] == 500
            && limits["deletionRateLimit"]["usersWaiting"] == 0;
        if is_there {
            Ok(())
        } else {
            Err(limits.to_string())
        }
    });
}

fn assert_entries(world: &World, admin: &str) {
    let user = world.users[3].id.as_str();
    for who in ["ada", "bob"] {
        for path in ["/api/v1/holds", "/api/v1/holds/remove"] {
            let mut body = signed(json!({ "users": [user] }));
            body["who"] = json!(who);
            post(admin, path, &body);
        }
    }
    let what = |query: &str| -> Vec<String> {
        let entries = audit_log(admin, query);
        let what = entries.iter().map(|entry| entry["what"].as_str());
        what.map(|what| what.expect("what").to_owned()).collect()
    };
    assert_eq!(what("?who=BOB"), ["hold remove", "hold add"]);
    assert_eq!(what("?what=hold%20add&who=ada"), ["hold add"]);
    assert_eq!(what(&format!("?user={user}")).len(), 4);
    assert!(what(&format!("?user={}", world.users[0].id)).is_empty());
    assert!(what("?until=1h").is_empty());
    assert_eq!(what("?since=1h&limit=3").len(), 3);

    let page = get(admin, "/api/v1/audit-log?limit=3");
    let next = page["nextCursor"].as_str().expect("a cursor");
    let rest = get(admin, &format!("/api/v1/audit-log?cursor={next}"));
    assert_eq!(list(&rest["acts"]).len(), 1);
    assert!(rest["nextCursor"].is_null(), "{rest}");
    let first = &page["acts"][0];
    let path = format!("/api/v1/audit-log/{}", first["id"].as_str().expect("an ID"));
    assert_eq!(&get(admin, &path), first);
    let none = "/api/v1/audit-log/01900000-0000-7000-8000-000000000000";
    let none = ask(READER, "GET", admin, none, None);
    assert_eq!(code(&none, 404), "no_such_entry");

    let of_command = world.audit_log(&["--who", "bob", "--what", "hold", "--user", user]);
    assert_eq!(of_command, audit_log(admin, "?who=bob"));
}

fn assert_found(world: &World, admin: &str) {
    let find = |q: &str| get(admin, &format!("/api/v1/find?q={q}"));
    let user = world.users[0].id.as_str();
    let found = find(user);
    assert_eq!(
        found["users"],
        json!([{ "userId": user, "state": "Received" }])
    );
    assert_eq!(found["letters"][0]["userId"], user);
    assert_eq!(found["notSearched"], json!([]), "{found}");

    let found = find(&user[..30]);
    let named: Vec<&Value> = list(&found["users"])
        .iter()
        .map(|one| &one["userId"])
        .collect();
    assert!(named.contains(&&json!(user)), "{found}");
    let left_out: Vec<&Value> = list(&found["notSearched"])
        .iter()
        .map(|one| &one["what"])
        .collect();
    assert!(left_out.contains(&&json!("dead letters")), "{found}");

    let id = &ids(&get(admin, "/api/v1/dead-letters")["letters"])[0];
    assert_eq!(&ids(&find(id)["letters"])[0], id);
    let entry = &ids(&get(admin, "/api/v1/audit-log")["acts"])[0];
    assert_eq!(find(entry)["auditLog"][0]["id"], json!(entry));
    assert_eq!(find("b-")["batches"][0]["batchId"], "b-1");
    let nothing = find("b-2");
    for kind in ["users", "batches", "letters", "auditLog"] {
        assert_eq!(nothing[kind], json!([]), "{nothing}");
    }
    let empty = ask(READER, "GET", admin, "/api/v1/find?q=", None);
    assert_eq!(code(&empty, 400), "bad_request");
}

fn assert_evidence(world: &World, admin: &str) {
    let user = world.users[3].id.as_str();
    let evidence = get(admin, &format!("/api/v1/users/{user}/evidence"));
    let manifest = &evidence["manifests"][0];
    let status = get(admin, &format!("/api/v1/users/{user}"));
    assert_eq!(
        manifest["sha256"], status["manifest"]["sha256"],
        "{evidence}"
    );
    assert_eq!(
        manifest["says"]["archive"]["sha256"],
        status["archive"]["sha256"]
    );
    assert!(
        manifest["says"]["archive"]["bytes"].as_u64() > Some(0),
        "{evidence}"
    );
    assert!(evidence["seals"][0]["sealedAt"].is_string(), "{evidence}");
    assert_eq!(evidence["otherArchives"], json!([]));

    let path = format!("/api/v1/users/{user}/verify");
    let verdict = ask(READER, "GET", admin, &path, None).expect(200);
    assert_eq!(
        (&verdict["ok"], &verdict["archives"]),
        (&json!(true), &json!(1)),
        "{verdict}"
    );
    let none = format!("/api/v1/users/{}/verify", world.users[0].id);
    assert_eq!(
        code(&ask(READER, "GET", admin, &none, None), 404),
        "no_evidence"
    );
}

fn assert_about(admin: &str) {
    let me = ask(READER, "GET", admin, "/api/v1/me", None).expect(200);
    assert_eq!(
        (&me["role"], &me["environment"]),
        (&json!("reader"), &Value::Null)
    );
    let shown = ask(READER, "GET", admin, "/api/v1/settings", None);
    let text_of_settings = shown.text();
    assert!(
        text_of_settings.contains("OFFBOARDER_ADMIN_TOKEN"),
        "{text_of_settings}"
    );
    assert!(!text_of_settings.contains(OPERATOR), "a secret is masked");

    let index = get(admin, "/api/v1");
    let paths: Vec<&str> = list(&index["links"])
        .iter()
        .filter_map(|link| link["path"].as_str())
        .collect();
    assert!(paths.contains(&"/api/v1/overview"), "{index}");
    let front = ask(READER, "GET", admin, "/", None).text();
    assert!(front.contains("/api/v1/openapi.json"), "{front}");
    let slash = ask(READER, "GET", admin, "/api/v1/", None);
    assert_eq!(
        (slash.status, slash.header("location")),
        (308, Some("/api/v1".to_owned()))
    );
    let nowhere = ask(READER, "GET", admin, "/nowhere", None);
    assert_eq!(code(&nowhere, 404), "not_found");

    for (body, says) in [
        (
            json!({ "kind": "replay", "all": true, "rate": "5", "who": "ada", "why": "x" }),
            "rate: give items per second",
        ),
        (
            json!({ "kind": "replay", "all": "yes", "who": "ada", "why": "x" }),
            "`all`: the text \"yes\" is not true or false",
        ),
        (
            json!({ "kind": "replay", "reasons": [], "who": "ada", "why": "x" }),
            "there is no `reasons`",
        ),
    ] {
        let refused = ask(OPERATOR, "POST", admin, super::OPERATIONS, Some(&body)).expect(422);
        let detail = refused["detail"].as_str().expect("a text");
        assert!(detail.contains(says), "{detail}");
    }
}

use serde_json::json;

use super::super::super::population::Record;
use super::{Answer, NOBODY, Tenant, USER, ids};

fn queues(joined: bool) -> String {
    format!("users/{USER}/queues?joined={joined}&pageSize=100&pageNumber=1")
}

async fn all_queues(tenant: &Tenant) -> Vec<String> {
    let mut all = ids(&tenant.get(&queues(true)).await);
    all.extend(ids(&tenant.get(&queues(false)).await));
    all
}

async fn remove(tenant: &Tenant, queue: &str) -> Answer {
    tenant
        .delete(&format!("routing/queues/{queue}/members/{USER}"))
        .await
}

fn in_groups(count: usize) -> Record {
    Record {
        queues: Some(0),
        skills: Some(0),
        group_queues: count,
        ..Record::default()
    }
}

#[tokio::test]
async fn queues_that_are_not_joined_show_only_when_asked_for() {
    let tenant = Tenant::with(Record {
        queues: Some(5),
        ..Record::default()
    });
    let default = ids(&tenant.get(&format!("users/{USER}/queues")).await);
    assert_eq!(default.len(), 3);
    assert_eq!(default, ids(&tenant.get(&queues(true)).await));
    assert_eq!(ids(&tenant.get(&queues(false)).await).len(), 2);
    assert_eq!(all_queues(&tenant).await.len(), 5);
    assert_eq!(tenant.last().operation, "list_queues");
}

#[tokio::test]
async fn a_list_has_pages() {
    let tenant = Tenant::with(Record {
        queues: Some(60),
        ..Record::default()
    });
    let first = tenant.get(&format!("users/{USER}/queues")).await.json();
    assert_eq!(
        (
            &first["pageSize"],
            &first["pageNumber"],
            &first["pageCount"],
            &first["total"]
        ),
        (&json!(25), &json!(1), &json!(2), &json!(30))
    );
    let next = first["nextUri"].as_str().unwrap();
    let second = tenant.get(next.strip_prefix("/api/v2/").unwrap()).await;
    assert_eq!(ids(&second).len(), 5);
    assert!(second.json()["nextUri"].is_null());
    assert!(second.json()["previousUri"].is_string());

    for wrong in [
        "pageSize=0",
        "pageSize=101",
        "pageNumber=0",
        "joined=yes",
        "page=1",
    ] {
        let answer = tenant.get(&format!("users/{USER}/queues?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(
        tenant.get(&format!("users/{NOBODY}/queues")).await.status,
        404
    );
}

#[tokio::test]
async fn a_user_is_taken_from_its_queues() {
    for (value, status) in [("no_content", 204), ("ok", 200)] {
        let tenant = Tenant::with(Record {
            queues: Some(3),
            skills: Some(0),
            ..Record::default()
        });
        tenant.set("remove_from_queue_answer", value);
        for queue in all_queues(&tenant).await {
            assert_eq!(remove(&tenant, &queue).await.status, status);
            assert!(tenant.last().applied);
            assert_eq!(tenant.last().user_id.as_deref(), Some(USER));
            assert_eq!(remove(&tenant, &queue).await.code(), "not.found");
        }
        assert!(all_queues(&tenant).await.is_empty());
        assert_eq!(tenant.now()["queues"], json!([]));
        assert_eq!(remove(&tenant, "q").await.status, 400);
    }
}

#[tokio::test]
async fn an_accepted_removal_takes_its_time() {
    let tenant = Tenant::with(Record::default());
    tenant.set("remove_from_queue_answer", "accepted");
    let queue = all_queues(&tenant).await.remove(0);
    assert_eq!(remove(&tenant, &queue).await.status, 202);
    assert!(all_queues(&tenant).await.contains(&queue));
}

#[tokio::test]
async fn queues_of_an_unseen_division_are_left_out_or_listed() {
    let tenant = Tenant::with(Record {
        queues: Some(0),
        unseen_queues: 1,
        ..Record::default()
    });
    assert!(all_queues(&tenant).await.is_empty());
    tenant.set("unseen_divisions", "listed");
    let queue = all_queues(&tenant).await.remove(0);
    assert_eq!(remove(&tenant, &queue).await.code(), "not.authorized");
}

#[tokio::test]
async fn a_membership_by_group_is_left_through_the_group() {
    let tenant = Tenant::with(in_groups(4));
    let queues = all_queues(&tenant).await;
    assert_eq!(queues.len(), 4);
    for (value, status) in [
        ("bad_request", 400),
        ("not_found", 404),
        ("conflict", 409),
        ("stays", 204),
    ] {
        tenant.set("remove_group_member", value);
        assert_eq!(remove(&tenant, &queues[0]).await.status, status);
        assert!(!tenant.last().applied);
        assert_eq!(all_queues(&tenant).await.len(), 4);
    }

    let groups = |kind: &str, list: &serde_json::Value| -> Vec<String> {
        let mut found: Vec<String> = list["entities"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|queue| queue["memberGroups"].as_array().unwrap())
            .filter(|group| group["type"] == kind)
            .map(|group| group["id"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found.dedup();
        found
    };
    // Those that are joined are the second queue of each group, without a group of others.
    let list = tenant.get(&self::queues(true)).await.json();
    let group = groups("GROUP", &list).remove(0);
    let team = groups("TEAM", &list).remove(0);
    let as_team = tenant
        .delete(&format!("teams/{group}/members?id={USER}"))
        .await;
    assert_eq!(as_team.status, 404);

    tenant.set("leave_group_answer", "ok");
    let left = tenant
        .delete(&format!("groups/{group}/members?ids={USER}"))
        .await;
    assert_eq!((left.status, left.text.as_str()), (200, "{}"));
    assert_eq!(tenant.last().user_id.as_deref(), Some(USER));
    assert_eq!(all_queues(&tenant).await.len(), 2);
    let left = tenant
        .delete(&format!("teams/{team}/members?id={USER}"))
        .await;
    assert_eq!((left.status, tenant.last().applied), (204, true));
    assert!(all_queues(&tenant).await.is_empty());
    assert_eq!(tenant.now()["groups"], json!([]));
    assert_eq!(tenant.now()["otherGroups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_membership_by_group_may_not_be_listed() {
    let tenant = Tenant::with(in_groups(2));
    tenant.set("group_queues", "left_out");
    assert!(all_queues(&tenant).await.is_empty());
    assert_eq!(tenant.now()["queues"].as_array().unwrap().len(), 2);
}

async fn leave(tenant: &Tenant, group: &str) -> Answer {
    tenant
        .delete(&format!("groups/{group}/members?ids={USER}"))
        .await
}

#[tokio::test]
async fn leaving_a_group_is_accepted_or_done() {
    for (value, status, left) in [("accepted", 202, 2), ("ok", 200, 0), ("no_content", 204, 0)] {
        let tenant = Tenant::with(in_groups(2));
        tenant.set("leave_group_answer", value);
        let group = tenant.now()["groups"][0].as_str().unwrap().to_owned();
        assert_eq!(leave(&tenant, &group).await.status, status);
        assert!(tenant.last().applied);
        assert_eq!(all_queues(&tenant).await.len(), left);
    }
    let tenant = Tenant::with(in_groups(2));
    let group = tenant.now()["groups"][0].as_str().unwrap().to_owned();
    for query in [
        "",
        "?ids=x",
        &format!("?ids={USER},{USER}"),
        &format!("?id={USER}"),
    ] {
        let answer = tenant
            .delete(&format!("groups/{group}/members{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(leave(&tenant, NOBODY).await.status, 404);
}

#[tokio::test]
async fn leaving_a_team_is_done_with_or_without_a_body() {
    for (value, status) in [("no_content", 204), ("ok", 200)] {
        let tenant = Tenant::with(in_groups(4));
        tenant.set("leave_team_answer", value);
        let team = tenant.now()["groups"][1].as_str().unwrap().to_owned();
        let left = tenant
            .delete(&format!("teams/{team}/members?id={USER}"))
            .await;
        assert_eq!(left.status, status);
        assert_eq!(all_queues(&tenant).await.len(), 2);
    }
}

#[tokio::test]
async fn a_group_whose_members_a_rule_selects_keeps_the_user() {
    let tenant = Tenant::with(Record {
        derived_membership: true,
        ..in_groups(2)
    });
    let group = tenant.now()["groups"][0].as_str().unwrap().to_owned();
    for (value, status) in [
        ("bad_request", 400),
        ("forbidden", 403),
        ("conflict", 409),
        ("stays", 202),
    ] {
        tenant.set("leave_rule_group", value);
        assert_eq!(leave(&tenant, &group).await.status, status);
        assert!(!tenant.last().applied);
        assert_eq!(all_queues(&tenant).await.len(), 2);
    }
}

#[tokio::test]
async fn a_group_of_others_is_left_in_three_ways() {
    let tenant = Tenant::with(in_groups(1));
    let list = tenant.get(&queues(false)).await.json();
    let group = list["entities"][0]["memberGroups"][0]["id"]
        .as_str()
        .unwrap();
    for (value, status) in [("done", 202), ("not_found", 404), ("bad_request", 400)] {
        tenant.set("leave_foreign_group", value);
        assert_eq!(leave(&tenant, group).await.status, status);
        assert!(!tenant.last().applied);
    }
}

#[tokio::test]
async fn skills_are_removed_by_an_empty_list() {
    let tenant = Tenant::with(Record {
        queues: Some(0),
        skills: Some(30),
        ..Record::default()
    });
    let path = format!("users/{USER}/routingskills");
    assert_eq!(ids(&tenant.get(&path).await).len(), 25);
    assert_eq!(
        ids(&tenant.get(&format!("{path}?pageSize=100")).await).len(),
        30
    );

    let bulk = format!("{path}/bulk");
    for wrong in [json!({}), json!([{"id": NOBODY, "proficiency": 1}])] {
        assert_eq!(tenant.ask("PUT", &bulk, Some(wrong)).await.status, 400);
    }
    assert_eq!(tenant.ask("PUT", &bulk, None).await.status, 400);
    let replaced = tenant.ask("PUT", &bulk, Some(json!([]))).await;
    assert_eq!((replaced.status, ids(&replaced).len()), (200, 0));
    assert!(tenant.last().applied);
    assert!(ids(&tenant.get(&path).await).is_empty());
    assert_eq!(tenant.now()["queues"], json!([]));
}

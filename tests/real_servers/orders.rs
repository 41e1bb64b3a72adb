//! Orders of `submit`: what is stored, which messages name it, and messages that claim an order they are not in.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::population::deletable;
use crate::support::s3_proxy::S3Proxy;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{ledger, list, promises, trial};

const ORDER: &str = "offboarding-order";
const QUEUE: &str = "offboarding.users";
/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

trial!(
    "who is ordered is stored before the first message, and a message that claims an order it is not in is held",
    claims
);

fn claims(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    world.set("OFFBOARDER_INTEGRITY_KEY", &"k".repeat(32));
    let s3 = S3Proxy::before(&mut world);
    let name = order_two(&world);
    let altered = order_of(&world, 2);
    let key = format!("_order_{altered}.json");
    let stored = world.objects().text(&key);
    let id = |user: usize| world.users[user].id.clone();
    world.objects().put(&key, stored.replace(&id(2), &id(3)));

    // A stranger who has seen the name claims it for somebody else, and another claims an order that nobody gave.
    let claim = |user: usize, order: &str| json!({ "body": id(user), "headers": { ORDER: order } });
    world.publish(&[
        claim(3, &altered),
        claim(4, &name),
        claim(5, &"0".repeat(64)),
        claim(5, "no name"),
    ]);
    // What `submit` read back does not count.
    let at_start = s3.requests().len();
    let worker = world.start(&["worker"]);
    let dead_letters = world.await_dead_letters(5);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    assert_held(&world, &dead_letters);
    let reads = s3.requests().split_off(at_start);
    let reads = reads
        .iter()
        .filter(|one| one.starts_with("GET") && one.contains(&name));
    assert_eq!(reads.count(), 1, "one read for all users of the order");
    world.assert_exist(&[
        (0, false),
        (1, false),
        (2, true),
        (3, true),
        (4, true),
        (5, true),
    ]);
    for user in 0..2 {
        let manifest = world.objects().text(&format!("{}_audit.json", id(user)));
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        assert_eq!(manifest["request"]["order"], name);
    }
    assert_only_one_order_is_odd(&world);

    // The words of a person who looks.
    let groups = world.json(&["dead-letters", "groups"], 0).to_string();
    assert!(groups.contains("not_in_order"), "{groups}");
    let replay = [
        "dead-letters",
        "replay",
        "--user",
        &id(4),
        "--why",
        "again",
        "--yes",
    ];
    world.run(&replay);
    assert_eq!(world.user_now(&id(4))["active"], true);
}

/// The order that was changed is a finding of `verify`, and nothing else is.
fn assert_only_one_order_is_odd(world: &World) {
    let report = world.json(&["verify", "--all"], 1);
    assert_eq!(report["totals"]["bad"], 0, "{report:#}");
    let faults = list(&report["orders"]["faults"]);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    let fault = faults[0].as_str().expect("a text");
    assert!(fault.contains("changed"), "{fault}");
}

/// Orders the first two users by a file, and checks what is stored and sent.
fn order_two(world: &World) -> String {
    let [one, other] = [0, 1].map(|user| world.users[user].id.as_str());
    let file = world.write("leavers.csv", &format!("userId\n{one}\n{other}\n"));
    let submit = ["submit", "--file", &file, "--reason", "case 4711"];
    let sent = world.json(&submit, 0);
    let messages = world.messages(QUEUE);
    let name = messages[0]["headers"][ORDER].as_str().expect("an order");
    assert_eq!(messages[1]["headers"][ORDER], name);

    let stored = world.objects().text(&format!("_order_{name}.json"));
    let stored: Value = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(stored["id"], sent["order"]);
    assert_eq!(stored["ids"], json!([one, other]));
    assert_eq!(
        (&stored["users"], &stored["why"]),
        (&json!(2), &json!("case 4711"))
    );
    let file = std::fs::read(&file).expect("the file");
    assert_eq!(stored["fileSha256"], hex::encode(Sha256::digest(file)));
    name.to_owned()
}

/// Orders one user.
fn order_of(world: &World, user: usize) -> String {
    let before = world.messages(QUEUE).len();
    let id = &world.users[user].id;
    world.run(&["submit", id]).expect(0);
    let messages = world.messages(QUEUE);
    assert_eq!(messages.len(), before + 1);
    let name = messages[before]["headers"][ORDER].as_str();
    name.expect("an order").to_owned()
}

/// Each claim says why it is not followed, and nobody was called because of one.
fn assert_held(world: &World, dead_letters: &[Value]) {
    let error = |one: &Value| one["headers"]["x-offboarder-error"].to_string();
    for (user, why) in [
        (2, "was changed since"),
        (3, "was changed since"),
        (4, "does not name this user"),
        (5, "is not there"),
        (5, "header offboarding-order"),
    ] {
        let id = &world.users[user].id;
        let of_user = dead_letters
            .iter()
            .filter(|one| one["body"].to_string().contains(id));
        let errors: Vec<String> = of_user.map(error).collect();
        assert!(
            errors.iter().any(|error| error.contains(why)),
            "{user}: {errors:?}"
        );
        assert_eq!(ledger::writes_of(&world.simulator, id), 0);
        assert_eq!(world.user_now(id)["active"], true);
    }
}

trial!("an order that cannot be stored is not sent", not_stored);

fn not_stored(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    let id = world.users[0].id.clone();
    let endpoint = world.setting("AWS_ENDPOINT_URL_S3").to_owned();
    world.set("AWS_ENDPOINT_URL_S3", NOWHERE);
    let refused = world.run(&["submit", &id]).expect(3).errors;
    assert!(
        refused.contains("the order cannot be stored, and nothing was sent"),
        "{refused}"
    );
    assert_eq!(world.depth(QUEUE), Some(0));

    world.set("AWS_ENDPOINT_URL_S3", &endpoint);
    world.run(&["submit", &id]).expect(0);
    assert_eq!((world.depth(QUEUE), world.depth(DEAD)), (Some(1), Some(0)));
}

//! What a reactivation gives back at the APIs of NICE and of Genesys.

use serde_json::{Value, json};

use super::{files, scenario, users};
use crate::support::list;
use crate::support::profile::Profile;
use crate::support::world::World;

scenario!(
    "a user who was off-boarded by mistake gets back what the API can give back, and the rest is listed",
    undo,
    on_request = false,
    seconds = 10
);

fn routing(world: &World) -> Value {
    let now = world.user_now(&world.users[0].id);
    let sorted = |member: &str| {
        let mut values = list(&now[member]).clone();
        values.sort_by_key(Value::to_string);
        Value::from(values)
    };
    json!({
        "active": now["active"], "queues": sorted("queues"), "groups": sorted("groups"),
        "accessKeys": sorted("accessKeys"),
    })
}

fn undo(profile: Profile, place: usize) {
    let mut world = files(profile, place, users(profile, place, 1), &[]);
    world.set("OFFBOARDER_GUARD_DELETE", "never");
    world.set("OFFBOARDER_GUARD_DELETE_GRACE", "1h");
    let before = routing(&world);
    let id = world.users[0].id.clone();
    world.run(&["run", &id]).expect(0);
    let taken = routing(&world);
    assert_eq!(taken["active"], false);
    assert_eq!(
        [&taken["queues"], &taken["groups"]],
        [&json!([]), &json!([])]
    );

    // Genesys Cloud takes the roles for good.
    let is_lossy = profile == Profile::Genesys;
    let code = i32::from(is_lossy);
    let report = world.json(&["reactivate", &id, "--why", "a mistake"], code);
    let user = &report["users"][0];
    assert_eq!(user["notGivenBack"], json!([]), "{report:#}");
    assert_eq!(
        list(&user["lost"]).len(),
        usize::from(is_lossy),
        "{report:#}"
    );
    assert_eq!(routing(&world), before, "{report:#}");
    let again = world.json(&["reactivate", &id, "--why", "a mistake"], 0);
    assert_eq!(again["users"][0]["outcome"], "already_reactivated");
}

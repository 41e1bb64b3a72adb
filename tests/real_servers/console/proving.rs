//! The evidence that the console shows, checks, and gives as a file.

use super::{get, page, post_as};
use crate::evidence_log::switch_on;
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "the console shows the evidence log, gives a proof that is checked offline, and checks what is stored",
    proving
);

fn proving(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 2, 2));
    let verifier = switch_on(&mut world);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    world.publish_users(&world.users);
    for user in &world.users {
        world.await_deleted(&user.id);
    }
    let user = world.users[0].id.as_str();

    let proof = eventually(PATIENCE, || {
        let proof = get(&admin, &format!("/users/{user}/proof"), &[]);
        if proof.status == 200 {
            Ok(proof.text())
        } else {
            Err(proof.text())
        }
    });
    let file = world.write("leaver.json", &proof);
    let policy = format!("log {verifier}\nquorum none\n");
    let policy = world.write("policy", &policy);
    let arguments = ["evidence", "verify", file.as_str(), "--policy", &policy];
    let checked = world.run(&arguments).expect(0).output;
    assert!(checked.contains("proved"), "{checked}");

    let shown = page(&admin, "/evidence");
    for expected in ["leaves, the last step was made", verifier.as_str()] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let again = page(&admin, &format!("/users/{user}/evidence"));
    assert!(again.contains("Nothing contradicts itself."), "{again}");

    let form = [("rate", "50/s"), ("who", "ada"), ("why", "the audit")];
    let begun = post_as(&admin, "/evidence/verify", ("Accept", "text/html"), &form);
    begun.expect_status(303);
    let operation = begun.header("location").expect("a location");
    eventually(PATIENCE, || {
        let shown = page(&admin, &operation);
        let is_done = shown.contains("Done: 2 of 2") && shown.contains("2 without a finding");
        is_done.then_some(()).ok_or(shown)
    });
    assert!(page(&admin, "/evidence").contains(&operation));
    World::drain(worker);
}

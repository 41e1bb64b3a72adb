//! The population report, from a bucket and from a download of it.

use serde_json::Value;

use crate::support::population::{Outcome, User};
use crate::support::world::World;
use crate::support::{list, trial};

trial!(
    "the report shows each leaver of a period from the bucket or from a download, and finds what was removed",
    a_period
);

fn a_period(place: usize) {
    let users = (0..5)
        .map(|number| User::new(place, number, Outcome::Deleted, number))
        .collect();
    let mut world = World::new(place, users);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    world
        .run(&["hold", "add", &ids[4], "--why", "case 4711", "--yes"])
        .expect(0);
    let mut run = vec!["run", "--action", "delete", "--batch-id", "q4"];
    run.extend(["--requested-by", "hr", "--reason", "=left"]);
    run.extend(ids.iter().map(String::as_str));
    world.run(&run).expect(0);

    let live = world.json(&["report", "--since", "2020-01-01"], 0);
    assert_all_are_there(&live, &ids);
    assert_eq!(list(&live["checked"]).len(), 3);
    let late = world.json(&["report", "--since", "2020-01-01", "--sla", "0s"], 0);
    assert_eq!(late["totals"]["accessGone"]["late"], 5);
    let nobody = world.json(&["report", "--since", "2020-01-01", "--batch", "q3"], 1);
    assert_eq!(nobody["totals"]["asked"], 0);
    let nobody = ["report", "--since", "2020-01-01", "--until", "2020-12-31"];
    assert_eq!(list(&world.json(&nobody, 1)["users"]).len(), 0);

    let csv = world.run(&["report", "--since", "2020-01-01"]).expect(0);
    assert_eq!(csv.output.lines().count(), 6, "{}", csv.output);
    assert!(csv.output.contains(",hr,'=left,q4,"), "{}", csv.output);
    let html = ["report", "--since", "2020-01-01", "--output", "html"];
    let page = world.run(&html).expect(0).output;
    assert!(page.contains("5 asked for: access gone within the target 5, late 0, unknown 0"));

    assert_download(&mut world, &ids);
}

fn assert_all_are_there(report: &Value, ids: &[String]) {
    let users = list(&report["users"]);
    assert_eq!(users.len(), ids.len(), "{report:#}");
    assert!(
        users.iter().all(|user| user["checked"] == "ok"),
        "{report:#}"
    );
    let held = |user: &&Value| user["userId"] == ids[4];
    let held = users.iter().find(held).expect("a row");
    assert_eq!(held["deletion"], "held");
    assert_eq!(held["hold"]["why"], "case 4711");
    let totals = &report["totals"];
    assert_eq!(totals["outcomes"]["deleted"], 4);
    assert_eq!(totals["accessGone"]["withinTarget"], 5);
    assert_eq!(totals["onHold"], 1);
}

/// The same of a download without any service; then objects are removed, first there and then in the bucket.
fn assert_download(world: &mut World, ids: &[String]) {
    let download = world.directory.path().join("download");
    world.objects().download(&download);
    let folder = download.display().to_string();
    let url = world.setting("OFFBOARDER_ARCHIVE_URL").to_owned();
    let endpoint = world.setting("AWS_ENDPOINT_URL_S3").to_owned();
    world.set("OFFBOARDER_ARCHIVE_URL", "nowhere");
    world.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let of_download = ["report", "--since", "2020-01-01", "--folder", &folder];
    let report = world.json(&of_download, 0);
    assert_all_are_there(&report, ids);
    assert_eq!(
        list(&report["checked"]).len(),
        2,
        "a download has no markers"
    );

    world.set("OFFBOARDER_ARCHIVE_URL", &url);
    world.set("AWS_ENDPOINT_URL_S3", &endpoint);
    world.objects().delete(&format!("{}_audit.json", ids[0]));
    world.objects().delete(&format!("{}.json", ids[1]));
    let report = world.json(&["report", "--since", "2020-01-01"], 1);
    let found: Vec<_> = list(&report["users"])
        .iter()
        .filter(|user| user["checked"] == "not_ok")
        .map(|user| user["userId"].as_str().expect("an ID"))
        .collect();
    assert_eq!(found, [ids[0].as_str(), ids[1].as_str()]);
    assert_eq!(report["totals"]["asked"], 5);
}

//! A file as HR exports it, from `submit` to the report.

use serde_json::Value;

use crate::support::list;
use crate::support::population::{deletable, user_id};
use crate::support::promises;
use crate::support::trial;
use crate::support::world::{PATIENCE, World};

trial!(
    "a file as HR exports it is off-boarded, and what is wrong in it is left out and named",
    an_export
);

fn an_export(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 5, 2));
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let protected = world.write("protected.txt", &format!("{}\n", ids[3]));
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    let file = write_export(&world, &ids);
    let submit = [
        "submit",
        "--file",
        &file,
        "--batch-id",
        "q4",
        "--reason",
        "all",
    ];

    let refused = world.run(&submit).expect(2);
    for says in [
        "2 faults in the input; nothing was sent",
        "line 4: ",
        "line 5: ",
    ] {
        assert!(refused.errors.contains(says), "{}", refused.errors);
    }
    assert_eq!(world.queues_in_use(), Vec::<String>::new());

    let rejects = world.directory.path().join("rejects.csv");
    let rejects = rejects.display().to_string();
    let skipping = [&submit[..], &["--skip-invalid", "--rejects", &rejects]].concat();
    let sent = world.run(&skipping).expect(1);
    for says in [
        "4 sent now to offboarding.users\n",
        "kept for `batch report`: Name, E-Mail, Team\n",
        "2 lines were rejected: see ",
    ] {
        assert!(sent.output.contains(says), "{says} in {}", sent.output);
    }
    for says in [
        "1 line names a user who was named before",
        "reason of the file wins over --reason",
    ] {
        assert!(sent.errors.contains(says), "{says} in {}", sent.errors);
    }
    assert_rejects(&std::fs::read_to_string(&rejects).expect("rejects"), &ids);
    let overwriting = world.run(&skipping).expect(2);
    assert!(
        overwriting.errors.contains("the file exists"),
        "{}",
        overwriting.errors
    );

    let again = world
        .run(&["submit", &ids[0], "--batch-id", "q4"])
        .expect(0);
    let says = "0 sent now to offboarding.users, 1 was sent before with this batch ID";
    assert!(again.output.contains(says), "{}", again.output);

    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_reported(&world, &ids);
}

/// UTF-16 with tabs, as a spreadsheet saves "Unicode text".
fn write_export(world: &World, ids: &[String]) -> String {
    let braces = format!("{{{}}}", ids[0].to_uppercase());
    let bare = ids[1].replace('-', "");
    let rows = [
        "User ID\tName\tE-Mail\tTeam\tReason".to_owned(),
        format!("{braces}\tJosé\tjose@example.com\tSales\tleft"),
        format!(" {bare} \t=1+1\t\tSales\t"),
        "4711\tKim\tkim@example.com\tSales\t".to_owned(),
        format!("{}\tCEO\t\t\t", ids[3]),
        format!("{}\tΜαρία\t\tΑθήνα\t", ids[2]),
        format!("{}\tJosé\t\t\t", ids[0]),
        format!("{}\t\t\t\t", ids[4]),
    ];
    let text = format!("\u{feff}{}\r\n", rows.join("\r\n"));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path = world.directory.path().join("export.txt");
    std::fs::write(&path, bytes).expect("the file is written");
    path.display().to_string()
}

fn assert_rejects(rejects: &str, ids: &[String]) {
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines.len(), 3, "{rejects}");
    assert_eq!(lines[0], "line,input,why");
    assert!(
        lines[1].starts_with("4,") && lines[1].contains("4711"),
        "{rejects}"
    );
    assert!(lines[1].contains("is not a user ID"), "{rejects}");
    assert!(
        lines[2].starts_with("5,") && lines[2].contains(&ids[3]),
        "{rejects}"
    );
    assert!(lines[2].contains("protected list"), "{rejects}");
}

fn assert_reported(world: &World, ids: &[String]) {
    let report = world.json(&["batch", "report", "q4"], 0);
    let users = list(&report["users"]);
    assert_eq!(users.len(), 4);
    let of = |id: &str| {
        users
            .iter()
            .find(|user| user["userId"] == id)
            .expect("a row")
    };
    assert!(
        users.iter().all(|user| user["result"] == "finished"),
        "{report}"
    );
    assert_eq!(of(&ids[0])["columns"]["Name"], "José");
    assert_eq!(of(&ids[0])["reason"], "left");
    assert_eq!(of(&ids[1])["reason"], "all");
    assert_eq!(of(&ids[2])["columns"]["Team"], "Αθήνα");
    assert_eq!(of(&ids[4])["columns"], Value::Null);

    let csv = world.run(&["batch", "report", "q4"]).expect(0).output;
    let header = csv.lines().next().expect("a header");
    assert!(
        header.ends_with(",manifestSha256,file.Name,file.E-Mail,file.Team"),
        "{header}"
    );
    assert!(csv.contains(",José,jose@example.com,Sales\n"), "{csv}");
    assert!(csv.contains(",'=1+1,,Sales\n"), "no formula: {csv}");
}

trial!(
    "ten thousand rows are checked, and a plan prints its cost and each row",
    ten_thousand
);

fn ten_thousand(place: usize) {
    const MANY: usize = 10_000;
    const PLANNED: usize = 100;
    let mut world = World::with_topology(place, Vec::new());
    world.set("OFFBOARDER_CXONE_RATE_ANALYTICS", "5/s");
    let rows: Vec<String> = (0..MANY)
        .map(|number| format!("{};Jo;Sales\n", user_id(place, number)))
        .collect();
    let export =
        |header: &str, count: usize| format!("{header};Name;Team\n{}", rows[..count].concat());

    let file = world.write("many.csv", &export("User ID", MANY));
    let sent = world.json(&["submit", "--file", &file, "--dry-run"], 0);
    assert_eq!(list(&sent["messages"]).len(), MANY);
    let file = world.write("some.csv", &export("User ID", PLANNED));
    let planned = world.json(&["plan", "--file", &file], 1);
    assert_eq!(list(&planned["users"]).len(), PLANNED);
    assert_eq!(planned["total"]["notFound"], PLANNED);
    assert_eq!(planned["cost"]["atLeastSeconds"], 20.0);
    let printed = world.run(&["plan", "--file", &file]).expect(1).output;
    assert!(
        printed.starts_with("100 users, about 20 s at 5/s (analytics calls)"),
        "{printed}"
    );

    let broken = world.write("broken.csv", &export("Staff", MANY));
    let refused = world.run(&["plan", "--file", &broken]).expect(2).errors;
    assert!(
        refused.contains("1 fault in the input; nothing was planned"),
        "{refused}"
    );
    assert!(!refused.contains("sent"), "{refused}");
    let wrong = world.write("wrong.txt", &"x\n".repeat(MANY));
    let refused = world.json(&["submit", "--file", &wrong, "--dry-run"], 2);
    assert_eq!(refused["faultsTotal"], MANY);
    assert_eq!(list(&refused["faults"]).len(), 20);
}

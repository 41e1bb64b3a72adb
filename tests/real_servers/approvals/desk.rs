//! Plans, approvals and orders as commands store them, written by a second implementation. The deployment has no
//! integrity key, so that no record needs a code.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, failpoint, list};

const PEOPLE: &str = "people = [
    { name = 'ada', role = 'operator' }, { name = 'olga', role = 'operator' },
    { name = 'bob', role = 'approver' }, { name = 'carol', role = 'approver' },
    { name = 'dora', role = 'admin',
      break_glass_key_sha256 = '00000000000000000000000000000000000000000000000000000000000000aa' },
]";

/// Ada makes plans, Olga sends them, and Bob, Carol and Dora may approve.
pub(super) struct Desk {
    pub(super) world: World,
}

impl Desk {
    /// What a minute is otherwise, is two seconds here.
    pub(super) fn new(place: usize, users: usize, needed: &str) -> Self {
        let mut world = World::with_topology(place, deletable(place, users, 2));
        let file = world.write("people.toml", PEOPLE);
        world.set("OFFBOARDER_ADMIN_PEOPLE", &file);
        world.set("OFFBOARDER_GUARD_APPROVAL", needed);
        world.set(failpoint::TIME_SCALE, "30");
        Self { world }
    }

    pub(super) fn worker(&self) -> Process {
        let worker = self.world.start(&["worker"]);
        worker.await_ready();
        worker
    }

    pub(super) fn leave(&self, name: &str) {
        self.world
            .write("people.toml", &PEOPLE.replace(name, "somebody"));
    }

    pub(super) fn come_back(&self) {
        self.world.write("people.toml", PEOPLE);
    }

    pub(super) fn id(&self, user: usize) -> &str {
        &self.world.users[user].id
    }

    /// Stores a plan that deletes the first users.
    pub(super) fn plan(&self, users: usize) -> String {
        self.plan_of(0..users)
    }

    pub(super) fn plan_of(&self, users: Range<usize>) -> String {
        let mut ids: Vec<&str> = users.map(|user| self.id(user)).collect();
        let users = ids.len();
        ids.sort_unstable();
        let rows: Vec<Value> = ids
            .iter()
            .map(|id| {
                let name = format!("agent-{}-{}@sim.example", &id[..8], &id[24..]);
                json!({ "userId": id, "end": "delete", "observed": {
                    "active": true, "userName": name, "queues": [], "incarnation": 1,
                } })
            })
            .collect();
        let part = self.named("_plan_part_", &json!({ "users": rows }));
        let totals = json!({
            "users": users, "delete": users, "deactivateOnly": 0, "held": 0, "protected": 0, "done": 0, "notFound": 0,
        });
        let parts = json!([{ "name": part, "first": ids[0], "users": users }]);
        self.store_plan(&json!({ "kind": "users", "totals": totals, "parts": parts }))
    }

    /// Stores a plan with these members besides the usual ones.
    pub(super) fn store_plan(&self, members: &Value) -> String {
        let url = self.world.setting("OFFBOARDER_CXONE_BASE_URI");
        let tenant = url.trim_end_matches('/');
        let mut plan = json!({
            "schema": 1, "tenant": tenant, "by": "ada", "at": now(), "expires": now(),
            "settings": {
                "profile": "tutorial", "deletes": true, "graceSeconds": 0, "maxDeletions": 500,
                "maxDeletionsSeconds": 3600, "protectedSha256": "",
            },
        });
        for (name, value) in members.as_object().expect("an object") {
            plan[name] = value.clone();
        }
        self.named("_plan_", &plan)
    }

    /// Stores an object that is named by its digest.
    fn named(&self, prefix: &str, document: &Value) -> String {
        let bytes = serde_json_canonicalizer::to_vec(document).expect("JSON");
        let name = hex::encode(Sha256::digest(&bytes));
        self.world
            .objects()
            .put(&format!("{prefix}{name}.json"), bytes);
        name
    }

    /// Stores what a person decided, for example `approval.1`.
    pub(super) fn decide(&self, plan: &str, what: &str, person: &str) {
        self.put_act(plan, what, &act(person));
    }

    pub(super) fn put_act(&self, plan: &str, what: &str, act: &Value) {
        let key = format!("_plan_{plan}.{what}.json");
        self.world.objects().put(&key, act.to_string());
    }

    /// Sends a message of an order that names one user and a plan.
    pub(super) fn send(&self, user: usize, plan: Option<&str>) {
        let mut order = json!({
            "id": uuid::Uuid::now_v7(), "at": now(), "who": "olga@host", "person": "olga",
            "queue": "offboarding.users", "users": 1, "idsSha256": "", "number": 1, "parts": 1,
            "ids": [self.id(user)],
        });
        if let Some(plan) = plan {
            order["plan"] = json!(plan);
        }
        let name = self.named("_order_", &order);
        let headers = json!({ "offboarding-order": name });
        self.world
            .publish(&[json!({ "body": self.id(user), "headers": headers })]);
    }

    /// Waits until that many users wait for this word, each archived and without access.
    pub(super) fn await_waiting(&self, word: &str, count: usize) {
        let arguments = ["users", "list", "--waiting-for", word];
        eventually(PATIENCE, || {
            let listed = self.world.json(&arguments, 0);
            let users = list(&listed["users"]);
            let archived = users.iter().all(|user| user["state"] == "Archived");
            if users.len() == count && archived {
                Ok(())
            } else {
                Err(listed.to_string())
            }
        });
    }

    /// Waits until exactly these users wait for this word.
    pub(super) fn await_waiting_users(&self, word: &str, expected: &[&str]) {
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        let arguments = ["users", "list", "--waiting-for", word];
        eventually(PATIENCE, || {
            let listed = self.world.json(&arguments, 0);
            let users = list(&listed["users"]);
            let waiting: BTreeSet<&str> = users
                .iter()
                .filter_map(|user| user["userId"].as_str())
                .collect();
            (waiting == expected)
                .then_some(())
                .ok_or_else(|| format!("{word}: {listed}, and not {expected:?}"))
        });
    }

    pub(super) fn manifest(&self, user: usize) -> Value {
        let key = format!("{}_audit.json", self.id(user));
        // It comes after the DELETE.
        let stored = eventually(PATIENCE, || {
            let stored = self.world.objects().get(&key);
            stored.ok_or_else(|| format!("there is no {key}"))
        });
        serde_json::from_slice(&stored).expect("JSON")
    }
}

pub(super) fn act(person: &str) -> Value {
    json!({ "person": person, "role": "approver", "signedInBy": "key", "count": 1, "at": now() })
}

pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

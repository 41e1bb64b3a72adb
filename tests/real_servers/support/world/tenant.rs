//! The users of a trial at the simulator: which calls it had about them, and which of them fail.

use serde_json::{Value, json};

use super::{PATIENCE, World};
use crate::support::population::User;
use crate::support::{eventually, http, ledger};

impl World {
    /// Waits until the simulator has answered this many calls of an operation.
    pub(crate) fn await_calls(&self, operation: &str, count: usize) {
        eventually(PATIENCE, || {
            match ledger::count(&self.simulator, operation) {
                calls if calls >= count => Ok(()),
                calls => Err(format!("{calls} calls of {operation} instead of {count}")),
            }
        });
    }

    /// Waits until the evidence of all these users is sealed.
    pub(crate) fn await_sealed(&self, users: &[User]) {
        eventually(PATIENCE, || {
            let is_missing =
                |user: &&User| !self.objects().exists(&format!("{}_sealed.json", user.id));
            match users.iter().find(is_missing) {
                None => Ok(()),
                Some(user) => Err(format!("{} is not sealed", user.id)),
            }
        });
    }

    /// Waits until a user does not exist any more.
    pub(crate) fn await_deleted(&self, id: &str) {
        eventually(PATIENCE, || {
            if self.user_now(id)["exists"] == false {
                Ok(())
            } else {
                Err(format!("{id} still exists"))
            }
        });
    }

    /// How many DELETEs of a user the simulator has answered.
    pub(crate) fn deletions(&self) -> usize {
        ledger::count(&self.simulator, "delete_user")
    }

    /// How many of them the simulator accepted.
    pub(crate) fn accepted_deletions(&self) -> usize {
        let calls = ledger::calls(&self.simulator).into_iter();
        let deletions = calls.filter(|call| call.is("delete_user"));
        deletions.filter(ledger::Call::was_accepted).count()
    }

    /// How many calls changed something.
    pub(crate) fn changes(&self) -> usize {
        let calls = ledger::calls(&self.simulator).into_iter();
        calls.filter(|call| call.applied).count()
    }

    /// Asserts which users, by their number, exist now.
    #[track_caller]
    pub(crate) fn assert_exist(&self, expected: &[(usize, bool)]) {
        for (user, exists) in expected {
            let now = self.user_now(&self.users[*user].id);
            assert_eq!(now["exists"], *exists, "user {user}");
        }
    }

    /// Asks the simulator to do something wrong with calls about a user.
    pub(crate) fn strike(
        &self,
        user: usize,
        operation: &str,
        skip: u32,
        times: u32,
        fault: &Value,
    ) {
        let rule = json!({
            "operation": operation, "user": self.users[user].id, "skip": skip, "times": times, "fault": fault,
        });
        http::request("POST", &self.simulator, "/_simulator/faults", Some(&rule));
    }

    /// Ends every fault that the simulator was asked for.
    pub(crate) fn end_faults(&self) {
        http::request("DELETE", &self.simulator, "/_simulator/faults", None);
    }

    /// Makes calls of an operation go wrong, about whatever user; `*` is every operation.
    pub(crate) fn strike_all(&self, operation: &str, fault: &Value) {
        let rule = json!({ "operation": operation, "fault": fault });
        http::request("POST", &self.simulator, "/_simulator/faults", Some(&rule));
    }

    /// The same, once.
    pub(crate) fn strike_once(&self, operation: &str, fault: &Value) {
        let rule = json!({ "operation": operation, "times": 1, "fault": fault });
        http::request("POST", &self.simulator, "/_simulator/faults", Some(&rule));
    }

    /// Sets a switch of the simulator for what no public source says.
    pub(crate) fn set_unknown(&self, name: &str, value: &str) {
        let switches = json!({ name: value });
        http::request(
            "PUT",
            &self.simulator,
            "/_simulator/unknowns",
            Some(&switches),
        );
    }

    /// Puts a user into the simulator, in place of the one that it has.
    pub(crate) fn put_user(&self, id: &str, record: &Value) {
        let path = format!("/_simulator/users/{id}");
        http::request("PUT", &self.simulator, &path, Some(record));
    }

    /// A user as the simulator has it now.
    pub(crate) fn user_now(&self, id: &str) -> Value {
        http::request(
            "GET",
            &self.simulator,
            &format!("/_simulator/users/{id}"),
            None,
        )
    }
}

//! What the grants of our own client allow: each permission that a run needs, and in which divisions.

use std::collections::BTreeSet;

use serde::Deserialize;

/// What a run calls; of a list any one is enough.
const NEEDED: [&[&str]; 7] = [
    &["directory:user:edit"],
    &["routing:queue:view"],
    &["routing:queueMember:manage", "routing:queue:edit"],
    &["routing:skill:assign"],
    &["groups:team:assign"],
    &["oauth:token:delete"],
    &[
        "analytics:conversationDetail:view",
        "analytics:agentConversationDetail:view",
    ],
];
/// Only a run that deletes calls it.
const DELETES: &[&str] = &["directory:user:delete"];

#[derive(Deserialize)]
pub(super) struct Grants {
    grants: Vec<Grant>,
}

#[derive(Deserialize)]
struct Grant {
    division: Option<Division>,
    role: Option<Role>,
}

#[derive(Deserialize)]
struct Division {
    id: String,
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    domain: String,
    entity_name: String,
    actions: Vec<String>,
    #[serde(default)]
    condition: Option<serde_json::Value>,
}

/// Where a permission is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Nowhere,
    SomeDivisions(usize),
    AllDivisions,
}

impl Grants {
    pub(super) fn count(&self) -> usize {
        self.grants.len()
    }

    /// What is needed, by its usual name, and where it is granted.
    pub(super) fn needed(&self) -> Vec<(&'static str, Reach)> {
        NEEDED
            .iter()
            .filter_map(|any| Some((*any.first()?, self.reach(any))))
            .collect()
    }

    pub(super) fn deletes(&self) -> Reach {
        self.reach(DELETES)
    }

    fn reach(&self, any: &[&str]) -> Reach {
        let divisions: BTreeSet<&str> = self
            .grants
            .iter()
            .filter(|grant| any.iter().any(|permission| grant.allows(permission)))
            .filter_map(|grant| Some(grant.division.as_ref()?.id.as_str()))
            .collect();
        match divisions.len() {
            0 => Reach::Nowhere,
            _ if divisions.contains("*") => Reach::AllDivisions,
            count => Reach::SomeDivisions(count),
        }
    }
}

impl Grant {
    /// A policy under a condition does not count: for whom it holds, is not known here.
    fn allows(&self, permission: &str) -> bool {
        let mut parts = permission.splitn(3, ':');
        let (Some(domain), Some(entity), Some(action)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let is = |granted: &str, needed: &str| granted == "*" || granted == needed;
        self.role
            .iter()
            .flat_map(|role| &role.policies)
            .filter(|policy| policy.condition.is_none())
            .any(|policy| {
                is(&policy.domain, domain)
                    && is(&policy.entity_name, entity)
                    && policy.actions.iter().any(|one| is(one, action))
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn grants(of: &[(&str, Value)]) -> Grants {
        let grants: Vec<Value> = of
            .iter()
            .map(|(division, policy)| {
                json!({ "division": { "id": division }, "role": { "policies": [policy] } })
            })
            .collect();
        serde_json::from_value(json!({ "grants": grants })).unwrap()
    }

    #[test]
    fn a_permission_counts_where_it_is_granted_without_a_condition() {
        let policy = |domain: &str, entity: &str, actions: &[&str]| json!({ "domain": domain, "entityName": entity, "actions": actions });
        let edit = policy("directory", "user", &["view", "edit"]);
        let reach = |of: &[(&str, Value)]| grants(of).reach(&["directory:user:edit"]);

        assert_eq!(reach(&[("*", edit.clone())]), Reach::AllDivisions);
        let two = [
            ("d1", edit.clone()),
            ("d2", edit.clone()),
            ("d1", edit.clone()),
        ];
        assert_eq!(reach(&two), Reach::SomeDivisions(2));
        for all in [
            policy("*", "*", &["*"]),
            policy("directory", "*", &["*"]),
            policy("directory", "user", &["*"]),
        ] {
            assert_eq!(reach(&[("*", all)]), Reach::AllDivisions);
        }
        let mut conditional = edit;
        conditional["condition"] = json!("group == 1");
        for none in [
            conditional,
            policy("directory", "user", &["view"]),
            policy("routing", "user", &["edit"]),
            policy("directory", "userProfile", &["edit"]),
        ] {
            assert_eq!(reach(&[("*", none)]), Reach::Nowhere);
        }
    }

    #[test]
    fn of_permissions_that_do_the_same_any_one_is_enough() {
        let queue = json!({ "domain": "routing", "entityName": "queue", "actions": ["edit"] });
        let needed = grants(&[("*", queue)]).needed();
        let granted: Vec<&str> = needed
            .iter()
            .filter(|(_, reach)| *reach == Reach::AllDivisions)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(granted, ["routing:queueMember:manage"]);
        assert_eq!(needed.len(), 7);
    }
}

//! How two plans differ.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::guards::approval::PlannedUser;
use crate::job::UserId;

/// A user of whom two plans say different things
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    pub user_id: UserId,
    /// What the first plan says; missing if it does not name the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<PlannedUser>,
    /// What the second plan says, or what is so now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PlannedUser>,
    /// For people.
    pub text: String,
}

/// The users of whom the plans say different things, in the order of their IDs.
pub(crate) fn differences(before: Vec<PlannedUser>, after: Vec<PlannedUser>) -> Vec<Difference> {
    let mut pairs: BTreeMap<UserId, [Option<PlannedUser>; 2]> = BTreeMap::new();
    for (place, users) in [before, after].into_iter().enumerate() {
        for user in users {
            let pair = pairs.entry(user.user_id).or_default();
            if let Some(side) = pair.get_mut(place) {
                *side = Some(user);
            }
        }
    }
    pairs
        .into_iter()
        .filter_map(|(user_id, [before, after])| {
            let text = text(before.as_ref(), after.as_ref())?;
            Some(Difference {
                user_id,
                before,
                after,
                text,
            })
        })
        .collect()
}

/// `None` where they say the same of what decides.
fn text(before: Option<&PlannedUser>, after: Option<&PlannedUser>) -> Option<String> {
    let (before, after) = match (before, after) {
        (None, _) => return Some("is not in the first plan".to_owned()),
        (_, None) => return Some("is only in the first plan".to_owned()),
        (Some(before), Some(after)) => (before, after),
    };
    let mut said = Vec::new();
    if before.end != after.end {
        let guard = after.guard.as_ref();
        let why = guard.map_or_else(String::new, |guard| format!(" ({guard})"));
        said.push(format!(
            "{}, was {}{why}",
            after.end.as_str(),
            before.end.as_str()
        ));
    }
    let moved = before.observed.differs(&after.observed);
    said.extend(moved.map(|moved| moved.as_text()));
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guards::End;
    use crate::guards::approval::Observed;

    fn user(number: u8, end: End, queues: &[&str]) -> PlannedUser {
        let text = format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
        PlannedUser {
            user_id: text.parse().unwrap(),
            end,
            observed: Observed {
                queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
                ..Observed::default()
            },
            guard: None,
        }
    }

    #[test]
    fn users_who_moved_end_otherwise_or_are_in_one_plan_alone_are_named() {
        let before = vec![
            user(1, End::Delete, &["a"]),
            user(2, End::Delete, &["a"]),
            user(3, End::Delete, &[]),
            user(4, End::Delete, &[]),
        ];
        let after = vec![
            user(1, End::Delete, &["a"]),
            user(2, End::Delete, &["a", "b"]),
            user(3, End::Held, &[]),
            user(5, End::Delete, &[]),
        ];
        let found = differences(before, after);
        let texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "the user is in a queue that the plan did not see: b",
                "held: deactivate only, was delete",
                "is only in the first plan",
                "is not in the first plan",
            ]
        );
    }
}

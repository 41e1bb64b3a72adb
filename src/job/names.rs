//! Names of columns and members, as people and other programs spell them.

/// The members of a message, after `offboarding-message.schema.json`.
const MEMBERS: [&str; 7] =
    ["userId", "batchId", "action", "deleteAfter", "requestedBy", "reason", "requestedAt"];

/// A name without case, blanks, `_`, `-` and other marks: `Delete After` and `delete_after` are one.
pub fn normalised(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The member that somebody most likely meant by a name that is none.
pub fn near_miss(name: &str) -> Option<&'static str> {
    if MEMBERS.contains(&name) {
        return None;
    }
    let plain = normalised(name);
    let meant = MEMBERS.into_iter().find(|member| normalised(member) == plain);
    // These two say what is done, so a slip of the pen counts, too.
    meant.or_else(|| {
        if plain.contains("deleteafter") || strsim::osa_distance(&plain, "deleteafter") <= 2 {
            Some("deleteAfter")
        } else if strsim::osa_distance(&plain, "action") <= 1 {
            Some("action")
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_found_and_other_names_are_left_alone() {
        for (name, member) in [
            ("Delete After", "deleteAfter"),
            ("delete_after", "deleteAfter"),
            ("DELETE-AFTER", "deleteAfter"),
            ("DeleteAfter", "deleteAfter"),
            ("Delete after (UTC)", "deleteAfter"),
            ("\u{a0}delete\u{200b}After", "deleteAfter"),
            ("deleteAftr", "deleteAfter"),
            ("deletedAfter", "deleteAfter"),
            ("requested by", "requestedBy"),
            ("Requested_At", "requestedAt"),
            ("user id", "userId"),
            ("batch-id", "batchId"),
            ("Action", "action"),
            ("actions", "action"),
            ("acton", "action"),
            ("Reason", "reason"),
        ] {
            assert_eq!(near_miss(name), Some(member), "{name}");
        }
        for name in MEMBERS.into_iter().chain([
            "",
            "name",
            "section",
            "regions",
            "deleted",
            "department",
            "id",
            "user",
            "created after",
        ]) {
            assert_eq!(near_miss(name), None, "{name}");
        }
    }
}

use super::members::MEMBERS;
use crate::job::normalised;

/// The known name that an unknown one most likely means (typos, spaces, case). To ignore such a name would change
/// what is done to the user.
pub(super) fn near_miss(name: &str) -> Option<&'static str> {
    let names = || std::iter::once("userId").chain(MEMBERS.iter().map(|(member, _)| *member));
    if names().any(|member| member == name) {
        return None;
    }
    let plain = plain(name);
    let meant = names().find(|member| member.eq_ignore_ascii_case(&plain));

    // These two decide what is done, so typing errors in them are recognised, too.
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

/// Letters and digits of a name, in lower case.
pub(super) fn plain(name: &str) -> String {
    normalised(name)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect()
}

/// The fault of a name that is nearly a known one. To ignore it would change what is done to the user.
pub(super) fn nearly(what: &str, name: &str, meant: &str) -> String {
    let name: String = name.chars().take(60).collect();
    format!(
        "the {what} \"{}\" is unknown; rename it to {meant}, or remove it",
        name.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_found_and_other_names_are_left_as_they_are() {
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
            ("Requested\u{200b}At", "requestedAt"),
            ("user id", "userId"),
            ("batch-id", "batchId"),
            ("Action", "action"),
            ("actions", "action"),
            ("acton", "action"),
            ("Reason", "reason"),
        ] {
            assert_eq!(near_miss(name), Some(member), "{name}");
        }
        for name in [
            "",
            "userId",
            "deleteAfter",
            "requestedAt",
            "name",
            "section",
            "regions",
            "deleted",
        ] {
            assert_eq!(near_miss(name), None, "{name}");
        }
        for name in [
            "department",
            "id",
            "user",
            "created after",
            "accessRemovedAt",
            "finishedAt",
        ] {
            assert_eq!(near_miss(name), None, "{name}");
        }
    }
}

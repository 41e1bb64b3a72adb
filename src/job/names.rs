//! Names that people spell in different ways.

/// The name without case, spaces, `_` and `-`.
pub(crate) fn normalised(name: &str) -> String {
    let is_kept = |c: &char| !c.is_whitespace() && !matches!(c, '_' | '-');

    name.trim_start_matches('\u{feff}')
        .chars()
        .filter(is_kept)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_are_one() {
        for name in [
            "deleteAfter",
            "DeleteAfter",
            "delete_after",
            "Delete After",
            "DELETE-AFTER",
            "\u{feff}deleteAfter",
        ] {
            assert_eq!(normalised(name), "deleteafter");
        }
        assert_ne!(normalised("deleteAfterwards"), normalised("deleteAfter"));
    }
}

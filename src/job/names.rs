/// A name of a member or column without what people write differently: case, spaces, `_` and `-`.
pub(crate) fn normalised(name: &str) -> String {
    let spelled = |letter: &char| !letter.is_whitespace() && !matches!(letter, '_' | '-');
    name.trim_start_matches('\u{feff}')
        .chars()
        .filter(spelled)
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

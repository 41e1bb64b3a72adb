//! What a protected list accepts, and whom it protects.

use super::*;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn list(text: &str) -> ProtectedList {
    ProtectedList::parse(text).unwrap()
}

#[test]
fn ids_and_patterns_protect_whatever_their_case() {
    let user_id: UserId = ID.parse().unwrap();
    let other: UserId = "00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let by_id = list(&format!(
        "\u{feff}# the board\n\n  {}\t# Ada # Lovelace\n",
        ID.to_uppercase()
    ));
    assert!(by_id.protects(user_id, None).is_some());
    assert_eq!(by_id.protects(other, None), None);
    assert!(!by_id.has_patterns());
    let by_name = list("svc-*@example.com\n*ADMIN*\nada@example.com");
    for name in [
        "SVC-backup@example.com",
        "svc-@example.com",
        "x.Administrator@y",
        "Ada@Example.com",
    ] {
        assert!(by_name.protects(other, Some(name)).is_some(), "{name}");
    }
    for name in [
        "svc-backup@example.org",
        "asvc-x@example.com",
        "ada@example.com.evil",
        "adm in@x",
        "",
    ] {
        assert_eq!(by_name.protects(other, Some(name)), None, "{name}");
    }
    assert!(
        by_name.protects(other, None).is_some(),
        "a user without a name is protected"
    );
}

#[test]
fn a_piece_is_not_used_twice() {
    assert!(matches("a*a", "aa"));
    assert!(!matches("a*a", "a"));
    assert!(matches("a*b*c", "a1b2b3c"));
    assert!(!matches("a*b*c", "a1c"));
    assert!(matches("*", ""));
}

#[test]
fn an_entry_that_is_not_understood_is_reported_with_its_line() {
    for bad in [
        ID.replace('1', "l"),
        ID[..35].to_owned(),
        ID.replace('-', ""),
        format!("{{{ID}}}"),
        format!("\"{ID}\""),
        format!("'{ID}'"),
        format!("{ID},Ada"),
        format!("{ID};Ada"),
        format!("{ID}\tAda"),
        format!("{ID} Ada"),
        format!("{ID}#Ada"),
        format!("{ID}\u{200b}"),
        format!("\u{feff}{ID}"),
        format!("urn:uuid:{ID}"),
        format!("{ID}*"),
        format!("*{}*", &ID[..8]),
        "ada".to_owned(),
        "\"ada@example.com\"".to_owned(),
        "'ada@example.com'".to_owned(),
        "ada@example.com,Ada".to_owned(),
        "ada@example.com#Ada".to_owned(),
        "ada_example.com#EXT#@example.org".to_owned(),
        "Ada <ada@example.com>".to_owned(),
        "ada@example.com\u{200d}".to_owned(),
        "a\u{301}da@example.com".to_owned(),
        "a\0d\0a\0@\0".to_owned(),
    ] {
        let fault =
            ProtectedList::parse(&format!("# list\r\nada@example.com\r{bad}\nx@y")).unwrap_err();
        assert!(fault.starts_with("line 3, "), "{bad}: {fault}");
        assert!(
            !fault.contains(['\u{200b}', '\u{200d}', '\u{feff}', '\0', '\t']),
            "{fault:?}"
        );
    }
}

#[test]
fn an_empty_list_has_to_say_so() {
    for empty in [
        "",
        "\u{feff}",
        "\n\n",
        "# the board\n",
        "#nobody",
        "# nobody else",
        "nobody @ # nobody",
    ] {
        assert!(ProtectedList::parse(empty).is_err(), "{empty:?}");
    }
    assert_eq!(list("\u{feff}# nobody\r\n").counts(), "0 IDs, 0 patterns");
    let mixed = list(&format!(
        "{ID}\r{}\r\n*@example.com # all\r# nobody",
        ID.replace('3', "4")
    ));
    assert_eq!(mixed.counts(), "2 IDs, 1 pattern");
}

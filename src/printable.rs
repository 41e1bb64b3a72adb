//! Makes text from outside safe for terminals and logs: names, reasons, answers of services, names
//! of files.
//!
//! A terminal obeys control characters (C0, DEL and C1), and bidirectional and invisible characters
//! make it show a different text. Such characters are shown by their code.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal obeys this character, hides it, or reorders others because of it.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Says what [`is_plain_line`] accepts.
pub(crate) const NOT_PLAIN: &str = "has to be one line of 1 to 1000 characters, not blank, \
     without control, bidirectional or invisible characters";

/// Whether this is one line of text, not blank, without deceptive characters.
pub(crate) fn is_plain_line(text: &str) -> bool {
    let says_something = !text.trim().is_empty() && text.chars().count() <= 1000;
    says_something && !text.chars().any(is_deceptive)
}

/// The text on one line, with deceptive characters escaped: a line break is `\n`, an escape
/// `\u{1b}`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_deceptive, |c, out| out.extend(c.escape_default()))
}

/// The text as a cell of CSV: no spreadsheet reads it as a formula, and no terminal as a command.
pub(crate) fn cell(text: &str) -> String {
    let mut cell = line(text).into_owned();
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        cell.insert(0, '\'');
    }
    cell
}

/// The same JSON, with deceptive characters in strings escaped. Blanks between values stay.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_in_a_string = |c: char| is_deceptive(c) && !c.is_ascii_whitespace();
    escaped(text, is_in_a_string, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            write!(out, "\\u{unit:04x}").ok();
        }
    })
}

fn escaped(
    text: &str,
    is_meant: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.chars().any(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_meant(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// What strangers try: a window's title, an empty screen, a line of ours, text from right to left,
/// C1, nothing to see.
#[cfg(test)]
pub(crate) const ATTACKS: [&str; 8] = [
    "\u{1b}]0;title\u{7}",
    "\u{1b}[2J\u{1b}[H",
    "hr\n3f1f0d4e  Deleted  done",
    "hr\r\nok",
    "\u{202e}desrever",
    "\u{9b}2J",
    "a\u{200b}d\u{feff}a\u{e0041}",
    "a\u{2028}b\u{7f}",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_strangers_has_nothing_that_a_terminal_obeys_or_hides() {
        for attack in ATTACKS {
            let shown = line(attack);
            assert!(!shown.chars().any(is_deceptive), "{shown:?}");
            assert!(shown.len() > attack.len(), "{shown}");
        }
        assert_eq!(line("a\u{1b}[2J\nb\u{202e}"), r"a\u{1b}[2J\nb\u{202e}");
        for well in ["Ada Lovelace", "„Löschung“: 離職", r"C:\new", ""] {
            assert!(
                matches!(line(well), Cow::Borrowed(same) if same == well),
                "{well}"
            );
        }
    }

    #[test]
    fn json_says_the_same_without_a_character_that_deceives() {
        for attack in ATTACKS {
            let document = serde_json::json!({ attack: [attack] });
            let pretty = serde_json::to_string_pretty(&document).unwrap();
            let shown = json(&pretty);
            assert!(
                !shown.chars().any(|c| is_deceptive(c) && c != '\n'),
                "{shown:?}"
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
                document
            );
        }
        assert_eq!(
            json("{\r\n\t\"a\": \"é\u{9b}\"}"),
            "{\r\n\t\"a\": \"é\\u009b\"}"
        );
    }
}

//! Reads the TOML file into texts, with the line of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::table::SETTINGS;

/// The TOML file taken apart: `table.name` → value as text, and its line.
#[derive(Debug, Default)]
pub(super) struct TomlFile {
    pub(super) path: PathBuf,
    pub(super) values: BTreeMap<String, (String, usize)>,
    pub(super) faults: Vec<Fault>,
    /// It could not be parsed, so it is unknown which settings it sets.
    pub(super) broken: bool,
}

impl TomlFile {
    pub(super) fn parse(path: &Path, text: &str) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        match DeTable::parse(text) {
            Ok(table) => file.flatten(text, "", table.get_ref()),
            Err(error) => {
                // Its `Display` quotes the line, which may hold a secret.
                let line = error.span().map_or(1, |span| line_at(text, span.start));
                let text = format!("{}; fix the syntax", error.message());
                file.faults.push(Fault::about(
                    format!("{}, line {line}", path.display()),
                    text,
                ));
                file.broken = true;
            }
        }
        file
    }

    fn flatten(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let line = line_at(text, name.span().start);
            if let (DeValue::Table(inner), true) = (value.get_ref(), prefix.is_empty()) {
                let inside = format!("{key}.");
                if inner.is_empty()
                    && !SETTINGS
                        .iter()
                        .any(|setting| setting.key.starts_with(&inside))
                {
                    self.values.insert(key, (String::new(), line));
                }
                self.flatten(text, &inside, inner);
            } else if let Some(scalar) = scalar(value) {
                self.values.insert(key, (scalar, line));
            } else {
                let kind = value.get_ref().type_str();
                let about = format!("{key} ({}, line {line})", self.path.display());
                let text = format!(
                    "the value is of type {kind}; give a string, a whole number, true or false"
                );
                self.faults.push(Fault::about(about, text));
            }
        }
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> TomlFile {
        TomlFile::parse(Path::new("o.toml"), text)
    }

    fn only_fault(text: &str) -> String {
        let file = parse(text);
        assert_eq!(file.faults.len(), 1, "{:?}", file.faults);
        file.faults[0].to_string()
    }

    #[test]
    fn strings_numbers_and_booleans_become_text_with_their_lines() {
        let file = parse(
            "[cxone]\npage_size = 1_00\nbase_uri = 'https://x'\n\n[archive]\nforce_path_style = true\n",
        );
        let expected = [
            ("archive.force_path_style", "true", 6),
            ("cxone.base_uri", "https://x", 3),
            ("cxone.page_size", "100", 2),
        ];
        let values: Vec<_> = file
            .values
            .iter()
            .map(|(key, (text, line))| (key.as_str(), text.as_str(), *line))
            .collect();
        assert_eq!(values, expected);
        assert!(file.faults.is_empty() && !file.broken);
    }

    #[test]
    fn a_number_may_have_another_base() {
        assert_eq!(
            parse("[cxone]\npage_size = 0x1f").values["cxone.page_size"],
            ("31".to_owned(), 2)
        );
    }

    #[test]
    fn a_dotted_key_is_the_same_as_a_table() {
        assert_eq!(
            parse("cxone.page_size = 3").values["cxone.page_size"],
            ("3".to_owned(), 1)
        );
    }

    #[test]
    fn an_empty_table_is_kept_only_if_it_is_unknown() {
        assert!(parse("[cxone]").values.is_empty());
        assert!(parse("[cxon]").values.contains_key("cxon"));
    }

    #[test]
    fn a_syntax_error_has_its_line_and_quotes_nothing() {
        let fault = only_fault("[admin]\ntoken = \"hunter2\n");
        assert!(fault.starts_with("o.toml, line 2: "), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
        assert!(!only_fault("[admin]\ntoken = hunter2\n").contains("hunter2"));
        assert!(parse("x =").broken);
    }

    #[test]
    fn other_types_are_refused() {
        for (value, kind) in [
            ("1.5", "float"),
            ("[1]", "array"),
            ("{ a = 1 }", "table"),
            ("1979-05-27", "datetime"),
        ] {
            let fault = only_fault(&format!("[cxone]\nhistory = {value}"));
            assert!(
                fault.starts_with(&format!(
                    "cxone.history (o.toml, line 2): the value is of type {kind}"
                )),
                "{fault}"
            );
        }
    }
}

use std::fmt;

use super::Origin;
use super::table::Setting;

/// One thing wrong with the settings, and what to do about it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    about: String,
    text: String,
}

impl Fault {
    /// A fault that is not about the value of a known setting. It is one line, whatever stands in the names
    /// that it tells.
    pub(super) fn about(what: impl Into<String>, text: impl Into<String>) -> Self {
        let line = |text: String| text.replace(char::is_control, "\u{fffd}");
        Self {
            about: line(what.into()),
            text: line(text.into()),
        }
    }

    /// A fault in where a setting's value is to come from, or in a value not worth quoting.
    pub(super) fn of(setting: &Setting, origin: &Origin, text: impl Into<String>) -> Self {
        Self::about(
            format!("{} ({})", setting.variable(), origin.phrase()),
            text,
        )
    }

    /// `problem` goes on where the quoted value ends: `is not a number; …`.
    pub(super) fn of_value(setting: &Setting, origin: &Origin, value: &str, problem: &str) -> Self {
        let quoted = if setting.secret {
            "the value".to_owned()
        } else {
            format!("{:?}", setting.shown(value))
        };
        Self::of(setting, origin, format!("{quoted} {problem}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) const fn new(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    /// Each of them, in the order in which they were found.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 fault in the settings:")?,
            count => write!(f, "{count} faults in the settings:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SETTINGS;

    fn setting(key: &str) -> &'static Setting {
        SETTINGS.iter().find(|setting| setting.key == key).unwrap()
    }

    #[test]
    fn a_count_comes_first_and_then_a_line_each() {
        let one = Fault::of_value(
            setting("cxone.base_uri"),
            &Origin::Environment,
            "ftp://x",
            "is wrong; mend it",
        );
        let line = "OFFBOARDER_CXONE_BASE_URI (from environment): \"ftp://x\" is wrong; mend it";
        assert_eq!(one.to_string(), line);
        let two = Faults::new(vec![one.clone(), one.clone()]);
        assert_eq!(
            two.to_string(),
            format!("2 faults in the settings:\n  {line}\n  {line}")
        );
        assert_eq!(
            Faults::new(vec![one]).to_string(),
            format!("1 fault in the settings:\n  {line}")
        );
    }

    #[test]
    fn a_secret_is_never_echoed() {
        let fault = Fault::of_value(
            setting("admin.token"),
            &Origin::Environment,
            "hunter2",
            "holds a space",
        );
        assert!(!fault.to_string().contains("hunter2"));
        let fault = Fault::of_value(
            setting("queue.url"),
            &Origin::Environment,
            "http://u:hunter2@h",
            "is wrong",
        );
        assert!(
            fault.to_string().contains("\"http://u:***@h\" is wrong"),
            "{fault}"
        );
    }
}

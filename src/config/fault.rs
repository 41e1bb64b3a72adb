//! What is wrong with the settings, in words for the operator.

use std::fmt;

use super::origin::Origin;
use super::setting::Setting;

/// One thing wrong with the settings, and what to do about it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    about: String,
    text: String,
}

impl Fault {
    /// A fault that is not about the value of a known setting. It stays one line, whatever the
    /// names in it contain.
    pub(super) fn about(what: impl Into<String>, text: impl Into<String>) -> Self {
        let line = |text: String| text.replace(char::is_control, "\u{fffd}");
        Self {
            about: line(what.into()),
            text: line(text.into()),
        }
    }

    /// A fault in the source of a setting's value, or in a value that does not help when quoted.
    pub(super) fn of(setting: &Setting, origin: &Origin, text: impl Into<String>) -> Self {
        Self::about(
            format!("{} ({})", setting.variable(), origin.phrase()),
            text,
        )
    }

    /// `problem` continues where the quoted value ends: `is not a number; …`.
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

/// Everything that is wrong with the settings, at once; at least one fault, in the order in which
/// they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    first: Fault,
    rest: Vec<Fault>,
}

impl Faults {
    pub(super) const fn one(fault: Fault) -> Self {
        Self {
            first: fault,
            rest: Vec::new(),
        }
    }

    /// `None` if there is no fault.
    pub(super) fn all(faults: Vec<Fault>) -> Option<Self> {
        let mut faults = faults.into_iter();
        let first = faults.next()?;
        Some(Self {
            first,
            rest: faults.collect(),
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rest.len() {
            0 => write!(f, "1 fault in the settings:")?,
            more => write!(f, "{} faults in the settings:", more + 1)?,
        }
        self.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{ADMIN_TOKEN, CXONE_BASE_URI, QUEUE_URL};

    #[test]
    fn a_count_comes_first_and_then_a_line_each() {
        let one = Fault::of_value(
            &CXONE_BASE_URI,
            &Origin::Environment,
            "ftp://x",
            "is wrong; fix it",
        );
        let line = "OFFBOARDER_CXONE_BASE_URI (from environment): \"ftp://x\" is wrong; fix it";
        assert_eq!(one.to_string(), line);
        let two = Faults::all(vec![one.clone(), one.clone()]).unwrap();
        assert_eq!(
            two.to_string(),
            format!("2 faults in the settings:\n  {line}\n  {line}")
        );
        assert_eq!(
            Faults::one(one).to_string(),
            format!("1 fault in the settings:\n  {line}")
        );
        assert_eq!(Faults::all(Vec::new()), None);
    }

    #[test]
    fn a_secret_is_never_echoed() {
        let fault = Fault::of_value(
            &ADMIN_TOKEN,
            &Origin::Environment,
            "hunter2",
            "holds a space",
        );
        assert!(!fault.to_string().contains("hunter2"));
        let fault = Fault::of_value(
            &QUEUE_URL,
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

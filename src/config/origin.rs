//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(String),
    /// The variable of the setting.
    Environment,
    /// A file, and the variable or TOML key that names it.
    File {
        path: PathBuf,
        named_by: String,
    },
    Toml {
        path: PathBuf,
        line: usize,
    },
    Default,
}

impl Origin {
    /// The words that follow the name of the variable.
    pub(super) fn phrase(&self) -> String {
        if *self == Self::Default {
            "by default".to_owned()
        } else {
            format!("from {self}")
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, named_by } => write!(f, "{}, named by {named_by}", path.display()),
            Self::Toml { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

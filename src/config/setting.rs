//! What a setting is: its names, its default, and who may see its value.

use std::fmt;

use crate::address::masked;
use crate::profile::TenantProfile;

/// What every variable begins with.
pub(super) const PREFIX: &str = "OFFBOARDER_";

/// The variable that names the TOML file; the flag is `--config`.
pub(crate) const CONFIG_VARIABLE: &str = "OFFBOARDER_CONFIG";

/// One setting, as every source and every listing knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The TOML key, `table.name`; the names of variable and flag follow from it.
    pub key: &'static str,
    pub unset: Unset,
    /// A secret is never printed and has no flag: every user of the host can read arguments with
    /// `ps`.
    pub secret: bool,
    /// What the README and the file of `offboarder init` say about it.
    pub meaning: &'static str,
}

/// What applies when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    Default(&'static str),
    /// The default of each of [`TenantProfile::ALL`], in that order.
    ByProfile([&'static str; 3]),
    /// A value made from other settings, in words.
    Derived(&'static str),
    /// These commands cannot work without it; the others can.
    RequiredBy(&'static [Profile]),
    Nothing,
}

/// Commands that need the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `worker`.
    Worker,
    /// Commands that call the tenant.
    Run,
    /// Commands that use the broker.
    Broker,
}

impl Unset {
    /// The default of a deployment with this profile.
    pub(super) const fn default_for(self, profile: TenantProfile) -> Option<&'static str> {
        match self {
            Self::Default(text) => Some(text),
            Self::ByProfile([tutorial, cxone, genesys]) => Some(match profile {
                TenantProfile::Tutorial => tutorial,
                TenantProfile::Cxone => cxone,
                TenantProfile::Genesys => genesys,
            }),
            Self::Derived(_) | Self::RequiredBy(_) | Self::Nothing => None,
        }
    }

    /// The default in words, for listings; `quote` marks a value.
    pub(crate) fn in_words(self, quote: &str) -> Option<String> {
        let quoted = |value: &str| format!("{quote}{value}{quote}");
        match self {
            Self::Default(value) => Some(quoted(value)),
            Self::ByProfile([tutorial, cxone, genesys]) if cxone == genesys => Some(format!(
                "{}; {} with the profiles `cxone` and `genesys`",
                quoted(tutorial),
                quoted(cxone)
            )),
            Self::ByProfile([tutorial, cxone, genesys]) => Some(format!(
                "{}; {} with the profile `cxone`, {} with `genesys`",
                quoted(tutorial),
                quoted(cxone),
                quoted(genesys)
            )),
            Self::Derived(words) => Some(words.to_owned()),
            Self::RequiredBy(_) | Self::Nothing => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Run => "run, plan, doctor",
            Self::Broker => "submit, topology, dead-letters",
        })
    }
}

impl Setting {
    pub(super) const fn open(key: &'static str, unset: Unset, meaning: &'static str) -> Self {
        Self {
            key,
            unset,
            secret: false,
            meaning,
        }
    }

    pub(super) const fn secret(key: &'static str, unset: Unset, meaning: &'static str) -> Self {
        Self {
            key,
            unset,
            secret: true,
            meaning,
        }
    }

    /// The environment variable: `OFFBOARDER_CXONE_BASE_URI`.
    pub(crate) fn variable(&self) -> String {
        let name = self.key.replace('.', "_").to_ascii_uppercase();
        format!("{PREFIX}{name}")
    }

    /// The variable that names a file holding the value.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable())
    }

    /// The TOML key that names a file holding the value.
    pub(crate) fn file_key(&self) -> String {
        format!("{}_file", self.key)
    }

    /// The flag without its dashes, `cxone-base-uri`; secrets have none.
    pub(crate) fn flag(&self) -> Option<String> {
        (!self.secret).then(|| self.key.replace(['.', '_'], "-"))
    }

    /// Whether a value may have several lines.
    pub(super) fn has_lines(&self) -> bool {
        self.key == "evidence.key"
    }

    /// A value as people may see it.
    pub(super) fn shown(&self, text: &str) -> String {
        // These two URLs usually hold a password. A value that is no URL may be only the password.
        let is_address = matches!(self.key, "queue.url" | "checkpoints.url");
        let is_odd = is_address && !text.starts_with("file:") && !text.contains("://");

        if self.secret || is_odd {
            "***".to_owned()
        } else {
            masked(text)
        }
    }
}

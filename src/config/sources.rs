//! Gathers what flags, environment and TOML file say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::fault::Fault;
use super::setting::{CONFIG_VARIABLE, PREFIX};

/// The sources of values, read once. They are plain data, so that tests need no process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The command that was typed, without its arguments: `dead-letters list`.
    pub command: String,
    /// Values of flags, by the key of the setting.
    pub flags: BTreeMap<String, String>,
    /// Variables that begin with `OFFBOARDER_`.
    pub env: Vec<(String, String)>,
    /// Path and text of the TOML file.
    pub toml: Option<(PathBuf, String)>,
    /// Faults of reading the sources; they are reported together with the others.
    pub faults: Vec<Fault>,
}

impl Sources {
    /// Reads the environment, and the TOML file that `config_flag` or else the environment names.
    /// `flags` are the values of flags, by the key of the setting.
    pub(crate) fn read(
        command: String,
        flags: BTreeMap<String, String>,
        config_flag: Option<String>,
    ) -> Self {
        let mut sources = Self::from_environment(std::env::vars_os());
        sources.command = command;
        sources.flags = flags;

        if let Some(path) = config_flag {
            sources.read_toml("--config", path);
        } else if let Some(path) = sources.variable(CONFIG_VARIABLE).map(str::to_owned) {
            sources.read_toml(CONFIG_VARIABLE, path);
        }
        sources
    }

    fn from_environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut sources = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match value.into_string() {
                Ok(value) => sources.env.push((name.to_owned(), value)),
                Err(_) => sources
                    .faults
                    .push(Fault::about(name, "the value is not UTF-8; set it again")),
            }
        }
        sources
    }

    fn read_toml(&mut self, named_by: &str, path: String) {
        match std::fs::read_to_string(&path) {
            Ok(text) => self.toml = Some((PathBuf::from(path), text)),
            Err(why) => {
                let text = format!("{path:?} cannot be read: {why}; name a TOML file that can");
                self.faults.push(Fault::about(named_by, text));
            }
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_file_is_read_or_its_absence_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("o.toml");
        std::fs::write(&path, "[cxone]\n").unwrap();
        let named =
            |path: &str| Sources::read("plan".to_owned(), BTreeMap::new(), Some(path.to_owned()));

        let sources = named(path.to_str().unwrap());
        assert_eq!(sources.toml.unwrap(), (path, "[cxone]\n".to_owned()));
        assert!(sources.faults.is_empty());

        let sources = named("/nowhere/o.toml");
        let fault = sources.faults.first().unwrap().to_string();
        assert!(
            fault.starts_with("--config: \"/nowhere/o.toml\" cannot be read: No such file"),
            "{fault}"
        );
    }

    #[test]
    fn variables_of_others_are_ignored_and_bytes_that_are_not_text_are_reported() {
        use std::os::unix::ffi::OsStringExt as _;
        let garbage = OsString::from_vec(vec![0xff]);
        let variables = [
            (OsString::from("PATH"), garbage.clone()),
            (OsString::from("OFFBOARDER_X"), garbage),
            (OsString::from("OFFBOARDER_Y"), OsString::from("1")),
        ];
        let sources = Sources::from_environment(variables.into_iter());
        assert_eq!(sources.env, [("OFFBOARDER_Y".to_owned(), "1".to_owned())]);
        assert_eq!(sources.faults.len(), 1);
    }
}

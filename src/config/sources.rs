use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use super::fault::Fault;
use super::table::{CONFIG_VARIABLE, PREFIX, SETTINGS, Setting, Unset};

const CONFIG_ID: &str = "config";

/// Where values may come from, gathered once. Plain data, so that tests need no process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Values of flags, by the key of the setting.
    pub flags: BTreeMap<String, String>,
    /// Variables, of which those that begin with `OFFBOARDER_` count.
    pub env: Vec<(String, String)>,
    /// Path and text of the TOML file.
    pub toml: Option<(PathBuf, String)>,
    /// What went wrong in gathering; it is reported with the rest.
    pub faults: Vec<Fault>,
}

impl Sources {
    /// From the arguments, the environment, and the file that one of them names.
    pub(crate) fn from_process(matches: &ArgMatches) -> Self {
        let flag = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
        let mut sources = Self::from_environment(std::env::vars_os());
        for setting in SETTINGS {
            if let Some(value) = flag(setting.key) {
                sources.flags.insert(setting.key.to_owned(), value);
            }
        }
        let named = flag(CONFIG_ID).map(|path| ("--config", path));
        let named = named.or_else(|| {
            Some((
                CONFIG_VARIABLE,
                sources.variable(CONFIG_VARIABLE)?.to_owned(),
            ))
        });
        if let Some((by, path)) = named {
            sources.read_toml(by, path);
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
                    .push(Fault::about(name, "the value is not UTF-8; set it anew")),
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

/// Adds `--config` and a global flag for every setting that is no secret. They are many, so `-h`
/// leaves them to `--help`.
pub(crate) fn with_flags(command: Command) -> Command {
    let config = Arg::new(CONFIG_ID)
        .long("config")
        .value_name("FILE")
        .global(true)
        .help_heading("Settings")
        .help(format!("TOML file of settings [env: {CONFIG_VARIABLE}]"));
    let flags = SETTINGS
        .iter()
        .filter_map(|setting| Some(argument(setting, setting.flag()?)));
    command.arg(config).args(flags)
}

fn argument(setting: &'static Setting, flag: String) -> Arg {
    let default = match setting.unset {
        Unset::Default(value) | Unset::Derived(value) => format!(" [default: {value}]"),
        Unset::RequiredBy(_) | Unset::Nothing => String::new(),
    };
    let help = format!("{}{default} [env: {}]", setting.meaning, setting.variable());
    Arg::new(setting.key)
        .long(flag)
        .value_name("VALUE")
        .global(true)
        .hide_short_help(true)
        .help_heading("Settings")
        .help(help.replace('`', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        with_flags(Command::new("offboarder").subcommand(Command::new("worker")))
    }

    fn gathered(arguments: &[&str]) -> Sources {
        Sources::from_process(&command().get_matches_from(arguments))
    }

    #[test]
    fn a_flag_is_taken_before_and_after_the_command() {
        command().debug_assert();
        for arguments in [
            ["offboarder", "--cxone-page-size", "7", "worker"],
            ["offboarder", "worker", "--cxone-page-size", "7"],
        ] {
            let flags = gathered(&arguments).flags;
            assert_eq!(
                flags,
                BTreeMap::from([("cxone.page_size".to_owned(), "7".to_owned())])
            );
        }
    }

    #[test]
    fn short_help_leaves_the_settings_out_and_long_help_has_them() {
        let short = command().render_help().to_string();
        assert!(
            short.contains("--config") && !short.contains("--cxone-base-uri"),
            "{short}"
        );
        let long = command().render_long_help().to_string();
        assert!(
            long.contains("--cxone-base-uri") && long.contains("OFFBOARDER_CXONE_BASE_URI"),
            "{long}"
        );
    }

    #[test]
    fn a_secret_has_no_flag() {
        for flag in ["--cxone-client-secret", "--admin-token"] {
            assert!(
                command()
                    .try_get_matches_from(["offboarder", flag, "x"])
                    .is_err(),
                "{flag}"
            );
        }
    }

    #[test]
    fn the_named_file_is_read_or_its_absence_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("o.toml");
        std::fs::write(&path, "[cxone]\n").unwrap();
        let sources = gathered(&["offboarder", "--config", path.to_str().unwrap()]);
        assert_eq!(sources.toml.unwrap(), (path, "[cxone]\n".to_owned()));
        assert!(sources.faults.is_empty());
        let sources = gathered(&["offboarder", "--config", "/nowhere/o.toml"]);
        let fault = sources.faults.first().unwrap().to_string();
        assert!(
            fault.starts_with("--config: \"/nowhere/o.toml\" cannot be read: No such file"),
            "{fault}"
        );
    }

    #[test]
    fn variables_of_others_are_left_alone_and_bytes_that_are_no_text_reported() {
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

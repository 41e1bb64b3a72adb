//! The flags of settings: one for each setting that is no secret, and `--config`.

use clap::{Arg, ArgMatches, Command};

use crate::config::{CONFIG_VARIABLE, SETTINGS, Setting, Sources};

const CONFIG_ID: &str = "config";

/// Adds `--config` and a global flag for every setting that is no secret. There are many, and every command has them, so
/// help, synopsis and completions leave them out and name the lists of them.
pub(super) fn with_flags(command: Command) -> Command {
    let flags = SETTINGS
        .iter()
        .filter_map(|setting| Some(argument(setting, setting.flag()?)));
    with_config(command).args(flags)
}

/// Adds `--config` only.
pub(super) fn with_config(command: Command) -> Command {
    let config = Arg::new(CONFIG_ID)
        .long("config")
        .value_name("FILE")
        .global(true)
        .help_heading("Settings")
        .help(format!("TOML file of settings [env: {CONFIG_VARIABLE}]"))
        .long_help(format!(
            "TOML file of settings [env: {CONFIG_VARIABLE}]. Each setting also has a variable and, unless it is a secret, a \
             flag: OFFBOARDER_CXONE_PAGE_SIZE is --cxone-page-size. `offboarder init` writes a file with all settings and \
             their meaning; `offboarder doctor --show-settings` shows those in force"
        ));
    command.arg(config)
}

fn argument(setting: &'static Setting, flag: String) -> Arg {
    let default = setting
        .unset
        .in_words("")
        .map_or_else(String::new, |words| format!(" [default: {words}]"));
    let help = format!("{}{default} [env: {}]", setting.meaning, setting.variable());
    Arg::new(setting.key)
        .long(flag)
        .value_name("VALUE")
        .global(true)
        .hide(true)
        .help(help.replace('`', ""))
}

/// Reads flags, environment and TOML file. `matches` are those of the whole command line.
pub(super) fn sources(matches: &ArgMatches) -> Sources {
    let command = command_names(matches).join(" ");
    // The flags of settings may come before or after the name of the command.
    let matches = matches.subcommand().map_or(matches, |(_, inner)| inner);

    let value = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
    let flags = SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.key.to_owned(), value(setting.key)?)))
        .collect();
    Sources::read(command, flags, value(CONFIG_ID))
}

/// The command and its subcommands: `dead-letters`, `list`.
fn command_names(matches: &ArgMatches) -> Vec<&str> {
    let mut names = Vec::new();
    let mut within = matches;
    while let Some((name, inner)) = within.subcommand() {
        names.push(name);
        within = inner;
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn command() -> Command {
        with_flags(Command::new("offboarder").subcommand(Command::new("worker")))
    }

    #[test]
    fn a_flag_is_taken_before_and_after_the_command() {
        command().debug_assert();
        for arguments in [
            ["offboarder", "--cxone-page-size", "7", "worker"],
            ["offboarder", "worker", "--cxone-page-size", "7"],
        ] {
            let flags = sources(&command().get_matches_from(arguments)).flags;
            assert_eq!(
                flags,
                BTreeMap::from([("cxone.page_size".to_owned(), "7".to_owned())])
            );
        }
    }

    #[test]
    fn the_sources_know_the_command_that_was_typed() {
        let list = Command::new("list").alias("ls");
        let command = with_flags(
            Command::new("offboarder")
                .subcommand(Command::new("plan"))
                .subcommand(Command::new("dead-letters").subcommand(list)),
        );
        for (typed, known) in [("plan", "plan"), ("dead-letters ls", "dead-letters list")] {
            let arguments = ["offboarder"].into_iter().chain(typed.split(' '));
            let matches = command.clone().get_matches_from(arguments);
            assert_eq!(sources(&matches).command, known);
        }
    }

    #[test]
    fn help_names_the_lists_of_settings_and_not_every_flag() {
        let short = command().render_help().to_string();
        assert!(
            short.contains("--config") && !short.contains("--cxone-base-uri"),
            "{short}"
        );
        let long = command().render_long_help().to_string();
        let long = long.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            long.contains("offboarder init") && long.contains("doctor --show-settings"),
            "{long}"
        );
        assert!(!long.contains("--cxone-base-uri"), "{long}");
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
}

//! A commented TOML file of all settings, made from the table, so that it is never older than the program.

use super::setting::{Profile, Setting, Unset};
use super::table::SETTINGS;

const WIDTH: usize = 100;
const HEAD: &str = "\
# Settings of offboarder. Name this file with --config or OFFBOARDER_CONFIG.
#
# A flag and an environment variable beat this file: [cxone] base_uri is --cxone-base-uri and
# OFFBOARDER_CXONE_BASE_URI. Each setting shows its default, as a comment; to change it, remove the
# first #. For each setting NAME there is NAME_file, which names a file that holds the value: use it
# for secrets. `offboarder doctor --show-settings` prints what is in force, `offboarder doctor`
# checks it. AWS_*, OTEL_*, RUST_LOG and SSL_CERT_FILE are read from the environment only.
";

/// The file: every setting is a comment, except for those that a worker cannot work without.
pub(crate) fn template() -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for setting in SETTINGS {
        let (group, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if group != table {
            text.extend(["\n[", group, "]\n"]);
            table = group;
        }
        text.push('\n');
        comment(&mut text, &described(setting));
        text.push_str(&line(setting, name));
    }
    text
}

fn described(setting: &Setting) -> String {
    let more = match setting.unset {
        Unset::RequiredBy(profiles) => {
            let commands: Vec<String> = profiles.iter().map(Profile::to_string).collect();
            format!(". Required by {}", commands.join(", "))
        }
        Unset::Derived(_) | Unset::ByProfile(_) => {
            let words = setting.unset.in_words("").unwrap_or_default();
            format!(". Default: {words}")
        }
        Unset::Default(_) | Unset::Nothing => String::new(),
    };
    format!("{}{more}.", setting.meaning)
}

/// The line to change.
fn line(setting: &Setting, name: &str) -> String {
    match setting.unset {
        Unset::Default(value) | Unset::ByProfile([value, ..]) => format!("# {name} = {value:?}\n"),
        _ if setting.secret => format!("# {name}_file = \"\"\n"),
        Unset::RequiredBy(_) | Unset::Derived(_) | Unset::Nothing => format!("# {name} = \"\"\n"),
    }
}

fn comment(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Sources, show};

    fn sources(text: String) -> Sources {
        Sources {
            command: "doctor".to_owned(),
            toml: Some((PathBuf::from("o.toml"), text)),
            ..Sources::default()
        }
    }

    #[test]
    fn the_file_names_every_setting_and_changes_none() {
        let text = template();
        for setting in SETTINGS {
            let name = setting.key.split_once('.').unwrap().1;
            let suffix = if setting.secret { "_file" } else { "" };
            assert!(text.contains(&format!("\n# {name}{suffix} = \"")), "{name}");
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");

        let unchanged = show(&Sources::default());
        let read = show(&sources(text));
        for (read, unchanged) in read.iter().zip(&unchanged) {
            assert_eq!(
                (&read.value, &read.source),
                (&unchanged.value, &unchanged.source)
            );
        }
    }

    #[test]
    fn a_line_whose_comment_sign_is_removed_sets_what_it_says() {
        let text = template().replace("\n# page_size = \"500\"", "\npage_size = \"7\"");
        let rows = show(&sources(text));
        let row = rows
            .iter()
            .find(|row| row.variable == "OFFBOARDER_CXONE_PAGE_SIZE")
            .unwrap();
        assert_eq!(row.value, "7");
        assert!(row.source.contains("o.toml"), "{}", row.source);
    }
}

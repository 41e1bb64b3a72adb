//! Finds names that are no setting. A misspelt name would silently have no effect.

use super::fault::Fault;
use super::setting::{CONFIG_VARIABLE, PREFIX, Setting};
use super::sources::Sources;
use super::table::SETTINGS;
use super::toml_file::TomlFile;

pub(super) fn unknown_variables(sources: &Sources) -> impl Iterator<Item = Fault> {
    let unknown = sources.env.iter().map(|(name, _)| name).filter(|name| {
        name.starts_with(PREFIX)
            && *name != CONFIG_VARIABLE
            && !SETTINGS
                .iter()
                .any(|known| known.variable() == **name || known.file_variable() == **name)
    });

    unknown.map(|name| {
        let nearest = nearest(name, "_FILE", Setting::variable, Setting::file_variable);
        let remedy = if of_kubernetes(name) {
            "Kubernetes sets it for a Service called offboarder; set enableServiceLinks: false in \
             the pod"
        } else {
            "rename or remove it"
        };
        let text = format!("is no setting; the nearest is {nearest}; {remedy}");
        Fault::about(format!("{name} (from environment)"), text)
    })
}

pub(super) fn unknown_keys(toml: &TomlFile) -> impl Iterator<Item = Fault> {
    let unknown = toml.values.iter().filter(|(key, _)| {
        !SETTINGS
            .iter()
            .any(|known| known.key == key.as_str() || known.file_key() == **key)
    });

    unknown.map(|(key, (_, line))| {
        let nearest = nearest(
            key,
            "_file",
            |setting| setting.key.to_owned(),
            Setting::file_key,
        );
        let text = format!("is no setting; the nearest is {nearest}; rename or remove it");
        Fault::about(
            format!("{key} (from {}, line {line})", toml.path.display()),
            text,
        )
    })
}

fn nearest(
    name: &str,
    suffix: &str,
    plain: impl Fn(&Setting) -> String,
    file: impl Fn(&Setting) -> String,
) -> String {
    let files = SETTINGS.iter().filter(|_| name.ends_with(suffix)).map(file);
    let known = SETTINGS.iter().map(plain).chain(files);
    known
        .min_by_key(|known| strsim::damerau_levenshtein(name, known))
        .unwrap_or_default()
}

/// `OFFBOARDER_PORT`, `OFFBOARDER_PORT_9464_TCP_ADDR`, `OFFBOARDER_SERVICE_HOST` and so on.
fn of_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest == "PORT"
        || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"]
            .iter()
            .any(|start| rest.starts_with(start))
}

use std::fmt;

use super::Profile::{Broker, Run, Worker};
use super::Unset::{Default, Derived, Nothing, RequiredBy};
use super::masked::masked;

/// What every variable begins with.
pub(super) const PREFIX: &str = "OFFBOARDER_";

/// The variable that names the TOML file; the flag is `--config`.
pub(super) const CONFIG_VARIABLE: &str = "OFFBOARDER_CONFIG";

/// One setting, as every source and every listing knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The TOML key, `table.name`; the names of variable and flag follow from it.
    pub key: &'static str,
    /// What holds when nobody sets it.
    pub unset: Unset,
    /// Never printed, and never a flag: arguments are seen by `ps`.
    pub secret: bool,
    pub meaning: &'static str,
}

/// What holds when nobody sets a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    Default(&'static str),
    /// A value made from other settings, in words.
    Derived(&'static str),
    /// These cannot work; the others can.
    RequiredBy(&'static [Profile]),
    Nothing,
}

/// Commands that need the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `worker`.
    Worker,
    /// `run`, which off-boards without a broker.
    Run,
    /// What talks to the broker and not to the tenant: `submit`, `topology`, `dead-letters`.
    Broker,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Run => "run",
            Self::Broker => "submit, topology, dead-letters",
        })
    }
}

impl Setting {
    const fn open(key: &'static str, unset: Unset, meaning: &'static str) -> Self {
        Self {
            key,
            unset,
            secret: false,
            meaning,
        }
    }

    const fn secret(key: &'static str, unset: Unset, meaning: &'static str) -> Self {
        Self {
            key,
            unset,
            secret: true,
            meaning,
        }
    }

    /// The environment variable: `OFFBOARDER_CXONE_BASE_URI`.
    pub(crate) fn variable(&self) -> String {
        format!(
            "{PREFIX}{}",
            self.key.replace('.', "_").to_ascii_uppercase()
        )
    }

    /// The variable that names a file holding the value.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable())
    }

    /// The TOML key that names a file holding the value.
    pub(crate) fn file_key(&self) -> String {
        format!("{}_file", self.key)
    }

    /// A value as people may see it.
    pub(super) fn shown(&self, text: &str) -> String {
        // These two have a password as a rule, and what is none of their URLs may be nothing but one.
        let is_address = matches!(self.key, "queue.url" | "checkpoints.url");
        let is_odd = is_address && !text.starts_with("file:") && !text.contains("://");
        if self.secret || is_odd {
            "***".to_owned()
        } else {
            masked(text)
        }
    }

    /// The flag without its dashes, `cxone-base-uri`; secrets have none.
    pub(crate) fn flag(&self) -> Option<String> {
        (!self.secret).then(|| self.key.replace(['.', '_'], "-"))
    }
}

#[rustfmt::skip] // a row a setting
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::open("cxone.base_uri", RequiredBy(&[Worker, Run]), "API origin of the tenant's region; `https`, or `http` on loopback only"),
    Setting::open("cxone.token_uri", Derived("base + `/api/v2/oauth/token`"), "where tokens are issued; `https`, or `http` on loopback only"),
    Setting::open("cxone.client_id", RequiredBy(&[Worker, Run]), "OAuth client"),
    Setting::secret("cxone.client_secret", RequiredBy(&[Worker, Run]), "the OAuth client's secret"),
    Setting::open("cxone.rate_routing", Default("20/s"), "the tenant's quota for routing and user calls, shared by all workers on the same Redis; `off` lifts it"),
    Setting::open("cxone.rate_scim", Default("20/s"), "the tenant's quota for SCIM calls; `off` lifts it"),
    Setting::open("cxone.rate_analytics", Default("5/s"), "the tenant's quota for conversation queries; `off` lifts it"),
    Setting::open("cxone.page_size", Default("500"), "conversations a page, 1 to 500"),
    Setting::open("cxone.history", Default("365d"), "how far back the archive reaches"),
    Setting::open("cxone.window", Default("off"), "longest interval the tenant allows in one query, such as `31d`, in whole days; the archive then covers the history in day-aligned windows, each conversation once"),
    Setting::open("queue.url", RequiredBy(&[Worker, Broker]), "`amqp://` or `amqps://`"),
    Setting::open("queue.ca_file", Nothing, "PEM file of a private CA that `amqps://` also trusts"),
    Setting::open("checkpoints.url", Default("file:./offboarder-data"), "`redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`; `file:` is embedded, for one process. `worker` refuses `file:`"),
    Setting::open("checkpoints.retention", Default("90d"), "how long Redis keeps the checkpoint of a finished user, and a batch after its last one, from `1h` on; `off` keeps them for ever. The manifest stays in the archive store, and a later message finds it there"),
    Setting::open("archive.url", Default("file:./offboarder-data/archive"), "`s3://bucket/prefix/` or `file:`; `worker` refuses `file:` unless `--allow-local-archive`"),
    Setting::open("archive.retention", Default("off"), "Object Lock retention of manifest and archive, such as `compliance:7y`"),
    Setting::open("archive.force_path_style", Default("false"), "for S3-compatible stores"),
    Setting::open("worker.concurrency", Default("16"), "users in progress at once, and the AMQP prefetch, 1 to 1000"),
    Setting::open("worker.max_attempts", Default("8"), "deliveries that may fail for reasons of the user's own before the dead letter"),
    Setting::open("worker.retry_base", Default("2s"), "where exponential backoff with full jitter begins"),
    Setting::open("worker.retry_cap", Default("15m"), "where the backoff ends"),
    Setting::open("worker.slice", Default("10m"), "how long a delivery is held at most, up to `10m`; work that takes longer goes on in a further slice"),
    Setting::open("worker.lease", Default("30s"), "how long a user stays claimed by a worker that died, `1s` to `10m`"),
    Setting::open("worker.shutdown_grace", Default("25s"), "what a SIGTERM leaves for steps in progress"),
    Setting::open("guard.protected", Nothing, "file, or `s3://` object, of IDs or user-name patterns (`*` for any text) that are never touched, one a line; read anew at every look, and unreadable means stop"),
    Setting::open("guard.max_deletions", Default("off"), "brake over all workers, such as `200/1h`; over it deletions wait, nothing fails"),
    Setting::open("guard.delete_grace", Default("0s"), "time between Deactivated and the deletion; a re-run never resets the clock"),
    Setting::open("guard.delete", Default("attempt"), "`never`: this tenant deletes nobody, every user ends at DeactivatedOnly"),
    Setting::secret("integrity.key", Nothing, "key of at least 32 characters that authenticates checkpoints, seals, holds, pauses and the audit log; the same for all workers and operators of a deployment. A checkpoint without a valid code counts as absent, and a seal or a hold without one stops the deletion. Without a key the account is read again before a deletion instead, and `doctor` warns"),
    Setting::open("admin.listen", Default("127.0.0.1:9464"), "`/healthz`, `/readyz`, `/metrics`, `/api/v1`, the console"),
    Setting::secret("admin.token", Nothing, "bearer token; without one only loopback may listen"),
    Setting::secret("admin.read_token", Nothing, "bearer token that reads alone; another than the operator's"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_from_the_key() {
        let base = SETTINGS[0];
        assert_eq!(base.variable(), "OFFBOARDER_CXONE_BASE_URI");
        assert_eq!(base.file_variable(), "OFFBOARDER_CXONE_BASE_URI_FILE");
        assert_eq!(base.file_key(), "cxone.base_uri_file");
        assert_eq!(base.flag().unwrap(), "cxone-base-uri");
    }

    #[test]
    fn no_two_names_are_the_same_not_even_a_file_form() {
        let names: Vec<String> = SETTINGS
            .iter()
            .flat_map(|setting| [setting.variable(), setting.file_variable()])
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(!names.contains(&CONFIG_VARIABLE.to_owned()));
    }

    #[test]
    fn exactly_the_secrets_have_no_flag() {
        let without: Vec<&str> = SETTINGS
            .iter()
            .filter(|setting| setting.flag().is_none())
            .map(|setting| setting.key)
            .collect();
        assert_eq!(
            without,
            [
                "cxone.client_secret",
                "integrity.key",
                "admin.token",
                "admin.read_token"
            ]
        );
    }
}

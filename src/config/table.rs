//! Every setting of this release. The README's table, the file of `offboarder init`, the flags, the
//! variables and the TOML keys are made from this list.

use super::setting::Profile::{Broker, Run, Worker};
use super::setting::Setting;
use super::setting::Unset::{ByProfile, Default, Derived, Nothing, RequiredBy};

/// Declares a constant for each setting, which is how code names it, and the list of all of them: a
/// misspelt name does not compile, and no setting can be missing from the list.
macro_rules! settings {
    ($($name:ident: $kind:ident, $key:literal, $unset:expr, $meaning:expr;)*) => {
        $(pub(super) const $name: Setting = Setting::$kind($key, $unset, $meaning);)*

        pub(crate) const SETTINGS: &[Setting] = &[$($name,)*];
    };
}

settings! {
    CXONE_BASE_URI: open, "cxone.base_uri", RequiredBy(&[Worker, Run]),
        "API origin of the tenant's region; `https`, or `http` on loopback only";
    CXONE_PROFILE: open, "cxone.profile", Default("tutorial"),
        "whose API the tenant has: `tutorial`, `cxone` (NICE's published API) or `genesys` (Genesys \
         Cloud); `docs/tenants.md` has each of them";
    CXONE_CA_FILE: open, "cxone.ca_file", Nothing,
        "PEM file of a private CA that is also trusted for API and tokens, e.g. that of a proxy which \
         reads along";
    CXONE_TOKEN_URI: open, "cxone.token_uri",
        Derived("base + `/api/v2/oauth/token`; `https://cxone.niceincontact.com/auth/token` with the \
         profile `cxone`; base with `login.` for `api.` + `/oauth/token` with `genesys`"),
        "where tokens are issued; `https`, or `http` on loopback only";
    CXONE_CLIENT_ID: open, "cxone.client_id", RequiredBy(&[Worker, Run]),
        "OAuth client";
    CXONE_CLIENT_SECRET: secret, "cxone.client_secret", RequiredBy(&[Worker, Run]),
        "the OAuth client's secret";
    CXONE_ACCESS_KEY_ID: open, "cxone.access_key_id", Nothing,
        "ID of the service employee's access key; the profile `cxone` needs it, and no other does";
    CXONE_ACCESS_KEY_SECRET: secret, "cxone.access_key_secret", Nothing,
        "the access key's secret";
    CXONE_API_VERSION: open, "cxone.api_version", Default("34.0"),
        "profile `cxone`: the version in the paths of ACD";
    CXONE_LEAVE_GROUPS: open, "cxone.leave_groups", Default("true"),
        "profile `genesys`: whether a membership of a queue that comes from a group or a team is \
         ended by leaving the group; with `false` it is left over, and the user is not deleted";
    CXONE_RATE_ROUTING: open, "cxone.rate_routing", ByProfile(["20/s", "2/s", "240/m"]),
        "the tenant's quota for routing and user calls, and for all calls with the profiles `cxone` \
         and `genesys`; shared by all workers on the same Redis; `off` lifts it";
    CXONE_RATE_SCIM: open, "cxone.rate_scim", ByProfile(["20/s", "off", "off"]),
        "the tenant's quota for SCIM calls; `off` lifts it. Only for the profile `tutorial`";
    CXONE_RATE_ANALYTICS: open, "cxone.rate_analytics", ByProfile(["5/s", "off", "off"]),
        "the tenant's quota for conversation queries; `off` lifts it. Only for the profile \
         `tutorial`";
    CXONE_PAGE_SIZE: open, "cxone.page_size", ByProfile(["500", "1000", "100"]),
        "conversations a page, 1 to 500; to 10000 with the profile `cxone`, to 100 with `genesys`";
    CXONE_HISTORY: open, "cxone.history", Default("365d"),
        "how far back the archive reaches";
    CXONE_SETTLE: open, "cxone.settle", ByProfile(["0s", "60m", "15m"]),
        "time between Deactivated and the archive, in which the API comes to show the last \
         conversations";
    CXONE_WINDOW: open, "cxone.window", ByProfile(["off", "30d", "7d"]),
        "longest interval that the tenant allows in one query, in whole days, e.g. `31d`; the \
         archive then covers the history in day-aligned windows and holds each conversation once";
    QUEUE_URL: open, "queue.url", RequiredBy(&[Worker, Broker]),
        "`amqp://` or `amqps://`; several hosts, \
         `amqps://user:password@mq-1:5671,mq-2:5671,mq-3:5671/vhost`, are tried in turn";
    QUEUE_CA_FILE: open, "queue.ca_file", Nothing,
        "PEM file of a private CA that `amqps://` also trusts";
    QUEUE_CLIENT_CERT_FILE: open, "queue.client_cert_file", Nothing,
        "PEM file of a client certificate and its chain, for `amqps://`; without a user in the \
         URL it is the login (SASL EXTERNAL)";
    QUEUE_CLIENT_KEY_FILE: open, "queue.client_key_file", Nothing,
        "PEM file of that certificate's private key, without a passphrase";
    QUEUE_MANAGEMENT_URL: open, "queue.management_url", Nothing,
        "RabbitMQ's management API, e.g. `https://monitor:password@mq-1:15671`: `doctor` reads \
         policies and members of queues there; without a user it logs in as in `OFFBOARDER_QUEUE_URL`";
    CHECKPOINTS_URL: open, "checkpoints.url", Default("file:./offboarder-data"),
        "`redis://`, `redis+sentinel://`, `redis+cluster://`, each with `rediss` for TLS; `file:` is \
         embedded, for one process. `worker` refuses `file:`";
    CHECKPOINTS_CA_FILE: open, "checkpoints.ca_file", Nothing,
        "PEM file of a private CA that `rediss` URLs trust, in place of the system's CAs";
    CHECKPOINTS_CLIENT_CERT_FILE: open, "checkpoints.client_cert_file", Nothing,
        "PEM file of a client certificate and its chain, for Redis, and for sentinels";
    CHECKPOINTS_CLIENT_KEY_FILE: open, "checkpoints.client_key_file", Nothing,
        "PEM file of that certificate's private key, without a passphrase";
    CHECKPOINTS_SENTINEL_PASSWORD: secret, "checkpoints.sentinel_password", Nothing,
        "password of the sentinels themselves; without it, a sentinel that asks for one gets the \
         URL's user and password";
    CHECKPOINTS_RETENTION: open, "checkpoints.retention", Default("90d"),
        "how long Redis keeps the checkpoint of a finished user, and a batch after its last \
         finished user; at least `1h`, `off` keeps them for ever. The manifest stays in the \
         archive store, where a later message finds it";
    ARCHIVE_URL: open, "archive.url", Default("file:./offboarder-data/archive"),
        "`s3://bucket/prefix/` or `file:`; `worker` refuses `file:` unless `--allow-local-archive`";
    ARCHIVE_RETENTION: open, "archive.retention", Default("off"),
        "Object Lock retention of manifest and archive, e.g. `compliance:7y`";
    ARCHIVE_FORCE_PATH_STYLE: open, "archive.force_path_style", Default("false"),
        "for S3-compatible stores: put the bucket in the path of the URL, not in the host name";
    ARCHIVE_CA_FILE: open, "archive.ca_file", Nothing,
        "PEM file of a private CA that is also trusted for S3";
    ARCHIVE_KMS_KEY: open, "archive.kms_key", Nothing,
        "ID, ARN or alias of the AWS KMS key that S3 encrypts every object with (SSE-KMS); without \
         it the bucket decides";
    WORKER_CONCURRENCY: open, "worker.concurrency", Default("16"),
        "users in progress at once, and the AMQP prefetch, 1 to 1000";
    WORKER_MEMORY: open, "worker.memory", Default("256MiB"),
        "memory that all archives under way share, at least `32MiB`; one that finds no room waits. \
         The process needs up to 128 MiB besides";
    WORKER_MAX_ATTEMPTS: open, "worker.max_attempts", Default("8"),
        "attempts for one user that may fail before the message becomes a dead letter";
    WORKER_RETRY_BASE: open, "worker.retry_base", Default("2s"),
        "first delay of the exponential backoff with full jitter";
    WORKER_RETRY_CAP: open, "worker.retry_cap", Default("15m"),
        "longest delay of the backoff";
    WORKER_SLICE: open, "worker.slice", Default("10m"),
        "longest time that a worker holds one delivery, up to `10m`; longer work continues in \
         another time slice";
    WORKER_LEASE: open, "worker.lease", Default("30s"),
        "how long a user stays claimed at most by a worker that does not renew it, `1s` to `10m`; \
         the users of a worker that died are taken over within 5 s";
    WORKER_SHUTDOWN_GRACE: open, "worker.shutdown_grace", Default("25s"),
        "time that steps in progress have to finish after SIGTERM";
    GUARD_PROTECTED: open, "guard.protected", Nothing,
        "file, or `s3://` object, of IDs or user-name patterns (`*` for any text), one a line, \
         that are never touched. It is read again before each use; if it cannot be read, all work \
         stops";
    GUARD_MAX_DELETIONS: open, "guard.max_deletions", Default("500/1h"),
        "deletion rate limit over all workers, e.g. `200/1h`; above it deletions wait and nothing \
         fails";
    GUARD_MAX_REQUESTS: open, "guard.max_requests", Default("1000/1h"),
        "limit of users whom messages name without an order of `submit`; above it they wait until \
         `resume --intake` lets them on, or the time is over. Users of an order never wait for it";
    GUARD_DELETE_GRACE: open, "guard.delete_grace", Default("0s"),
        "time between Deactivated and the deletion; a repeated run never resets the clock";
    GUARD_DELETE: open, "guard.delete", ByProfile(["attempt", "never", "never"]),
        "`attempt` or `never`; with `never` no account is deleted and every user ends at \
         DeactivatedOnly. NICE's published API deletes nobody, so that the profile `cxone` takes \
         only `never`";
    GUARD_APPROVAL: open, "guard.approval", Default("off"),
        "`off`, `always` or `deletions:N`: deletions of an order of more than N users, and those \
         beyond N that a requester has without an approval in 24 hours, need a second person's \
         approval of their plan (`offboarder plan`). Until then users are deactivated and archived, \
         and wait. It needs `OFFBOARDER_ADMIN_PEOPLE`. Once it was stricter, a weaker rule needs an \
         approved plan";
    GUARD_APPROVERS: open, "guard.approvers", Default("1"),
        "how many persons have to approve a plan, 1 to 10; never who made the plan or sent its \
         messages";
    GUARD_APPROVAL_EXPIRY: open, "guard.approval_expiry", Default("72h"),
        "an approval counts only if it comes within that time of the plan";
    GUARD_EXECUTION_EXPIRY: open, "guard.execution_expiry", Default("14d"),
        "a deletion counts as approved for that long after the approval";
    INTEGRITY_KEY: secret, "integrity.key", Nothing,
        "key of at least 32 characters that authenticates checkpoints, seals, holds, pauses and \
         the audit log; the same for all workers and operators of a deployment. A checkpoint \
         without a valid code counts as absent, and a seal or a hold without one stops the \
         deletion. Without a key the account is read again before a deletion instead, and \
         `doctor` warns";
    EVIDENCE_ORIGIN: open, "evidence.origin", Nothing,
        "name of the evidence log, e.g. `example.com/leavers`; it never changes. Where it is set, the log \
         is on: set it for all workers and operators of the deployment (`docs/audit.md`)";
    EVIDENCE_KEY: secret, "evidence.key", Nothing,
        "private key of the evidence log, which `evidence key` made. A worker that has it writes the \
         log; give it to at least two workers, and to nobody else. While it is replaced: the new key, and \
         the one before in a second line";
    EVIDENCE_KMS_KEY: open, "evidence.kms_key", Nothing,
        "ID, ARN or alias of an Ed25519 key in AWS KMS that signs the evidence log, in place of `OFFBOARDER_EVIDENCE_KEY`; while one \
         replaces the other, set both. It needs a binary built with `--features kms` (`docs/audit.md`)";
    EVIDENCE_WITNESSES: open, "evidence.witnesses", Nothing,
        "who cosigns the evidence log (c2sp.org/tlog-witness), separated by commas: the key of a witness, a \
         blank, and its URL. Nothing waits for a witness that does not answer";
    ADMIN_LISTEN: open, "admin.listen", Default("127.0.0.1:9464"),
        "address of `/healthz`, `/readyz`, `/metrics` and `/api/v1`";
    ADMIN_TOKEN: secret, "admin.token", Nothing,
        "operator's bearer token; without a token only loopback may listen";
    ADMIN_READ_TOKEN: secret, "admin.read_token", Nothing,
        "read-only bearer token; must differ from the operator token";
    ADMIN_PEOPLE: open, "admin.people", Nothing,
        "file, or `s3://` object, of people with their roles and the digests of their keys \
         (`offboarder people`); it is read again every few seconds. Where it is set, the API and the \
         commands that change something need a person's key";
    ADMIN_JWT_ISSUER: open, "admin.jwt_issuer", Nothing,
        "issuer (`iss`) of the JWTs of a proxy that signs people in; it needs `..._AUDIENCE` and \
         `..._JWKS`, and `OFFBOARDER_ADMIN_PEOPLE` gives the roles";
    ADMIN_JWT_AUDIENCE: open, "admin.jwt_audience", Nothing,
        "audience (`aud`) that those JWTs have";
    ADMIN_JWT_JWKS: open, "admin.jwt_jwks", Nothing,
        "`https://` URL or file of the issuer's public keys (JWKS), read again every minute";
    ADMIN_JWT_CLAIM: open, "admin.jwt_claim", Default("email"),
        "claim of those JWTs that is the name of the person in the people file";
    ADMIN_JWT_PROXY: open, "admin.jwt_proxy", Nothing,
        "networks, e.g. `10.1.2.0/24, 10.9.9.9`, from which alone those JWTs are accepted: that of the \
         proxy, or of the load balancer behind it; without it from everywhere, since each is checked";
    ADMIN_NAME: open, "admin.name", Nothing,
        "the environment's name, e.g. `production`; the API names it in `/me` and `/overview`";
    ADMIN_ORIGIN: open, "admin.origin", Nothing,
        "`https://` origin at which browsers see the console through a proxy with TLS; without it people \
         sign in with a key on loopback only";
    PERSON_KEY: secret, "person.key", Nothing,
        "your own key, which `people add` printed: where `OFFBOARDER_ADMIN_PEOPLE` is set, commands \
         that change something need it";
    BREAK_GLASS_KEY: secret, "break_glass.key", Nothing,
        "an admin's second key, which `people add --break-glass` printed: with it `plan approve \
         --break-glass` needs nobody else. For an emergency; do not keep it where commands run";
    RUNBOOK_URL: open, "runbook.url", Nothing,
        "address of your copy of the runbook, for links in `/readyz`, in problems of the API and in \
         `dead-letters show`";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::setting::CONFIG_VARIABLE;

    #[test]
    fn names_follow_from_the_key() {
        let base = CXONE_BASE_URI;
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
                "cxone.access_key_secret",
                "checkpoints.sentinel_password",
                "integrity.key",
                "evidence.key",
                "admin.token",
                "admin.read_token",
                "person.key",
                "break_glass.key"
            ]
        );
    }
}

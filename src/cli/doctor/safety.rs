//! Checks for settings that work, but are less safe than they could be.

use super::super::compose;
use super::finding::Finding;
use crate::address::{RedisKind, is_loopback};
use crate::config::{ArchiveLocation, CheckpointsUrl, Guard, Queue, Settings};
use crate::failure::{Code, Failure};
use crate::integrity::Integrity;
use crate::limits::DeletePolicy;
use crate::ports::BucketHealth as _;
use crate::registers::rule_in_force;

const VERSIONS: &str = "archive versions";
const LOCK: &str = "archive lock";

pub(super) async fn check(settings: &Settings, queue: Option<&Queue>) -> Vec<Finding> {
    let mut findings = evidence(settings).await;
    findings.push(limits(&settings.guard));
    findings.extend(approval(settings).await);
    findings.extend(integrity(&settings.integrity));
    if let Some(queue) = queue {
        let servers = queue.url.servers.iter();
        let hosts: Vec<&str> = servers.map(|(host, _port)| host.as_str()).collect();
        let user = queue
            .url
            .login
            .as_ref()
            .map(|(user, _password)| user.as_str());
        // Without a name in the URL it is guest, or the certificate says who we are.
        let user = user.or_else(|| queue.tls.client.is_none().then_some("guest"));
        findings.extend(user.and_then(|user| guest(user, &hosts)));
        if !queue.url.tls {
            findings.extend(in_clear("OFFBOARDER_QUEUE_URL", &hosts, "amqps://"));
        }
    }
    if let Some(url) = queue.and_then(|queue| queue.management.as_ref())
        && !url.tls
    {
        let setting = "OFFBOARDER_QUEUE_MANAGEMENT_URL";
        findings.extend(in_clear(setting, &[url.host.as_str()], "https://"));
    }
    match &settings.checkpoints {
        CheckpointsUrl::Embedded(_) => {}
        CheckpointsUrl::Redis(url) if url.tls => {}
        CheckpointsUrl::Redis(url) => {
            let hosts: Vec<&str> = url
                .servers
                .iter()
                .map(|(host, _port)| host.as_str())
                .collect();
            let scheme = match url.kind {
                RedisKind::Single => "rediss://",
                RedisKind::Sentinel { .. } => "rediss+sentinel://",
                RedisKind::Cluster => "rediss+cluster://",
            };
            findings.extend(in_clear("OFFBOARDER_CHECKPOINTS_URL", &hosts, scheme));
        }
    }

    findings
}

/// Checks whether stored objects can be removed or rewritten without a trace.
async fn evidence(settings: &Settings) -> Vec<Finding> {
    let (bucket, prefix) = match &settings.archive.location {
        ArchiveLocation::S3 { bucket, prefix } => (bucket, prefix),
        ArchiveLocation::Directory(_) => {
            let detail = "a directory keeps no versions: anyone who can write to it can rewrite manifests and archives";
            return vec![Finding::warning(
                VERSIONS,
                detail,
                "keep archives in a bucket with versions and Object Lock",
            )];
        }
    };
    // Another finding says why there is no store.
    let Ok(store) = compose::s3_store(&settings.archive, bucket, prefix).await else {
        return Vec::new();
    };
    let (versions, locks) = tokio::join!(store.keeps_versions(), async {
        match settings.archive.retention {
            // Another finding covers this case.
            Some(_) => None,
            None => Some(store.keeps_locks().await),
        }
    });
    let versions = match store.lists_versions().await {
        Ok(false) => Some(Finding::warning(
            VERSIONS,
            "the store does not list versions (ListObjectVersions): `verify` checks what it returns now, and cannot read \
             older versions or delete markers",
            "keep archives in a store that lists versions, in a bucket with versions and Object Lock",
        )),
        // A store that does not answer has a finding of its own.
        Ok(true) | Err(_) => kept_versions(versions),
    };
    let locks = locks.and_then(|locks| {
        let detail =
            "OFFBOARDER_ARCHIVE_RETENTION is off: anyone who can delete objects can remove archives and manifests";
        kept(
            LOCK,
            locks.map(|_keeps| false),
            ("", detail),
            (
                "use a bucket with Object Lock, and set OFFBOARDER_ARCHIVE_RETENTION",
                "s3:GetBucketObjectLockConfiguration",
            ),
        )
    });

    versions.into_iter().chain(locks).collect()
}

fn kept_versions(versions: Result<bool, Failure>) -> Option<Finding> {
    kept(
        VERSIONS,
        versions,
        (
            "the bucket keeps versions",
            "the bucket keeps no versions: what is overwritten or deleted is gone",
        ),
        ("turn on versioning of the bucket", "s3:GetBucketVersioning"),
    )
}

/// `None` if the store does not respond: another finding covers that.
fn kept(
    check: &str,
    keeps: Result<bool, Failure>,
    (good, bad): (&str, &str),
    (remedy, permission): (&str, &str),
) -> Option<Finding> {
    match keeps {
        Ok(true) => Some(Finding::good(check, good)),
        Ok(false) => Some(Finding::warning(check, bad, remedy)),
        Err(failure) if failure.code == Code::ArchiveDenied => {
            let detail = format!("unknown: {}", failure.text);
            Some(Finding::warning(
                check,
                detail,
                format!("grant {permission} on the bucket"),
            ))
        }
        Err(_unreachable) => None,
    }
}

/// Says which guards are off. Without a limit, one wrong list or program reaches all users whom it names.
fn limits(guard: &Guard) -> Finding {
    const CHECK: &str = "guards";
    let off = guard.off();
    let detail = match off.as_slice() {
        [] => "all are on".to_owned(),
        off => format!("off: {}", off.join(", ")),
    };
    let unlimited = guard.max_deletions.is_none() && guard.delete != DeletePolicy::Never;
    if unlimited || guard.max_requests.is_none() {
        let remedy = "remove OFFBOARDER_GUARD_MAX_DELETIONS=off and OFFBOARDER_GUARD_MAX_REQUESTS=off: the defaults limit what one \
                      mistake reaches";
        return Finding::warning(CHECK, detail, remedy);
    }
    Finding::good(CHECK, detail)
}

/// Checks whether the rule of approvals is the one of the settings.
async fn approval(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "approval";
    let rule = settings.guard.approval;
    // Another finding says why there is no store, or why it does not respond.
    let store = compose::archive_store(settings).await.ok()?;
    let in_force = rule_in_force(&*store, rule).await.ok()?;
    if let Some(instead) = in_force.instead {
        let remedy = "set OFFBOARDER_GUARD_APPROVAL and its companions as they were, or have a plan of settings approved";
        return Some(Finding::warning(CHECK, instead, remedy));
    }
    if rule.is_off() {
        return None;
    }
    if settings.integrity.has_key() {
        return Some(Finding::good(CHECK, rule.to_string()));
    }
    let detail = "there is no integrity key: anyone who can write to the bucket can approve plans";
    let remedy = "create a key with `openssl rand -hex 32`, and set OFFBOARDER_INTEGRITY_KEY_FILE for each worker and operator";
    Some(Finding::warning(CHECK, detail, remedy))
}

/// Checks whether a password crosses a network in clear text. The URL itself is not shown.
fn in_clear(setting: &str, hosts: &[&str], better: &str) -> Option<Finding> {
    if hosts.iter().all(|host| is_loopback(host)) {
        return None;
    }
    Some(Finding::warning(
        format!("{setting} in clear"),
        "the connection goes to another host without TLS: anyone on the network path can read the password and change the data",
        format!(
            "use {better} if the server supports it, or restrict this network to servers and workers"
        ),
    ))
}

/// Checks whether a broker of others has the user that every installation begins with.
fn guest(user: &str, hosts: &[&str]) -> Option<Finding> {
    let is_elsewhere = !hosts.iter().all(|host| is_loopback(host));
    (user == "guest" && is_elsewhere).then(|| {
        Finding::warning(
            "RabbitMQ user",
            "OFFBOARDER_QUEUE_URL logs in as guest, whom every installation knows and who may do everything",
            "create a user for workers and one for publishers, each with its own rights, and remove guest",
        )
    })
}

/// Checks whether records are signed, so that records of others are detected.
fn integrity(integrity: &Integrity) -> Option<Finding> {
    (!integrity.has_key()).then(|| {
        Finding::warning(
            "integrity key",
            "there is no key: anyone who can write to Redis or to the bucket can lift holds and pauses in the name of others",
            "create a key with `openssl rand -hex 32`, and set OFFBOARDER_INTEGRITY_KEY_FILE for each worker and operator",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::DocumentLocation;
    use crate::failure::Class;
    use crate::limits::ApprovalRule;
    use crate::limits::RateLimit;
    use crate::secret::Secret;

    #[test]
    fn connections_to_other_hosts_in_clear_text_are_a_warning() {
        for plain in [
            &["mq-1"][..],
            &["2001:db8::5"],
            &["10.0.0.1"],
            &["localhost", "redis-2"],
        ] {
            let finding = in_clear("OFFBOARDER_QUEUE_URL", plain, "amqps://").unwrap();
            assert!(finding.ok && finding.warning, "{plain:?}");
        }
        for local in [&["localhost"][..], &["::1"], &["127.0.0.1", "::1"], &[]] {
            assert!(
                in_clear("OFFBOARDER_QUEUE_URL", local, "amqps://").is_none(),
                "{local:?}"
            );
        }
    }

    #[test]
    fn the_user_guest_is_a_warning_at_another_host() {
        assert!(guest("guest", &["mq-1"]).is_some_and(|finding| finding.warning && finding.ok));
        assert!(guest("guest", &["127.0.0.1"]).is_none());
        assert!(guest("offboarder", &["mq-1"]).is_none());
    }

    #[test]
    fn a_missing_integrity_key_is_a_warning() {
        assert!(integrity(&Integrity::default()).is_some_and(|finding| finding.warning));
        let key = Secret::new(&"k".repeat(32));
        assert!(integrity(&Integrity::new(Some(&key))).is_none());
    }

    #[test]
    fn guards_that_are_off_are_named_and_a_missing_limit_is_a_warning() {
        let limit = Some(RateLimit {
            count: 1,
            per: Duration::from_hours(1),
        });
        let usual = Guard {
            protected: None,
            max_deletions: limit,
            max_requests: limit,
            delete_grace: Duration::ZERO,
            delete: DeletePolicy::Attempt,
            approval: ApprovalRule::OFF,
        };
        let finding = limits(&usual);
        assert!(finding.ok && !finding.warning);
        let expected = "off: OFFBOARDER_GUARD_DELETE_GRACE, OFFBOARDER_GUARD_APPROVAL, OFFBOARDER_GUARD_PROTECTED";
        assert_eq!(finding.detail, expected);

        for (guard, named) in [
            (
                Guard {
                    max_deletions: None,
                    ..usual.clone()
                },
                "OFFBOARDER_GUARD_MAX_DELETIONS",
            ),
            (
                Guard {
                    max_requests: None,
                    ..usual.clone()
                },
                "OFFBOARDER_GUARD_MAX_REQUESTS",
            ),
        ] {
            let finding = limits(&guard);
            assert!(
                finding.warning && finding.detail.contains(named),
                "{guard:?}"
            );
        }

        let all = Guard {
            protected: Some(DocumentLocation::File("x".into())),
            delete: DeletePolicy::Never,
            max_deletions: None,
            ..usual
        };
        assert_eq!(limits(&all).detail, "all are on");
    }

    #[test]
    fn an_unknown_is_a_warning_and_an_outage_is_left_to_another_finding() {
        let kept = |keeps| {
            kept(
                VERSIONS,
                keeps,
                ("good", "bad"),
                ("remedy", "s3:GetBucketVersioning"),
            )
        };
        assert!(kept(Ok(true)).is_some_and(|finding| !finding.warning));
        assert!(kept(Ok(false)).is_some_and(|finding| finding.warning && finding.ok));
        let failed = |code| Err(Failure::new(Class::Systemic, code, "no".to_owned()));
        let denied = kept(failed(Code::ArchiveDenied)).unwrap();
        assert!(denied.warning && denied.remedy.unwrap().contains("s3:GetBucketVersioning"));
        assert!(kept(failed(Code::ArchiveUnreachable)).is_none());
    }
}

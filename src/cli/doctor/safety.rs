//! What works, and leaves more to chance or to others than it has to.

use std::net::IpAddr;

use super::super::compose;
use super::finding::Finding;
use crate::address::RedisKind;
use crate::config::{ArchiveLocation, CheckpointsUrl, Cxone, Guard, Settings};
use crate::failure::{Code, Failure};
use crate::integrity::Integrity;
use crate::limits::DeletePolicy;
use crate::ports::BucketHealth as _;

const VERSIONS: &str = "archive versions";
const LOCK: &str = "archive lock";

pub(super) async fn look(settings: &Settings<Cxone>) -> Vec<Finding> {
    let mut findings = evidence(settings).await;
    findings.extend(limits(&settings.guard));
    findings.extend(integrity(&settings.integrity));
    if let Some(queue) = &settings.queue {
        let hosts = (!queue.url.tls).then_some([queue.url.host.as_str()]);
        findings
            .extend(hosts.and_then(|hosts| in_clear("OFFBOARDER_QUEUE_URL", &hosts, "amqps://")));
    }
    match &settings.checkpoints {
        CheckpointsUrl::Embedded(_) => {}
        CheckpointsUrl::Redis(url) if url.kind == RedisKind::Tls => {}
        CheckpointsUrl::Redis(url) => {
            let hosts: Vec<&str> = url
                .servers
                .iter()
                .map(|(host, _port)| host.as_str())
                .collect();
            findings.extend(in_clear("OFFBOARDER_CHECKPOINTS_URL", &hosts, "rediss://"));
        }
    }
    findings
}

/// Whether what is stored can be removed or rewritten without a trace.
async fn evidence(settings: &Settings<Cxone>) -> Vec<Finding> {
    let (bucket, prefix) = match &settings.archive.location {
        ArchiveLocation::S3 { bucket, prefix } => (bucket, prefix),
        ArchiveLocation::Directory(_) => {
            let detail = "a directory keeps no versions: who may write to it can rewrite manifests and archives";
            return vec![Finding::warning(
                VERSIONS,
                detail,
                "keep archives in a bucket with versions and Object Lock",
            )];
        }
    };
    // Another row says why there is none.
    let Ok(store) = compose::s3_store(&settings.archive, bucket, prefix).await else {
        return Vec::new();
    };
    let (versions, locks) = tokio::join!(store.keeps_versions(), async {
        match settings.archive.retention {
            // Another row tells of it.
            Some(_) => None,
            None => Some(store.keeps_locks().await),
        }
    });
    let versions = kept(
        VERSIONS,
        versions,
        (
            "the bucket keeps versions",
            "the bucket keeps no versions: what is overwritten or deleted is gone",
        ),
        (
            "turn on versioning for the bucket",
            "s3:GetBucketVersioning",
        ),
    );
    let locks = locks.and_then(|locks| {
        let detail =
            "OFFBOARDER_ARCHIVE_RETENTION is off: who may delete can remove archives and manifests";
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

/// `None` where the store gives no answer: another row tells of that.
fn kept(
    check: &str,
    keeps: Result<bool, Failure>,
    (well, ill): (&str, &str),
    (fix, right): (&str, &str),
) -> Option<Finding> {
    match keeps {
        Ok(true) => Some(Finding::well(check, well)),
        Ok(false) => Some(Finding::warning(check, ill, fix)),
        Err(failure) if failure.code == Code::ArchiveDenied => {
            let detail = format!("it cannot be said whether this is so: {}", failure.text);
            Some(Finding::warning(
                check,
                detail,
                format!("grant {right} on the bucket"),
            ))
        }
        Err(_out_of_reach) => None,
    }
}

/// Whether anything limits what one wrong list can delete.
fn limits(guard: &Guard) -> Option<Finding> {
    let limited =
        guard.max_deletions.is_some() || !guard.delete_grace.is_zero() || guard.protected.is_some();
    if limited || guard.delete == DeletePolicy::Never {
        return None;
    }
    Some(Finding::warning(
        "limits",
        "neither a brake, nor a grace, nor a protected list is set: one wrong list deletes every user whom it names",
        "set OFFBOARDER_GUARD_MAX_DELETIONS, OFFBOARDER_GUARD_DELETE_GRACE or OFFBOARDER_GUARD_PROTECTED",
    ))
}

/// Whether a password crosses a network as it is. The URL itself is not shown.
fn in_clear(setting: &str, hosts: &[&str], better: &str) -> Option<Finding> {
    if hosts.iter().all(|host| is_loopback(host)) {
        return None;
    }
    Some(Finding::warning(
        format!("{setting} in clear"),
        "it goes to another host without TLS: whoever is on the way reads the password, and can change what is said",
        format!(
            "use {better} where the server offers it, or keep this network to servers and workers"
        ),
    ))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether records of ours are told from those of others.
fn integrity(integrity: &Integrity) -> Option<Finding> {
    (!integrity.has_key()).then(|| {
        Finding::warning(
            "integrity key",
            "there is none: whoever may write to Redis or to the bucket can lift holds and pauses, and say who asked",
            "make one with `openssl rand -hex 32`, and set OFFBOARDER_INTEGRITY_KEY_FILE for every worker and operator",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::ProtectedLocation;
    use crate::failure::Class;
    use crate::limits::DeletionRateLimit;
    use crate::secret::Secret;

    #[test]
    fn plain_connections_to_other_hosts_are_warned_of() {
        for plain in [
            &["mq-1"][..],
            &["2001:db8::5"],
            &["10.0.0.1"],
            &["localhost", "redis-2"],
        ] {
            let finding = in_clear("OFFBOARDER_QUEUE_URL", plain, "amqps://").unwrap();
            assert!(finding.ok && finding.warning, "{plain:?}");
        }
        for well in [&["localhost"][..], &["::1"], &["127.0.0.1", "::1"], &[]] {
            assert!(
                in_clear("OFFBOARDER_QUEUE_URL", well, "amqps://").is_none(),
                "{well:?}"
            );
        }
    }

    #[test]
    fn a_deployment_without_a_key_is_warned() {
        assert!(integrity(&Integrity::default()).is_some_and(|finding| finding.warning));
        let key = Secret::new(&"k".repeat(32));
        assert!(integrity(&Integrity::new(Some(&key))).is_none());
    }

    #[test]
    fn one_limit_of_any_kind_is_enough_and_none_is_a_warning() {
        let none = Guard {
            protected: None,
            max_deletions: None,
            delete_grace: Duration::ZERO,
            delete: DeletePolicy::Attempt,
        };
        assert!(limits(&none).is_some_and(|finding| finding.warning));
        for limited in [
            Guard {
                protected: Some(ProtectedLocation::File("x".into())),
                ..none.clone()
            },
            Guard {
                max_deletions: Some(DeletionRateLimit {
                    count: 1,
                    per: Duration::from_hours(1),
                }),
                ..none.clone()
            },
            Guard {
                delete_grace: Duration::from_hours(1),
                ..none.clone()
            },
            Guard {
                delete: DeletePolicy::Never,
                ..none.clone()
            },
        ] {
            assert!(limits(&limited).is_none(), "{limited:?}");
        }
    }

    #[test]
    fn what_the_store_does_not_tell_is_a_warning_and_an_outage_is_another_rows() {
        let kept = |keeps| {
            kept(
                VERSIONS,
                keeps,
                ("well", "ill"),
                ("fix", "s3:GetBucketVersioning"),
            )
        };
        assert!(kept(Ok(true)).is_some_and(|finding| !finding.warning));
        assert!(kept(Ok(false)).is_some_and(|finding| finding.warning && finding.ok));
        let failed = |code| Err(Failure::new(Class::Systemic, code, "no".to_owned()));
        let denied = kept(failed(Code::ArchiveDenied)).unwrap();
        assert!(denied.warning && denied.mend.unwrap().contains("s3:GetBucketVersioning"));
        assert!(kept(failed(Code::ArchiveUnreachable)).is_none());
    }
}

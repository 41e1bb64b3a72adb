//! What the tenant's API shows to reads for a user that does not exist: reachability, credentials, scopes, SCIM, quota and
//! clock.

use std::time::Duration;

use jiff::Timestamp;

use super::super::compose;
use super::finding::Finding;
use super::survey;
use crate::clock::Clock;
use crate::config::{Cxone, Guard};
use crate::job::UserId;
use crate::limits::DeletePolicy;
use crate::ports::{ReadFacts, RefusalCause, RefusedRead, Tenant, TenantRead};
use crate::profile::TenantProfile;
use crate::progress::Progress;

/// The scopes that the token needs, and the read that shows each of them without a change.
const SCOPES: [(&str, Option<TenantRead>); 8] = [
    ("user:read", Some(TenantRead::User)),
    ("iam:write", None),
    ("routing:read", Some(TenantRead::Routing)),
    ("routing:write", None),
    ("scim:read", Some(TenantRead::Account)),
    ("scim:write", None),
    ("conversations:read", Some(TenantRead::Conversations)),
    ("analytics:read", Some(TenantRead::Conversations)),
];
/// S3 accepts a quarter of an hour; what waits for a date of CXone's is late by as much as the clock is off.
const MAX_SKEW: Duration = Duration::from_mins(1);
const CREDENTIALS: &str = "CXone credentials";
const API: &str = "CXone API";
const SCIM: &str = "SCIM";
const NOT_EXAMINED: &str = "not examined, for the reason in another row";

type Outcome = Result<ReadFacts, RefusedRead>;

pub(super) async fn examine(cxone: &Cxone, guard: &Guard, user_id: Option<UserId>) -> Vec<Finding> {
    let tenant = match compose::tenant(cxone, compose::local_quotas(), Progress::default()) {
        Ok(tenant) => tenant,
        Err(error) => {
            return vec![Finding::bad(
                API,
                error.to_string(),
                "fix OFFBOARDER_CXONE_…",
            )];
        }
    };
    let granted = match tenant.scopes().await {
        Ok(granted) => granted,
        Err(failure) => return vec![Finding::failed(CREDENTIALS, failure)],
    };

    let mut findings = vec![Finding::good(
        CREDENTIALS,
        format!("a token was issued by {}", cxone.token_uri),
    )];
    let reads = Reads::make(&*tenant, &Clock::system()).await;
    let api = reads.api(cxone);
    let answers = api.ok;
    findings.push(api);
    if !answers {
        findings.extend(survey::what_is_wrong(&*tenant).await);
        return findings;
    }

    findings.extend(reads.clock());
    let preset = cxone.profile.preset();
    if cxone.profile.is_tutorial() {
        let deletes = guard.delete == DeletePolicy::Attempt;
        findings.extend(
            SCOPES
                .iter()
                .map(|(scope, read)| reads.scope(scope, *read, granted.as_deref(), deletes)),
        );
        findings.push(reads.scim());
    } else {
        findings.extend(reads.rights());
        findings.push(untried(cxone.profile));
    }
    if preset.one_budget {
        findings.push(reads.quota("routing", &TenantRead::ALL));
    } else {
        for (class, of_class) in [
            ("routing", vec![TenantRead::User, TenantRead::Routing]),
            ("scim", vec![TenantRead::Account]),
            ("analytics", vec![TenantRead::Conversations]),
        ] {
            findings.push(reads.quota(class, &of_class));
        }
    }
    findings.extend(survey::of_tenant(&*tenant).await);
    if let Some(user_id) = user_id {
        findings.extend(survey::of_user(&*tenant, user_id, cxone).await);
    }
    findings
}

/// A profile that no live tenant has shown to be right is used with care.
fn untried(profile: TenantProfile) -> Finding {
    Finding::warning(
        "profile",
        format!("{profile} was tried on a simulator only, and on no live tenant yet"),
        "try `offboarder doctor --user ID` with a user who has left, then `offboarder run --rehearsal ID` with a user \
         that nobody needs (docs/tenants.md)",
    )
}

/// One read of each kind, and when its answer came.
struct Reads(Vec<(TenantRead, Outcome, Timestamp)>);

impl Reads {
    async fn make(tenant: &dyn Tenant, clock: &Clock) -> Self {
        let reads = TenantRead::ALL
            .map(|read| async move { (read, tenant.examine(read).await, clock.now()) });
        Self(futures_util::future::join_all(reads).await)
    }

    fn of(&self, wanted: TenantRead) -> Option<&Outcome> {
        self.0
            .iter()
            .find(|(read, _, _)| *read == wanted)
            .map(|(_, outcome, _)| outcome)
    }

    /// Whether the API answers at all, and accepts the token.
    fn api(&self, cxone: &Cxone) -> Finding {
        let fault = self
            .0
            .iter()
            .find_map(|(read, outcome, _)| api_fault(*read, outcome, cxone));
        fault.unwrap_or_else(|| {
            let text = format!("{} answers, and accepts the token", cxone.base_uri);
            Finding::good(API, text)
        })
    }

    fn clock(&self) -> Option<Finding> {
        let skews = self.0.iter().filter_map(|(_, outcome, at)| {
            let server = outcome.as_ref().ok()?.server_time?;
            Some(at.duration_since(server))
        });
        let skew = skews.max_by_key(|skew| skew.unsigned_abs())?;
        let seconds = skew.unsigned_abs().as_secs();
        let way = if skew.is_negative() {
            "behind"
        } else {
            "ahead of"
        };

        Some(if skew.unsigned_abs() > MAX_SKEW {
            Finding::bad(
                "clock",
                format!("this host's clock is {seconds} s {way} that of the API"),
                "synchronise this host's clock (NTP): signatures of S3, tokens and dates depend on it",
            )
        } else {
            Finding::good("clock", format!("{seconds} s from that of the API"))
        })
    }

    fn scope(
        &self,
        scope: &str,
        read: Option<TenantRead>,
        granted: Option<&str>,
        deletes: bool,
    ) -> Finding {
        let check = format!("scope {scope}");
        let is_granted = |scope: &str| {
            granted.map(|granted| granted.split_ascii_whitespace().any(|one| one == scope))
        };
        // A call that needs two scopes does not say which of them is missing.
        let lacks_the_other = || {
            SCOPES
                .iter()
                .filter(|(other, of)| *other != scope && *of == read)
                .any(|(other, _)| is_granted(other) == Some(false))
        };
        let lacks_a_scope = |refused: &RefusedRead| refused.cause == RefusalCause::MissingScope;

        match (read.and_then(|read| self.of(read)), is_granted(scope)) {
            (_, Some(false)) if scope == "iam:write" && !deletes => {
                let text = "not granted, and not needed, since OFFBOARDER_GUARD_DELETE is never";
                Finding::good(check, text)
            }
            // At some tenants a scope comes with another one.
            (Some(Ok(_)), _) => Finding::good(check, "a call that needs it was accepted"),
            (Some(Err(refused)), Some(true)) if lacks_a_scope(refused) && lacks_the_other() => {
                Finding::good(check, "granted, as the token says")
            }
            (Some(Err(refused)), _) if lacks_a_scope(refused) => scope_missing(check, scope),
            (_, Some(false)) => scope_missing(check, scope),
            (_, Some(true)) => Finding::good(check, "granted, as the token says"),
            (_, None) => Finding::good(
                check,
                "the token endpoint does not list it; only a write would show it",
            ),
        }
    }

    /// Whether the reads that off-boarding makes are allowed, where the token lists no scopes.
    fn rights(&self) -> Vec<Finding> {
        let right = |(read, outcome, _): &(TenantRead, Outcome, Timestamp)| {
            let check = format!("reads: {}", words_of(*read));
            match outcome {
                Ok(_) => Finding::good(check, "accepted"),
                Err(refused) if refused.cause == RefusalCause::Throttled => {
                    Finding::good(check, NOT_EXAMINED)
                }
                Err(refused) => Finding::failed(check, refused.failure.clone()),
            }
        };
        self.0.iter().map(right).collect()
    }

    fn scim(&self) -> Finding {
        match self.of(TenantRead::Account) {
            Some(outcome) => match scim_fault(outcome) {
                Some(fault) => Finding::bad(
                    SCIM,
                    fault,
                    "have SCIM enabled for the tenant (the vendor's support does so), and identities managed by it",
                ),
                None if outcome.is_ok() => Finding::good(
                    SCIM,
                    "it answers for a user that does not exist; the first real user shows whether it knows the others",
                ),
                None => Finding::good(SCIM, NOT_EXAMINED),
            },
            None => Finding::good(SCIM, NOT_EXAMINED),
        }
    }

    fn quota(&self, class: &str, of_class: &[TenantRead]) -> Finding {
        let check = format!("quota {class}");
        let fix = quota_fix(class);
        let outcomes = || of_class.iter().filter_map(|read| self.of(*read));

        let is_used_up = outcomes().any(
            |outcome| matches!(outcome, Err(refused) if refused.cause == RefusalCause::Throttled),
        );
        if is_used_up {
            return Finding::bad(check, "it is used up: CXone answers 429", fix);
        }

        let least = outcomes()
            .filter_map(|outcome| outcome.as_ref().ok()?.quota_left)
            .min();
        match least {
            Some((left, limit)) if left.saturating_mul(10) <= limit => Finding::bad(
                check,
                format!("nearly used up: {left} calls of {limit} are left"),
                fix,
            ),
            Some((left, limit)) => {
                Finding::good(check, format!("{left} calls of {limit} are left"))
            }
            None => Finding::good(check, "a call was accepted, or failed for another reason"),
        }
    }
}

const fn words_of(read: TenantRead) -> &'static str {
    match read {
        TenantRead::User => "users",
        TenantRead::Routing => "routing",
        TenantRead::Account => "access",
        TenantRead::Conversations => "conversations",
    }
}

fn api_fault(read: TenantRead, outcome: &Outcome, cxone: &Cxone) -> Option<Finding> {
    let base = &cxone.base_uri;
    match outcome {
        // An empty folder of any web server answers 404, too.
        Ok(ReadFacts {
            status: status @ (200..=299 | 404 | 410),
            is_own: false,
            ..
        }) if read != TenantRead::Account => Some(Finding::bad(
            API,
            format!("{base} answers {status}, but not as CXone answers (JSON)"),
            "have firewall and proxy let this host's calls through; OFFBOARDER_CXONE_BASE_URI has to \
             be the origin of the tenant's API itself",
        )),
        Ok(_) => None,
        Err(RefusedRead { cause, failure }) => match cause {
            RefusalCause::Token { status } => Some(Finding::bad(
                API,
                format!("{base} refuses a token that was just issued ({status})"),
                format!(
                    "OFFBOARDER_CXONE_BASE_URI belongs to another region or environment than {}: set the \
                     tenant's own",
                    cxone.token_uri
                ),
            )),
            // Each of these has a row of its own.
            RefusalCause::MissingScope | RefusalCause::Throttled => None,
            RefusalCause::Rejected { status: 403, .. } if !cxone.profile.is_tutorial() => None,
            RefusalCause::Rejected { .. } | RefusalCause::Foreign { .. }
                if read == TenantRead::Account =>
            {
                None
            }
            RefusalCause::Rejected { .. } | RefusalCause::Foreign { .. } | RefusalCause::Other => {
                Some(Finding::failed(API, failure.clone()))
            }
        },
    }
}

fn scim_fault(outcome: &Outcome) -> Option<String> {
    match outcome {
        Ok(ReadFacts {
            status: status @ (405 | 501),
            ..
        }) => Some(format!("it is not offered to this tenant ({status})")),
        Ok(ReadFacts {
            status: status @ (404 | 410),
            is_scim_error: false,
            ..
        }) => Some(format!(
            "its path leads nowhere ({status}, and not as SCIM answers, RFC 7644 section 3.12): every user \
             would be missing there"
        )),
        Ok(ReadFacts {
            status: 200..=299,
            is_own: false,
            ..
        }) => Some("something else answers there: not JSON".to_owned()),
        Ok(_) => None,
        Err(RefusedRead { cause, .. }) => match cause {
            RefusalCause::Foreign { status, shown } => Some(format!(
                "it is refused ({status}), and not as CXone answers ({shown})"
            )),
            RefusalCause::Rejected { status, code } => Some(format!(
                "it is refused ({status}{code}), and not for a missing scope"
            )),
            RefusalCause::Token { .. }
            | RefusalCause::MissingScope
            | RefusalCause::Throttled
            | RefusalCause::Other => None,
        },
    }
}

fn scope_missing(check: String, scope: &str) -> Finding {
    Finding::bad(
        check,
        format!("the OAuth client lacks the scope {scope}"),
        "grant it in the CXone admin console; the next token has it, since a token keeps the scopes that \
         it was issued with",
    )
}

fn quota_fix(class: &str) -> String {
    let more = if class == "analytics" {
        "; a smaller OFFBOARDER_CXONE_PAGE_SIZE (200) may help"
    } else {
        ""
    };
    format!(
        "lower OFFBOARDER_CXONE_RATE_{}, or find out who else uses this tenant's quota{more}",
        class.to_uppercase()
    )
}

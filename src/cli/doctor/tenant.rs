use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::compose;
use super::finding::Finding;
use crate::adapters::cxone::{Alone, Client, CxoneError, Look, Seen};
use crate::config::{Cxone, Settings};
use crate::limits::DeletePolicy;

/// What the token must be good for, and the reading call that shows it without a change.
const SCOPES: [(&str, Option<Look>); 8] = [
    ("user:read", Some(Look::User)),
    ("iam:write", None),
    ("routing:read", Some(Look::Routing)),
    ("routing:write", None),
    ("scim:read", Some(Look::Scim)),
    ("scim:write", None),
    ("conversations:read", Some(Look::Conversations)),
    ("analytics:read", Some(Look::Conversations)),
];
/// S3 takes a quarter of an hour; what waits for a date of CXone's is late by as much as the clock is off.
const MAX_SKEW: Duration = Duration::from_mins(1);
const CREDENTIALS: &str = "CXone credentials";
const API: &str = "CXone API";
const SCIM: &str = "SCIM";

type Looked = Result<Seen, CxoneError>;

/// What the tenant's API shows to calls that change nothing.
pub(super) async fn check(settings: &Settings<Cxone>) -> Vec<Finding> {
    let client = match compose::client(&settings.cxone, Arc::new(Alone::default())) {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::bad(
                API,
                error.to_string(),
                "mend OFFBOARDER_CXONE_…",
            )];
        }
    };
    let granted = match client.scopes().await {
        Ok(granted) => granted,
        Err(error) => return vec![Finding::failed(CREDENTIALS, error)],
    };
    let cxone = &settings.cxone;
    let mut findings = vec![Finding::good(
        CREDENTIALS,
        format!("a token was issued by {}", cxone.token_uri),
    )];
    let looks = Looks::at(&client).await;
    let api = looks.api(cxone);
    let is_let_in = api.ok;
    findings.push(api);
    if !is_let_in {
        return findings;
    }
    findings.extend(looks.clock());
    let deletes = settings.guard.delete == DeletePolicy::Attempt;
    findings.extend(
        SCOPES
            .iter()
            .map(|(scope, look)| looks.scope(scope, *look, granted.as_deref(), deletes)),
    );
    findings.push(looks.scim());
    for (class, of_class) in [
        ("routing", vec![Look::User, Look::Routing]),
        ("scim", vec![Look::Scim]),
        ("analytics", vec![Look::Conversations]),
    ] {
        findings.push(looks.quota(class, &of_class));
    }
    findings
}

/// One reading call of each kind, and when its answer came.
struct Looks(Vec<(Look, Looked, SystemTime)>);

impl Looks {
    async fn at(client: &Client) -> Self {
        let one = |look| async move { (look, client.look(look).await, SystemTime::now()) };
        let (user, routing, scim, conversations) = tokio::join!(
            one(Look::User),
            one(Look::Routing),
            one(Look::Scim),
            one(Look::Conversations)
        );
        Self(vec![user, routing, scim, conversations])
    }

    fn of(&self, wanted: Look) -> Option<&Looked> {
        self.0
            .iter()
            .find(|(look, _, _)| *look == wanted)
            .map(|(_, looked, _)| looked)
    }

    /// Whether the API answers at all, and takes the token.
    fn api(&self, cxone: &Cxone) -> Finding {
        for (look, looked, _) in &self.0 {
            match looked {
                Err(CxoneError::Unauthorized { status, .. }) => {
                    return Finding::bad(
                        API,
                        format!(
                            "{} refuses a token that was just issued ({status})",
                            cxone.base_uri
                        ),
                        format!(
                            "OFFBOARDER_CXONE_BASE_URI is another region's or environment's than {}: name the \
                             tenant's own",
                            cxone.token_uri
                        ),
                    );
                }
                // An empty folder of any web server answers 404, too.
                Ok(Seen {
                    status: status @ (200..=299 | 404 | 410),
                    is_own: false,
                    ..
                }) if *look != Look::Scim => {
                    return Finding::bad(
                        API,
                        format!(
                            "{} answers {status}, but not as CXone answers (JSON)",
                            cxone.base_uri
                        ),
                        "have firewall and proxy let this host's calls through; OFFBOARDER_CXONE_BASE_URI has to \
                         be the origin of the tenant's API itself",
                    );
                }
                // Each of these has a row of its own.
                Ok(_) | Err(CxoneError::MissingScope { .. } | CxoneError::Throttled { .. }) => {}
                Err(CxoneError::Rejected { .. } | CxoneError::Foreign { .. })
                    if *look == Look::Scim => {}
                Err(error) => return Finding::failed(API, error.clone()),
            }
        }
        Finding::good(
            API,
            format!("{} answers, and takes the token", cxone.base_uri),
        )
    }

    fn clock(&self) -> Option<Finding> {
        let skews = self.0.iter().filter_map(|(_, looked, at)| {
            let server = looked.as_ref().ok()?.server_time?;
            Some(
                at.duration_since(server)
                    .unwrap_or_else(|ahead| ahead.duration()),
            )
        });
        let skew = skews.max()?;
        let seconds = skew.as_secs();
        Some(if skew > MAX_SKEW {
            Finding::bad(
                "clock",
                format!("this host's clock and that of CXone are {seconds} s apart"),
                "synchronise this host's clock (NTP): signatures of S3, tokens and dates depend on it",
            )
        } else {
            Finding::good("clock", format!("{seconds} s from that of CXone"))
        })
    }

    fn scope(
        &self,
        scope: &str,
        look: Option<Look>,
        granted: Option<&str>,
        deletes: bool,
    ) -> Finding {
        let check = format!("scope {scope}");
        let told = |scope: &str| {
            granted.map(|granted| granted.split_ascii_whitespace().any(|one| one == scope))
        };
        // A call that needs two scopes does not say which it lacks.
        let lacks_the_other = || {
            let mut others = SCOPES
                .iter()
                .filter(|(other, of)| *other != scope && *of == look);
            others.any(|(other, _)| told(other) == Some(false))
        };
        match (look.and_then(|look| self.of(look)), told(scope)) {
            (_, Some(false)) if scope == "iam:write" && !deletes => {
                let text = "not granted, and not needed, since OFFBOARDER_GUARD_DELETE is never";
                Finding::good(check, text)
            }
            // At some tenants a scope comes with another one.
            (Some(Ok(_)), _) => Finding::good(check, "a call that needs it was let through"),
            (Some(Err(CxoneError::MissingScope { .. })), Some(true)) if lacks_the_other() => {
                Finding::good(check, "granted, as the token says")
            }
            (Some(Err(CxoneError::MissingScope { .. })), _) | (_, Some(false)) => Finding::bad(
                check,
                format!("the OAuth client lacks the scope {scope}"),
                "grant it in the CXone admin console; the next token has it, since a token keeps the scopes that \
                 it was issued with",
            ),
            (_, Some(true)) => Finding::good(check, "granted, as the token says"),
            (_, None) => Finding::good(
                check,
                "not told with the token; a write alone would show it",
            ),
        }
    }

    fn scim(&self) -> Finding {
        let mend = "have SCIM enabled for the tenant (the vendor's support does so), and identities managed by it";
        match self.of(Look::Scim) {
            Some(Ok(Seen {
                status: status @ (405 | 501),
                ..
            })) => Finding::bad(
                SCIM,
                format!("it is not offered to this tenant ({status})"),
                mend,
            ),
            Some(Ok(Seen {
                status: status @ (404 | 410),
                is_scim_error: false,
                ..
            })) => Finding::bad(
                SCIM,
                format!(
                    "its path leads nowhere ({status}, and not as SCIM answers, RFC 7644 section 3.12): every user \
                     would be missing there"
                ),
                mend,
            ),
            Some(Ok(Seen {
                status: 200..=299,
                is_own: false,
                ..
            })) => Finding::bad(SCIM, "something else answers there: no JSON", mend),
            Some(Err(CxoneError::Foreign { status, shown, .. })) => Finding::bad(
                SCIM,
                format!("it is refused ({status}), and not as CXone answers ({shown})"),
                mend,
            ),
            Some(Err(CxoneError::Rejected { status, code, .. })) => Finding::bad(
                SCIM,
                format!("it is refused ({status}{code}), and not for want of a scope"),
                mend,
            ),
            Some(Ok(_)) => Finding::good(
                SCIM,
                "it answers for a user whom nobody has; that it knows the others shows with the first of them",
            ),
            Some(Err(_)) | None => Finding::good(SCIM, "not seen, for the reason in another row"),
        }
    }

    fn quota(&self, class: &str, of_class: &[Look]) -> Finding {
        let (check, variable) = (format!("quota {class}"), class.to_uppercase());
        let mend = format!(
            "lower OFFBOARDER_CXONE_RATE_{variable}, or find out who else uses this tenant's quota{}",
            if class == "analytics" {
                "; a smaller OFFBOARDER_CXONE_PAGE_SIZE (200) may help"
            } else {
                ""
            }
        );
        let mut least: Option<(u64, u64)> = None;
        for look in of_class {
            match self.of(*look) {
                Some(Err(CxoneError::Throttled { .. })) => {
                    return Finding::bad(check, "it is spent: CXone answers 429", mend);
                }
                Some(Ok(Seen {
                    quota_left: Some(left),
                    ..
                })) if least.is_none_or(|least| *left < least) => {
                    least = Some(*left);
                }
                Some(Ok(_) | Err(_)) | None => {}
            }
        }
        match least {
            Some((left, limit)) if left.saturating_mul(10) <= limit => Finding::bad(
                check,
                format!("nearly spent: {left} calls of {limit} are left"),
                mend,
            ),
            Some((left, limit)) => {
                Finding::good(check, format!("{left} calls of {limit} are left"))
            }
            None => Finding::good(
                check,
                "a call was let through, or failed for another reason",
            ),
        }
    }
}

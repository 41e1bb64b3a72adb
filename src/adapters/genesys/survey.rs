//! What the tenant shows beside the reads of a run: the longest interval, what our client may do, and the limits.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::client::GenesysClient;
use super::grants::{Grants, Reach};
use super::limits::over_limit;
use crate::adapters::http::{
    ApiError, NOBODY, Reply, Request, facts_of, observed, seen, status_of,
};
use crate::ports::{Observation, QuotaClass, Seen};

const BRIEFLY: Duration = Duration::from_secs(8);
const NAMESPACES: [&str; 2] = ["client.credentials", "analytics"];
const GRANTS: &str = "own grants by the token";
const PERMISSIONS: &str = "permissions and divisions";
const DELETION: &str = "permission to delete users";

impl GenesysClient {
    pub(super) async fn survey_tenant(&self) -> Vec<Observation> {
        let (interval, token, grants, limits) = tokio::join!(
            self.longest_interval(),
            self.own_token(),
            self.own_grants(),
            self.limits(),
        );
        let (token, rate) = token;
        let mut all = vec![
            observed(Some("genesys-1"), "longest interval", seen(interval)),
            observed(None, "token", token),
            observed(Some("genesys-3"), "rate limit", rate),
            observed(None, "limits by namespace", seen(limits)),
        ];
        all.extend(grants);
        all
    }

    async fn longest_interval(&self) -> Result<Seen, ApiError> {
        let mut request = self.query(NOBODY, self.whole_window(), 1, 1)?;
        request.timeout = BRIEFLY;
        let reply = self.api.send(request).await?;
        let days = self.window_days.unwrap_or(1);
        Ok(match over_limit(&reply) {
            Some(ApiError::WindowTooLong { longest, .. }) => Seen::Bad {
                detail: format!("{days} days are refused, {longest} is the longest"),
                remedy: format!("set OFFBOARDER_CXONE_WINDOW={longest}"),
            },
            Some(other) => Seen::Failed(other.into()),
            None if reply.status() == 200 => Seen::Good(format!("{days} days are accepted")),
            None => Seen::Failed(reply.refusal().into()),
        })
    }

    /// Whose token it is, and what the headers of the answer say of the rate.
    async fn own_token(&self) -> (Seen, Seen) {
        let reply = match self.brief(self.paths().own_token()).await {
            Ok(reply) => reply,
            Err(error) => {
                let why = "no answer shows it, for the reason in another row";
                return (Seen::Failed(error.into()), Seen::Unknown(why.to_owned()));
            }
        };
        let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let is_client =
            body.is_some_and(|body| body.get("OAuthClient").is_some_and(Value::is_object));
        let token = match reply.status() {
            200 if is_client => Seen::Good("it is a client's".to_owned()),
            200 => Seen::Fact("the answer names no OAuth client".to_owned()),
            _ => Seen::Unknown(format!("the read of it answers {}", status_of(&reply))),
        };
        (token, self.rate_seen(&reply))
    }

    fn rate_seen(&self, reply: &Reply) -> Seen {
        let Some((_, a_minute)) = facts_of(reply).quota_left else {
            return Seen::Unknown("the answers have no header inin-ratelimit-allowed".to_owned());
        };
        let allowed = format!("{a_minute} calls a minute are allowed");
        let ours = self.rate.map(|rate| rate * 60.0);
        #[expect(clippy::cast_precision_loss, reason = "a limit is a small number")]
        let limit = a_minute as f64;
        match ours {
            None => Seen::Fact(format!(
                "{allowed}, and OFFBOARDER_CXONE_RATE_ROUTING is off"
            )),
            Some(ours) if ours > limit => Seen::Bad {
                detail: format!(
                    "{allowed}, and OFFBOARDER_CXONE_RATE_ROUTING is {ours:.0} a minute"
                ),
                remedy: format!("set OFFBOARDER_CXONE_RATE_ROUTING={a_minute}/m or less"),
            },
            Some(ours) => Seen::Good(format!("{allowed}; we make up to {ours:.0}")),
        }
    }

    async fn own_grants(&self) -> Vec<Observation> {
        let all = |of_token: Seen, permissions: Seen, deletion: Seen| {
            vec![
                observed(Some("genesys-9"), GRANTS, of_token),
                observed(Some("genesys-2"), PERMISSIONS, permissions),
                observed(None, DELETION, deletion),
            ]
        };
        let unknown = || Seen::Unknown("the token does not show its own grants".to_owned());
        let reply = match self.brief(self.paths().own_grants()).await {
            Ok(reply) => reply,
            Err(error) => return all(Seen::Failed(error.into()), unknown(), unknown()),
        };
        let status = status_of(&reply);
        if reply.status() != 200 {
            let refused = Seen::Fact(format!("not shown: {status}"));
            return all(refused, unknown(), unknown());
        }
        if let Ok(grants) = serde_json::from_slice::<Grants>(&reply.body) {
            let shown = Seen::Fact(format!("{status} with {} grants", grants.count()));
            all(shown, permissions_seen(&grants), deletion_seen(&grants))
        } else {
            let other = Seen::Unknown(format!("{status}, and no list of grants as documented"));
            all(other, unknown(), unknown())
        }
    }

    async fn limits(&self) -> Result<Seen, ApiError> {
        let mut words = Vec::new();
        for namespace in NAMESPACES {
            let reply = self.brief(self.paths().limits(namespace)).await?;
            if reply.status() == 200 {
                words.extend(limits_in(&reply));
            }
        }
        Ok(if words.is_empty() {
            Seen::Unknown(format!("no limits in {}", NAMESPACES.join(" and ")))
        } else {
            Seen::Fact(words.join(", "))
        })
    }

    /// A read that `doctor` does not wait long for.
    pub(super) async fn brief(&self, url: Result<Url, ApiError>) -> Result<Reply, ApiError> {
        let scope = "for reads of the client's own rights";
        let mut request = Request::read(Method::GET, url?, QuotaClass::Routing, scope);
        request.timeout = BRIEFLY;
        self.api.send(request).await
    }
}

/// The vendor's words with their numbers.
fn limits_in(reply: &Reply) -> Vec<String> {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let rows = body.get("entities").and_then(Value::as_array);
    let is_plain = |key: &&str| {
        (1..=80).contains(&key.len())
            && key
                .chars()
                .all(|one| one.is_ascii_alphabetic() || ".-_".contains(one))
    };
    rows.into_iter()
        .flatten()
        .filter_map(|row| {
            let key = row.get("key")?.as_str().filter(is_plain)?;
            Some(format!("{key} {}", row.get("value")?.as_f64()?))
        })
        .collect()
}

fn permissions_seen(grants: &Grants) -> Seen {
    let needed = grants.needed();
    let of = |wanted: fn(Reach) -> bool| -> Vec<&str> {
        let found = needed.iter().filter(|(_, reach)| wanted(*reach));
        found.map(|(name, _)| *name).collect()
    };
    let missing = of(|reach| reach == Reach::Nowhere);
    let partly = of(|reach| matches!(reach, Reach::SomeDivisions(_)));
    if missing.is_empty() && partly.is_empty() {
        return Seen::Good(format!("all {}, in all divisions", needed.len()));
    }

    let mut details = Vec::new();
    if !missing.is_empty() {
        details.push(format!(
            "not granted without a condition: {}",
            missing.join(", ")
        ));
    }
    if !partly.is_empty() {
        details.push(format!(
            "in some divisions only, so that the queues of others are hidden: {}",
            partly.join(", ")
        ));
    }
    Seen::Bad {
        detail: details.join("; "),
        remedy: "give the OAuth client a role with these permissions in all divisions (Admin, Integrations, OAuth)".to_owned(),
    }
}

fn deletion_seen(grants: &Grants) -> Seen {
    Seen::Fact(match grants.deletes() {
        Reach::AllDivisions => "granted in all divisions".to_owned(),
        Reach::SomeDivisions(count) => format!("granted in {count} divisions, not in all"),
        Reach::Nowhere => {
            "not granted; needed only with OFFBOARDER_GUARD_DELETE=attempt".to_owned()
        }
    })
}

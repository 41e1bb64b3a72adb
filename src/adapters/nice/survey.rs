//! What the tenant shows beside the reads of a run: discovery, version, the answer for nobody, the role of our own access
//! key, and what is left of the quota.

use std::time::Duration;

use serde_json::Value;
use url::{Host, Url};

use super::client::{Client, get, right};
use super::documents::{Members, hides_rows};
use super::own::agent_of;
use super::survey_words::word;
use crate::adapters::http::{ApiError, NOBODY, Reply, facts_of, observed, seen, status_of};
use crate::ports::{Observation, Seen};

const DISCOVERY: &str = "/.well-known/cxone-configuration";
const BRIEFLY: Duration = Duration::from_secs(8);
/// More names than these are only counted.
const MOST_NAMES: usize = 60;

impl Client {
    pub(super) async fn survey_tenant(&self) -> Vec<Observation> {
        let token = |seen| observed(Some("cxone-2"), "token by access key", seen);
        let claims = match self.api.claims().await {
            Ok(Some(Value::Object(claims))) => claims,
            Ok(_) => Members::new(),
            Err(error) => return vec![token(Seen::Failed(error.into()))],
        };

        let (discovery, version, nobody, role) = tokio::join!(
            self.discovered(&claims),
            self.version_served(),
            self.read_nobody(),
            self.role(&claims),
        );
        let (version, quota) = version;
        let mut all = vec![
            token(Seen::Good("the password grant is open".to_owned())),
            observed(Some("cxone-1"), "API host", seen(discovery)),
            observed(Some("cxone-3"), "ACD version", version),
            observed(Some("cxone-4"), "a user ID that nobody has", seen(nobody)),
            observed(Some("cxone-16"), "rate headers", quota),
        ];
        all.extend(role);
        all
    }

    /// Compares the API host that the issuer names with the one that is set. It never gets a call of ours.
    async fn discovered(&self, claims: &Members) -> Result<Seen, ApiError> {
        let Some(tenant) = claims.get("tenantId").and_then(Value::as_str) else {
            return Ok(Seen::Unknown("the token names no tenant".to_owned()));
        };
        let query = [("tenantId", tenant)];
        let (status, body) = self.api.ask_issuer(DISCOVERY, &query).await?;
        let Some(Value::Object(document)) =
            serde_json::from_slice(&body).ok().filter(|_| status == 200)
        else {
            let why = format!("the issuer's discovery answers {status}, and no document");
            return Ok(Seen::Unknown(why));
        };

        let area = document.get("area").and_then(word).unwrap_or("not named");
        let endpoint = document.get("api_endpoint").and_then(Value::as_str);
        let Some(found) = endpoint.and_then(|text| Url::parse(text).ok()) else {
            let why = format!("the area is {area}; the issuer's discovery names no API host");
            return Ok(Seen::Unknown(why));
        };
        Ok(if is_same_place(&found, self.api.base()) {
            Seen::Good(format!("the area is {area}, and the API host is its own"))
        } else {
            Seen::Bad {
                detail: format!(
                    "the area is {area}, whose API host is another than the one that is set"
                ),
                remedy: format!(
                    "set OFFBOARDER_CXONE_BASE_URI={}",
                    found.origin().ascii_serialization()
                ),
            }
        })
    }

    /// Whether the version is served, and what the headers of the answer say of the quota.
    async fn version_served(&self) -> (Seen, Seen) {
        const NOT_ASKED: &str = "no answer shows it, for the reason in another row";

        let reply = match self
            .brief(self.paths().api_version(), right::VIEW_AGENTS)
            .await
        {
            Ok(reply) => reply,
            Err(error) => {
                let quota = Seen::Unknown(NOT_ASKED.to_owned());
                return (Seen::Failed(error.into()), quota);
            }
        };
        let version = self.paths().version();
        let served = match reply.status() {
            200..=299 => Seen::Good(format!("{version} is served")),
            400 | 404 | 410 => Seen::Bad {
                detail: format!("{version} is not served: {}", status_of(&reply)),
                remedy: "set OFFBOARDER_CXONE_API_VERSION to a version that the tenant serves, e.g. 34.0".to_owned(),
            },
            _ => Seen::Failed(reply.refusal().into()),
        };
        let quota = match facts_of(&reply).quota_left {
            Some((left, limit)) => Seen::Fact(format!("{left} calls of {limit} are left")),
            None => Seen::Unknown(
                "the answers have none: whether a quota is met, only a 429 shows".to_owned(),
            ),
        };
        (served, quota)
    }

    async fn read_nobody(&self) -> Result<Seen, ApiError> {
        let reply = self
            .brief(self.paths().user(NOBODY), right::VIEW_EMPLOYEES)
            .await?;
        Ok(match reply.status() {
            200 => match serde_json::from_slice::<Members>(&reply.body) {
                Ok(members) if members.get("user").is_none_or(Value::is_null) => {
                    Seen::Fact("200 without a user".to_owned())
                }
                _ => Seen::Bad {
                    detail: "200, and not a document without a user".to_owned(),
                    remedy:
                        "OFFBOARDER_CXONE_BASE_URI has to be the origin of the tenant's API itself"
                            .to_owned(),
                },
            },
            400 if reply.is_own() => Seen::Bad {
                detail: format!(
                    "{}: a user who does not exist is a dead letter",
                    status_of(&reply)
                ),
                remedy: "send only IDs of users that exist, and report this row to us".to_owned(),
            },
            _ if reply.says_missing() => Seen::Fact(status_of(&reply)),
            _ => Seen::Failed(reply.refusal().into()),
        })
    }

    /// What the role of our own access key may do, and whether it is kept from rows.
    async fn role(&self, claims: &Members) -> Vec<Observation> {
        let permissions = |seen| observed(Some("cxone-5"), "permissions of the access key", seen);
        let hidden = |seen| observed(None, "rows hidden from the role", seen);
        let Some(agent) = agent_of(claims) else {
            let why = || Seen::Unknown("the token names no agent".to_owned());
            return vec![permissions(why()), hidden(why())];
        };

        let (named, own) = tokio::join!(
            self.brief(self.paths().permissions(agent), right::VIEW_AGENTS),
            self.brief(self.paths().agent(agent), right::VIEW_AGENTS),
        );
        vec![
            permissions(seen(named.map(|reply| permissions_in(&reply)))),
            hidden(seen(own.and_then(|reply| hidden_in(&reply)))),
        ]
    }

    /// A read that `doctor` does not wait long for.
    pub(super) async fn brief(
        &self,
        url: Result<Url, ApiError>,
        right: &'static str,
    ) -> Result<Reply, ApiError> {
        let mut request = get(url?, right);
        request.timeout = BRIEFLY;
        self.api.send(request).await
    }
}

/// The same origin, in whichever spelling of this machine's own address.
fn is_same_place(one: &Url, other: &Url) -> bool {
    let is_own = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let both_own = is_own(one)
        && is_own(other)
        && one.port_or_known_default() == other.port_or_known_default();
    one.origin() == other.origin() || both_own
}

fn permissions_in(reply: &Reply) -> Seen {
    if reply.status() != 200 {
        return Seen::Unknown(format!("the read of them answers {}", status_of(reply)));
    }
    let members: Members = serde_json::from_slice(&reply.body).unwrap_or_default();
    let Some(rows) = members.values().find_map(Value::as_array) else {
        return Seen::Unknown("the answer has no list of them".to_owned());
    };

    let name_of = |row: &Value| match row {
        Value::Object(row) => ["name", "permission", "permissionName", "displayName"]
            .iter()
            .find_map(|member| row.get(*member).and_then(word))
            .map(str::to_owned),
        other => word(other).map(str::to_owned),
    };
    let mut names: Vec<String> = rows.iter().filter_map(name_of).collect();
    names.sort_unstable();
    let unnamed = rows.len() - names.len();
    names.truncate(MOST_NAMES);
    let mut text = format!("{} of them", rows.len());
    if !names.is_empty() {
        text = format!("{text}: {}", names.join(", "));
    }
    if unnamed > 0 {
        text = format!("{text}; {unnamed} without a name that we know");
    }
    Seen::Fact(text)
}

fn hidden_in(reply: &Reply) -> Result<Seen, ApiError> {
    let members = match serde_json::from_slice::<Members>(&reply.body) {
        Ok(members) if reply.status() == 200 => members,
        _ => {
            let why = format!("the read of our own agent answers {}", status_of(reply));
            return Ok(Seen::Unknown(why));
        }
    };
    let hidden = members.get("hiddenAgents");
    let hides = hides_rows(hidden).map_err(|why| reply.unreadable(why))?;
    Ok(match hidden {
        _ if hides => Seen::Bad {
            detail: "hiddenAgents names some: what the role may not see is not absent".to_owned(),
            remedy:
                "take the restriction of data (\"Restrict Data\") from the role of the access key"
                    .to_owned(),
        },
        None | Some(Value::Null) => Seen::Unknown("the answer has no hiddenAgents".to_owned()),
        Some(_) => Seen::Good("none".to_owned()),
    })
}

//! The management API of RabbitMQ, which shows what AMQP does not: members of queues, and policies.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::topology::own_limit;
use crate::adapters::tls;
use crate::address::{ManagementUrl, PemFile};
use crate::ports::queue::QueueReport;
use crate::secret::Secret;

/// The longest answer that is read. A queue takes about 0.5 kB of it.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What of a policy loses messages, moves them or refuses them.
const LIMITS: [&str; 5] = [
    "max-length",
    "max-length-bytes",
    "message-ttl",
    "expires",
    "delivery-limit",
];

/// Where the management API is, and how to log in.
pub(super) struct Management {
    pub(super) url: ManagementUrl,
    /// Of the connection to the broker; used unless the URL has its own.
    pub(super) login: (String, Secret),
    pub(super) vhost: String,
    pub(super) ca: Option<PemFile>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    /// Of a queue that is replicated.
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    online: Vec<String>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    operator_policy: Option<String>,
    /// An empty one is a list.
    #[serde(default)]
    effective_policy_definition: Value,
}

impl Management {
    /// Each queue of the virtual host. An error is for people.
    pub(super) async fn queues(&self) -> Result<Vec<QueueReport>, String> {
        let client = self.client()?;
        let vhost = utf8_percent_encode(&self.vhost, NON_ALPHANUMERIC);
        let columns = "name,members,online,policy,operator_policy,effective_policy_definition";
        let address = format!("{}/api/queues/{vhost}?columns={columns}", self.url.base());
        let (user, password) = self.url.login.as_ref().unwrap_or(&self.login);

        let unreachable = |error: reqwest::Error| {
            let text = chain(&error.without_url());
            let why = tls::cause(&text).map_or(text.clone(), str::to_owned);
            format!("cannot reach the management API at {} ({why})", self.url)
        };
        let asking = client
            .get(address)
            .basic_auth(user, Some(password.expose()))
            .send();
        let mut answer = asking.await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(format!(
                "the management API at {} answers {} to the user {user}",
                self.url,
                answer.status()
            ));
        }

        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(format!("the management API answers over {MAX_BYTES} bytes"));
            }
        }
        reports(&body).map_err(|error| {
            format!(
                "the management API at {} answers something else ({error})",
                self.url
            )
        })
    }

    /// Never over a proxy, as the connection to the broker.
    fn client(&self) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(15));
        if let Some(ca) = &self.ca {
            let pem = tls::read_ca(ca).map_err(|error| error.to_string())?;
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            builder = builder.tls_certs_merge(certificates.map_err(|error| chain(&error))?);
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

fn reports(body: &[u8]) -> Result<Vec<QueueReport>, serde_json::Error> {
    let rows: Vec<Row> = serde_json::from_slice(body)?;
    Ok(rows.into_iter().map(report).collect())
}

fn report(row: Row) -> QueueReport {
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let policies = [named(&row.policy), named(&row.operator_policy)];
    let definition = row.effective_policy_definition.as_object();
    let limits = LIMITS.iter().filter_map(|limit| {
        let value = definition?.get(*limit)?.as_i64()?;
        is_in_force(&row.name, limit, value).then(|| ((*limit).to_owned(), value))
    });
    // Of a quorum queue, the `overflow` of a policy is in force and not that of the argument.
    let word = |name: &str| Some(definition?.get(name)?.as_str()?.to_owned());

    QueueReport {
        limits: limits.collect::<BTreeMap<_, _>>(),
        overflow: word("overflow"),
        // Our queues have no argument of this name, which would be in force.
        reroutes_to: word("dead-letter-routing-key"),
        policies: policies.into_iter().flatten().collect(),
        name: row.name,
        members: row.members.len(),
        online: row.online.len(),
    }
}

/// Of two limits RabbitMQ takes the lower one: one that is not below our own changes nothing. A negative one is none.
fn is_in_force(queue: &str, limit: &str, value: i64) -> bool {
    let ours = own_limit(queue, limit);
    value >= 0 && ours.is_none_or(|ours| value < ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_limits_are_read_and_an_empty_definition_may_be_a_list() {
        let body = br#"[
            {"name":"a","members":["x","y","z"],"online":["x"],"policy":"small","operator_policy":"",
             "effective_policy_definition":{"max-length":5,"queue-leader-locator":"balanced"}},
            {"name":"b","policy":null,"effective_policy_definition":[]}
        ]"#;
        let reports = reports(body).unwrap();
        assert_eq!(reports[0].policies, ["small"]);
        assert_eq!(reports[0].limits, [("max-length".to_owned(), 5)].into());
        assert_eq!((reports[0].members, reports[0].online), (3, 1));
        assert!(reports[1].limits.is_empty() && reports[1].policies.is_empty());
        assert!(super::reports(b"<html>").is_err());
    }

    #[test]
    fn what_a_full_queue_does_is_read_and_a_limit_that_changes_nothing_is_left_out() {
        let of = |queue: &str, definition: &str| {
            let body =
                format!(r#"[{{"name":"{queue}","effective_policy_definition":{definition}}}]"#);
            reports(body.as_bytes()).unwrap().remove(0)
        };
        let full = of("offboarding.users", r#"{"overflow":"drop-head"}"#);
        assert_eq!(full.overflow.as_deref(), Some("drop-head"));
        assert!(full.limits.is_empty() && full.reroutes_to.is_none());
        let rerouting = of("offboarding.wait.3s", r#"{"dead-letter-routing-key":"x"}"#);
        assert_eq!(rerouting.reroutes_to.as_deref(), Some("x"));

        let limits = |queue: &str, definition: &str| of(queue, definition).limits.len();
        for queue in ["offboarding.users", "offboarding.archive"] {
            assert_eq!(limits(queue, r#"{"delivery-limit":19}"#), 1);
            assert_eq!(limits(queue, r#"{"delivery-limit":20}"#), 0);
            assert_eq!(limits(queue, r#"{"delivery-limit":-1}"#), 0);
        }
        assert_eq!(limits("offboarding.dead", r#"{"delivery-limit":20}"#), 1);
        // Nobody consumes from a delay queue.
        assert_eq!(limits("offboarding.wait.3s", r#"{"delivery-limit":1}"#), 0);
        assert_eq!(limits("offboarding.wait.3s", r#"{"message-ttl":3000}"#), 0);
        assert_eq!(limits("offboarding.wait.3s", r#"{"message-ttl":2999}"#), 1);
        assert_eq!(limits("offboarding.users", r#"{"message-ttl":3000}"#), 1);
    }
}

//! What a tenant and one real user of it show, where a profile leaves questions open.

use jiff::{SignedDuration, Timestamp};

use super::finding::Finding;
use crate::clock::Clock;
use crate::config::Cxone;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::{Each, Observation, PageRequest, STATE_OF_USER, Seen, Tenant};

/// What the adapter reads besides the reads that every profile has.
pub(super) async fn of_tenant(tenant: &dyn Tenant) -> Vec<Finding> {
    let observations = tenant.survey(None).await;
    observations.into_iter().map(finding).collect()
}

/// The same where the API does not answer as it should: only what is known to be wrong, since that may be the reason.
pub(super) async fn what_is_wrong(tenant: &dyn Tenant) -> Vec<Finding> {
    let observations = tenant.survey(None).await;
    let wrong = observations
        .into_iter()
        .filter(|observation| matches!(observation.seen, Seen::Bad { .. }));
    wrong.map(finding).collect()
}

/// Reads one user as a worker would, and writes nothing.
pub(super) async fn of_user(tenant: &dyn Tenant, user_id: UserId, cxone: &Cxone) -> Vec<Finding> {
    const ACCOUNT: &str = "user: account";

    let account = match tenant.account(user_id).await {
        Ok(read) => read.account,
        Err(failure) => return vec![Finding::failed(ACCOUNT, failure)],
    };
    let observations = tenant.survey(Some(user_id)).await;
    let Some(account) = account else {
        return without_account(ACCOUNT, observations);
    };

    let active = match account.active {
        Some(true) => "active",
        Some(false) => "inactive",
        None => "there, and whether it is active is not shown",
    };
    let mut findings = vec![
        Finding::good(ACCOUNT, active),
        shown("user: routing", routing(tenant, user_id).await),
        shown("user: conversations", newest(tenant, user_id, cxone).await),
    ];
    findings.extend(observations.into_iter().map(finding));
    findings
}

/// A user who was deleted may still be shown where deleted users are asked for.
fn without_account(check: &str, observations: Vec<Observation>) -> Vec<Finding> {
    let is_shown =
        |one: &Observation| one.check == STATE_OF_USER && matches!(one.seen, Seen::Fact(_));
    if !observations.iter().any(is_shown) {
        let fix = "give the ID of a user of this tenant";
        return vec![Finding::bad(check, "the API does not know this user", fix)];
    }

    let account = Finding::good(
        check,
        "deleted, and still shown where deleted users are asked for",
    );
    let rest = observations.into_iter().map(finding);
    std::iter::once(account).chain(rest).collect()
}

async fn routing(tenant: &dyn Tenant, user_id: UserId) -> Result<String, Failure> {
    let left = tenant.left_over(user_id, &[], &mut Vec::new()).await?;
    let mut kinds: Vec<&str> = left.iter().map(|left| left.kind.as_str()).collect();
    kinds.sort_unstable();
    let counted = kinds.chunk_by(|one, other| one == other);
    let words: Vec<String> = counted
        .filter_map(|kind| Some(format!("{} × {}", kind.len(), kind.first()?)))
        .collect();
    Ok(if words.is_empty() {
        "nothing routes work to the user".to_owned()
    } else {
        words.join(", ")
    })
}

/// The first page of the newest window.
async fn newest(tenant: &dyn Tenant, user_id: UserId, cxone: &Cxone) -> Result<String, Failure> {
    let days = cxone.window_days.unwrap_or(30);
    let now = Clock::system().now();
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    // From a midnight, as an archive's windows are: an API may count the days that an interval touches.
    let today = SignedDuration::from_secs(now.as_second().rem_euclid(86_400));
    let earlier = SignedDuration::from_hours(24 * (i64::from(days) - 1));
    let length = today.saturating_add(earlier);
    let request = PageRequest {
        from: now.checked_sub(length).unwrap_or(now),
        to: now,
        link: None,
        agent: None,
    };

    let mut count = 0_u64;
    let mut add = Each(|_: &[u8]| count += 1);
    let next = tenant.stream_page(user_id, request, &mut add).await?;
    let more = if next.is_some() { " and more" } else { "" };
    Ok(format!("{count}{more} in the last {days} days"))
}

fn shown(check: &'static str, read: Result<String, Failure>) -> Finding {
    match read {
        Ok(text) => Finding::good(check, text),
        Err(failure) => Finding::failed(check, failure),
    }
}

fn finding(observation: Observation) -> Finding {
    let check = match observation.question {
        Some(question) => format!("{} ({question})", observation.check),
        None => observation.check.to_owned(),
    };
    match observation.seen {
        Seen::Good(text) | Seen::Fact(text) => Finding::good(check, text),
        Seen::Bad { detail, remedy } => Finding::bad(check, detail, remedy),
        Seen::Unknown(why) => Finding::skipped(check, format!("unknown: {why}")),
        Seen::Failed(failure) => Finding::failed(check, failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_neither_right_nor_wrong() {
        let of = |seen| {
            finding(Observation {
                question: Some("cxone-7"),
                check: "agent",
                seen,
            })
        };
        let unknown = of(Seen::Unknown("no contacts".to_owned()));
        assert!(unknown.ok && unknown.skipped, "{unknown:?}");
        assert_eq!(unknown.check, "agent (cxone-7)");
        assert!(!of(Seen::Fact("404".to_owned())).skipped);
        let bad = of(Seen::Bad {
            detail: "31 days".to_owned(),
            remedy: "set 31d".to_owned(),
        });
        assert!(!bad.ok && bad.remedy.is_some(), "{bad:?}");
    }
}

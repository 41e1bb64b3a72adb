//! Whether the evidence log is written, and its key in AWS KMS can be used, as far as a read shows that.

use super::super::{compose, compose_signers};
use super::finding::Finding;
use crate::clock::Clock;
use crate::config::Settings;
use crate::evidence_log::{LogFlow, log_flow};

const CHECK: &str = "evidence log";

/// Nothing where the log is off.
pub(super) async fn check(settings: &Settings) -> Option<Finding> {
    let evidence = settings.evidence.as_ref()?;
    if let Some(keys) = &evidence.keys
        && let Err(failure) =
            compose_signers::signers(keys, &evidence.origin, &settings.archive).await
    {
        return Some(Finding::failed(CHECK, failure));
    }
    // Another finding says why there is no store, or why it does not respond.
    let store = compose::archive_store(settings).await.ok()?;
    let flow = log_flow(&*store, Clock::system().now()).await.ok()?;
    let signed = settings.integrity.has_key();
    Some(finding(&evidence.origin.to_string(), &flow, signed))
}

fn finding(origin: &str, flow: &LogFlow, signed: bool) -> Finding {
    let last = flow.last.map_or_else(
        || "has no step yet".to_owned(),
        |(number, at)| format!("has {number} steps, the last one of {at:.0}"),
    );
    let detail = format!("{origin} {last}");
    if let Some(since) = flow.since {
        let waiting = flow.waiting;
        return Finding::warning(
            CHECK,
            format!("{detail}; no worker writes it: {waiting} records wait since {since:.0}"),
            "set OFFBOARDER_EVIDENCE_KEY_FILE for at least two workers, and see their logs for why the log cannot be continued",
        );
    }
    if !signed {
        return Finding::warning(
            CHECK,
            format!(
                "{detail}; without an integrity key anyone who can write to the bucket can announce what never happened"
            ),
            "create a key with `openssl rand -hex 32`, and set OFFBOARDER_INTEGRITY_KEY_FILE for each worker and operator",
        );
    }
    Finding::good(CHECK, format!("{detail}; nothing waits"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn records_that_wait_and_a_missing_key_are_warnings() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let flow = |waiting| LogFlow {
            last: Some((7, at)),
            waiting,
            since: (waiting > 0).then_some(at),
        };
        let good = finding("example.com/log", &flow(0), true);
        assert!(good.ok && !good.warning);
        assert!(good.detail.contains("7 steps"), "{}", good.detail);
        let waits = finding("example.com/log", &flow(3), true);
        assert!(
            waits.warning
                && waits
                    .detail
                    .contains("3 records wait since 2023-11-14T22:13:20Z")
        );
        assert!(finding("example.com/log", &flow(0), false).warning);
        let none = LogFlow {
            last: None,
            ..flow(0)
        };
        assert!(finding("o", &none, true).detail.contains("no step yet"));
    }
}

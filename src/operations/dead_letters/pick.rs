//! Finds the group that an operator names by the first digits of its fingerprint.

use std::collections::BTreeSet;

use super::DeadLetterFilter;
use super::error::DeadLetterError;
use super::filter::GroupName;
use super::scan::DeadLetterScan;
use crate::failure::Failure;
use crate::ports::queue::Broker;
use crate::queue::QueueError;

/// The one fingerprint that begins with these digits.
pub(super) fn unique(
    name: &GroupName,
    fingerprints: &BTreeSet<String>,
) -> Result<GroupName, DeadLetterError> {
    let named = fingerprints
        .iter()
        .filter(|fingerprint| name.names(fingerprint));
    let candidates: Vec<String> = named.cloned().collect();
    match candidates.as_slice() {
        [one] => one.parse().map_err(|why| {
            let failure = Failure::internal("cannot name a group", why);
            DeadLetterError::Failed(failure)
        }),
        [] => Err(DeadLetterError::NoSuchGroup {
            name: name.clone(),
            candidates: fingerprints.iter().cloned().collect(),
        }),
        _ => Err(DeadLetterError::Ambiguous {
            name: name.clone(),
            candidates,
        }),
    }
}

/// The fingerprints of all dead letters in the queue.
pub(super) async fn fingerprints(broker: &dyn Broker) -> Result<BTreeSet<String>, QueueError> {
    let mut fingerprints = BTreeSet::new();
    let mut scan = DeadLetterScan::begin(broker).await?;
    while let Some((dead_letter, _delivery)) = scan.next().await? {
        fingerprints.insert(dead_letter.fingerprint);
    }
    scan.close().await?;
    Ok(fingerprints)
}

/// The filter with the whole fingerprints of its groups. The queue is read for it only if there are groups.
pub(super) async fn with_whole_groups(
    broker: &dyn Broker,
    filter: DeadLetterFilter,
) -> Result<DeadLetterFilter, DeadLetterError> {
    if filter.group.is_empty() {
        return Ok(filter);
    }
    let known = fingerprints(broker).await?;
    let whole = filter.group.iter().map(|name| unique(name, &known));
    Ok(DeadLetterFilter {
        group: whole.collect::<Result<_, _>>()?,
        ..filter
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_digits_name_a_group_if_only_one_begins_with_them() {
        let known: BTreeSet<String> = ["2d1f5436374b", "2d1f00000000", "a00000000000"]
            .map(str::to_owned)
            .into();
        let unique = |name: &str| unique(&name.parse().unwrap(), &known);
        assert_eq!(unique("a").unwrap().as_str(), "a00000000000");
        assert_eq!(unique("2d1f5").unwrap().as_str(), "2d1f5436374b");
        let ambiguous = unique("2d1f").unwrap_err().to_string();
        assert!(ambiguous.contains("2d1f5436374b") && ambiguous.contains("give more digits"));
        let unknown = unique("b").unwrap_err().to_string();
        assert!(unknown.contains("no group") && unknown.contains("a00000000000"));
    }
}

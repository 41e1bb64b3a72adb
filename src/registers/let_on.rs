//! That a person let the users on who waited for the limit of requests without an order: numbered, signed objects
//! `_let_on.{n}.json` of the archive store, of which the last one counts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::Recorded;

const PREFIX: &str = "_let_on.";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LetOn {
    /// Those whom a worker received until then.
    at: Timestamp,
    who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passes_over: Vec<String>,
}

impl Numbered for LetOn {
    const PURPOSE: Purpose = Purpose::LetOn;

    fn passes_over(&mut self) -> &mut Vec<String> {
        &mut self.passes_over
    }
}

/// Lets the users on whom workers received until `at`.
pub(crate) async fn let_on(
    store: &dyn ArchiveStore,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<(), Failure> {
    let operator = recorded.operator();
    let record = LetOn {
        at,
        who: operator.who.clone(),
        why: operator.why.clone(),
        passes_over: Vec::new(),
    };
    append(store, PREFIX, &record).await.map(|_number| ())
}

/// Until when the users who wait are let on. A record in doubt lets nobody on.
pub(crate) async fn let_on_until(store: &dyn ArchiveStore) -> Result<Option<Timestamp>, Failure> {
    let sequence = Sequence::list(store, PREFIX).await?;
    Ok(match sequence.latest::<LetOn>(store).await? {
        Latest::Nothing => None,
        Latest::Record(record) => Some(record.at),
        Latest::Doubtful(why) => {
            tracing::warn!(
                why,
                "a record that lets users on is in doubt: it lets nobody on"
            );
            None
        }
    })
}

//! The operators' pause: no worker takes users until it is lifted. Its records are objects of the
//! archive store, as holds are, so that it survives every restart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::Recorded;

/// A pause that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PauseRecord {
    /// Whether workers stop taking users.
    pub paused: bool,
    /// Which operator paused or resumed.
    pub who: String,
    /// Why, in the words of that operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When the pause began or ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Objects that we did not write; with this record they are no longer a reason to pause.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl Numbered for PauseRecord {
    const PURPOSE: Purpose = Purpose::Pause;

    fn passes_over(&mut self) -> &mut Vec<String> {
        &mut self.passes_over
    }
}

/// What is stored of pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PauseState {
    /// There was never a pause.
    Never,
    /// The last record.
    Record(PauseRecord),
    /// What is stored is in doubt, so workers pause. The text says which object, and why.
    Doubtful(String),
}

impl PauseState {
    /// Why no users are taken, if none are.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Never | Self::Record(PauseRecord { paused: false, .. }) => None,
            Self::Record(PauseRecord { who, why, at, .. }) => {
                let why = why
                    .as_ref()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                Some(format!(
                    "paused by {who} at {at}{why}; `offboarder resume` lifts it"
                ))
            }
            Self::Doubtful(why) => Some(format!(
                "paused, since a stored record is in doubt ({why}); `offboarder resume` lifts it"
            )),
        }
    }
}

/// What the keys of all pause records begin with.
const PREFIX: &str = "_pause.";

/// Reads whether operators paused the workers.
pub(crate) async fn pause_state(store: &dyn ArchiveStore) -> Result<PauseState, Failure> {
    Ok(
        match Sequence::list(store, PREFIX).await?.latest(store).await? {
            Latest::Nothing => PauseState::Never,
            Latest::Record(record) => PauseState::Record(record),
            Latest::Doubtful(why) => PauseState::Doubtful(why),
        },
    )
}

/// Pauses or resumes all workers, and reads the result back.
pub(crate) async fn set_pause(
    store: &dyn ArchiveStore,
    paused: bool,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<PauseRecord, Failure> {
    let operator = recorded.operator();
    let pause = PauseRecord {
        paused,
        who: operator.who.clone(),
        why: operator.why.clone(),
        at,
        passes_over: Vec::new(),
    };
    append(store, PREFIX, &pause).await?;

    Ok(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::clock::Clock;
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    async fn set(store: &DirectoryStore, paused: bool) {
        let recorded = Recorded::in_a_test("ada", None);
        set_pause(store, paused, &recorded, Clock::system().now())
            .await
            .unwrap();
    }

    fn stores(directory: &std::path::Path) -> (DirectoryStore, DirectoryStore) {
        let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
        let open = || DirectoryStore::open(directory).unwrap();
        (open().with_integrity(integrity), open())
    }

    #[tokio::test]
    async fn a_pause_reads_back_and_a_resume_lifts_it() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = stores(directory.path());
        assert_eq!(pause_state(&store).await.unwrap(), PauseState::Never);
        set(&store, true).await;
        assert!(
            pause_state(&store)
                .await
                .unwrap()
                .cause()
                .unwrap()
                .contains("ada")
        );
        set(&store, false).await;
        assert_eq!(pause_state(&store).await.unwrap().cause(), None);
    }

    #[tokio::test]
    async fn an_act_of_a_stranger_pauses_and_never_keeps_an_operator_from_pausing() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, strangers) = stores(directory.path());
        let forged = directory.path().join("_pause.4294967295.json");
        std::fs::write(
            &forged,
            r#"{"paused":false,"who":"eve","at":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert!(matches!(
            pause_state(&ours).await.unwrap(),
            PauseState::Doubtful(_)
        ));
        set(&ours, true).await;
        assert!(
            pause_state(&ours)
                .await
                .unwrap()
                .cause()
                .unwrap()
                .contains("paused by ada")
        );
        // Without the key a resume does not count; with it the forged object is ignored.
        set(&strangers, false).await;
        assert!(matches!(
            pause_state(&ours).await.unwrap(),
            PauseState::Doubtful(_)
        ));
        set(&ours, false).await;
        assert_eq!(pause_state(&ours).await.unwrap().cause(), None);
    }
}

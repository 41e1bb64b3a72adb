//! The operator's pause: no worker takes users until it is lifted. Objects of the archive store, as holds are, so that
//! it outlives every restart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::Recorded;

/// One act: a pause that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PauseAct {
    /// Whether no users are taken from then on.
    pub paused: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Objects that were no acts of ours, and no longer count as a reason to pause.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl Numbered for PauseAct {
    const PURPOSE: Purpose = Purpose::Pause;

    fn passes_over(&self) -> &[String] {
        &self.passes_over
    }

    fn passing_over(&self, passes_over: Vec<String>) -> Self {
        Self {
            passes_over,
            ..self.clone()
        }
    }
}

/// What is stored of pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PauseState {
    /// Nobody ever paused.
    Never,
    /// The last act.
    Act(PauseAct),
    /// It is not known; workers pause. The text says which object is in doubt, and why.
    Doubtful(String),
}

impl PauseState {
    /// Why no users are taken, if none are.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Never | Self::Act(PauseAct { paused: false, .. }) => None,
            Self::Act(PauseAct { who, why, at, .. }) => {
                let why = why
                    .as_ref()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                Some(format!(
                    "paused by {who} at {at}{why}; `offboarder resume` lifts it"
                ))
            }
            Self::Doubtful(why) => Some(format!(
                "paused, since an act cannot be believed ({why}); `offboarder resume` lifts it"
            )),
        }
    }
}

/// What the names of all these acts begin with.
const PREFIX: &str = "_pause.";

/// Reads whether operators paused the workers.
pub(crate) async fn pause_state(store: &dyn ArchiveStore) -> Result<PauseState, Failure> {
    Ok(
        match Sequence::list(store, PREFIX).await?.latest(store).await? {
            Latest::Nothing => PauseState::Never,
            Latest::Act(act) => PauseState::Act(act),
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
) -> Result<PauseAct, Failure> {
    let operator = recorded.operator();
    let pause = PauseAct {
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
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    async fn set(store: &DirectoryStore, paused: bool) {
        let recorded = Recorded::in_a_test("ada", None);
        set_pause(store, paused, &recorded, Timestamp::now())
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
        // Without the key nobody resumes; with it the forged object is passed over.
        set(&strangers, false).await;
        assert!(matches!(
            pause_state(&ours).await.unwrap(),
            PauseState::Doubtful(_)
        ));
        set(&ours, false).await;
        assert_eq!(pause_state(&ours).await.unwrap().cause(), None);
    }
}

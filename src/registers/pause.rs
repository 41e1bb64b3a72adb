//! The operators' pause: no worker takes users until it is lifted. Its records are objects of the
//! archive store, as holds are, so that it survives every restart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use super::stop_register::StopRegister;
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
    /// When the pause ends by itself. A worker of an earlier release does not know it, and stays
    /// paused until `offboarder resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Objects that we did not write; with this record they are no longer a reason to pause.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl PauseRecord {
    /// Whether workers take no users at `now` because of this record.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.paused && self.until.is_none_or(|until| until > now)
    }
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
    /// Why no users are taken at `now`, if none are.
    pub(crate) fn cause(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Never => None,
            Self::Record(record) if !record.holds_at(now) => None,
            Self::Record(PauseRecord {
                who,
                why,
                at,
                until,
                ..
            }) => {
                let until = until
                    .map(|until| format!(" until {until:.0}"))
                    .unwrap_or_default();
                let why = why
                    .as_ref()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                Some(format!(
                    "paused by {who} at {at:.0}{until}{why}; `offboarder resume` lifts it"
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

/// The same, where orders to stop that are in doubt pause the workers, too.
pub(crate) async fn pause_in_force(
    store: &dyn ArchiveStore,
    orders: &StopRegister,
) -> Result<PauseState, Failure> {
    let read = futures_util::try_join!(pause_state(store), orders.recent(store))?;
    Ok(match read.1.doubt() {
        Some(doubt) => PauseState::Doubtful(doubt.to_owned()),
        None => read.0,
    })
}

/// Pauses or resumes all workers, and reads the result back. A pause ends by itself at `until`.
pub(crate) async fn set_pause(
    store: &dyn ArchiveStore,
    paused: bool,
    until: Option<Timestamp>,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<PauseRecord, Failure> {
    let operator = recorded.operator();
    let pause = PauseRecord {
        paused,
        until,
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
        set_pause(store, paused, None, &recorded, Clock::system().now())
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
                .cause(Clock::system().now())
                .unwrap()
                .contains("ada")
        );
        set(&store, false).await;
        assert_eq!(
            pause_state(&store)
                .await
                .unwrap()
                .cause(Clock::system().now()),
            None
        );
    }

    #[test]
    fn a_pause_with_an_end_lifts_itself_and_an_old_record_has_none() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let text = r#"{"paused":true,"who":"ada","at":"1970-01-12T13:46:40Z"}"#;
        let old: PauseRecord = serde_json::from_str(text).unwrap();
        assert!(old.holds_at(Timestamp::MAX));
        assert_eq!(serde_json::to_string(&old).unwrap(), text);

        let until = now + jiff::SignedDuration::from_secs(60);
        let record = PauseRecord {
            until: Some(until),
            ..old
        };
        let state = PauseState::Record(record);
        let cause = state.cause(now).unwrap();
        assert!(cause.contains("until 1970-01-12T13:47:40Z"), "{cause}");
        assert_eq!(state.cause(until), None);
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
                .cause(Clock::system().now())
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
        assert_eq!(
            pause_state(&ours)
                .await
                .unwrap()
                .cause(Clock::system().now()),
            None
        );
    }
}

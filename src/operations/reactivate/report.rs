use serde::Serialize;
use utoipa::ToSchema;

use super::super::Partial;
use crate::failure::Failure;
use crate::job::UserId;
use crate::manifest::{NotGivenBack, Possession, ReactivationRecord};

/// What a reactivation did
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReactivateReport {
    pub users: Vec<UserReactivated>,
}

/// How the reactivation of a user ended
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReactivationOutcome)]
pub(crate) enum Outcome {
    /// The user has everything back.
    Reactivated,
    /// The user is not deleted, and something could not be given back.
    Incomplete,
    /// It was done before.
    AlreadyReactivated,
    /// Nothing was given back.
    Refused,
}

/// Why a user is not reactivated
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReactivationRefusal)]
pub(crate) enum Refusal {
    /// A worker decided for the deletion first.
    DeletionDecided,
    /// The user does not exist any more.
    Deleted,
    /// Nothing is stored that says what the user had.
    NoBeforeImage,
    /// The user was asked for again in the meantime.
    AskedAgain,
    /// A worker has the user.
    Busy,
    /// Something that is stored, or an answer of the API, cannot be understood.
    Unreadable,
}

impl Refusal {
    /// Whether a safety rule refused it.
    pub(crate) const fn is_safety(self) -> bool {
        match self {
            Self::DeletionDecided | Self::Deleted => true,
            Self::NoBeforeImage | Self::AskedAgain | Self::Busy | Self::Unreadable => false,
        }
    }
}

/// What became of one user
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserReactivated {
    pub user_id: UserId,
    pub outcome: Outcome,
    /// Why nothing was given back.
    pub refusal: Option<Refusal>,
    /// For people.
    pub text: Option<String>,
    pub given_back: Vec<Possession>,
    /// What the user had already.
    pub there_already: Vec<Possession>,
    /// A later try gives these back, once the reason is gone.
    pub not_given_back: Vec<NotGivenBack>,
    /// What no call gives back.
    pub lost: Vec<NotGivenBack>,
    /// The key of the record in the archive store.
    pub record: Option<String>,
}

impl UserReactivated {
    pub(super) fn refused(user_id: UserId, refusal: Refusal, text: String) -> Self {
        Self {
            user_id,
            outcome: Outcome::Refused,
            refusal: Some(refusal),
            text: Some(text),
            given_back: Vec::new(),
            there_already: Vec::new(),
            not_given_back: Vec::new(),
            lost: Vec::new(),
            record: None,
        }
    }

    pub(super) fn busy(user_id: UserId) -> Self {
        let text = "a worker has the user; the order to stop is stored: do it again";
        Self::refused(user_id, Refusal::Busy, text.to_owned())
    }

    pub(super) fn asked_again(user_id: UserId) -> Self {
        let text =
            "the user was asked for again in the meantime, and that request continues; do it again";
        Self::refused(user_id, Refusal::AskedAgain, text.to_owned())
    }

    pub(super) fn unreadable(user_id: UserId, failure: &Failure) -> Self {
        Self::refused(user_id, Refusal::Unreadable, failure.text.clone())
    }

    pub(super) fn already(record: ReactivationRecord, key: String) -> Self {
        let text = format!("reactivated by {} at {:.0}", record.who, record.at);
        Self {
            text: Some(text),
            ..Self::of_record(Outcome::AlreadyReactivated, record, key)
        }
    }

    pub(super) fn of_record(outcome: Outcome, record: ReactivationRecord, key: String) -> Self {
        Self {
            user_id: record.user_id,
            outcome,
            refusal: None,
            text: None,
            given_back: record.given_back,
            there_already: record.there_already,
            not_given_back: record.not_given_back,
            lost: record.lost,
            record: Some(key),
        }
    }
}

impl ReactivateReport {
    pub(super) fn add(&mut self, user: UserReactivated) {
        self.users.push(user);
    }

    pub(super) fn whole(self) -> Partial<Self> {
        Partial::whole(self.sorted())
    }

    pub(super) fn cut_short(self, failure: Failure) -> Partial<Self> {
        Partial::cut_short(self.sorted(), failure)
    }

    /// The same answer for the same facts.
    fn sorted(mut self) -> Self {
        self.users.sort_unstable_by_key(|user| user.user_id);
        self
    }
}

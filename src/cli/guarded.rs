//! Checks the users of an input against the protected list and the legal holds before anything is submitted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::compose;
use super::compose_documents;
use super::exit::CliError;
use crate::config::{ArchiveLocation, Settings};
use crate::guards::Hold;
use crate::guards::ProtectedList;
use crate::job::UserId;
use crate::ports::ArchiveStore;
use crate::registers::{HoldRecords, StopOrders, StopRegister};

/// The command only shows holds, so it does not wait longer for them.
const HOLDS_WITHIN: Duration = Duration::from_secs(5);

/// What the guards say about the input now. Workers check again.
pub(super) struct Guarded {
    protected: Arc<ProtectedList>,
    store: Option<Arc<dyn ArchiveStore>>,
    is_bucket: bool,
    acts: HoldRecords,
    found: RefCell<BTreeSet<UserId>>,
}

impl Guarded {
    pub(super) async fn read(settings: &Settings) -> Result<Self, CliError> {
        let protected = compose_documents::protected(settings).await?.load().await?;
        if protected.has_patterns() {
            tracing::info!(
                "the protected list has patterns of user names; only workers can check those"
            );
        }
        let store = match &settings.archive.location {
            ArchiveLocation::Directory(path) if !path.exists() => None,
            ArchiveLocation::Directory(_) | ArchiveLocation::S3 { .. } => {
                Some(compose::archive_store(settings).await?)
            }
        };
        let acts = match &store {
            None => HoldRecords::default(),
            Some(store) => {
                match tokio::time::timeout(HOLDS_WITHIN, HoldRecords::list(&**store)).await {
                    Ok(Ok(acts)) => acts,
                    Ok(Err(failure)) => {
                        tracing::warn!(%failure, "legal holds are not shown; workers check them in any case");
                        HoldRecords::default()
                    }
                    Err(_elapsed) => {
                        tracing::warn!(
                            "legal holds are not shown: no response within {} s; workers check them in any case",
                            HOLDS_WITHIN.as_secs()
                        );
                        HoldRecords::default()
                    }
                }
            }
        };

        Ok(Self {
            protected,
            store,
            is_bucket: matches!(settings.archive.location, ArchiveLocation::S3 { .. }),
            acts,
            found: RefCell::default(),
        })
    }

    /// Where workers read, too; `None` where the archive is a directory of this machine.
    pub(super) fn bucket(&self) -> Option<Arc<dyn ArchiveStore>> {
        self.store.clone().filter(|_| self.is_bucket)
    }

    /// What operators cancelled; `None` if that is unknown.
    pub(super) async fn stop_orders(&self) -> Option<Arc<StopOrders>> {
        let register = StopRegister::default();
        let reading = register.fresh(&**self.store.as_ref()?);
        match tokio::time::timeout(HOLDS_WITHIN, reading).await {
            Ok(Ok(orders)) => Some(orders),
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "cancelled users are not shown; workers check in any case");
                None
            }
            Err(_elapsed) => {
                tracing::warn!(
                    "cancelled users are not shown: no response within {} s; workers check in any case",
                    HOLDS_WITHIN.as_secs()
                );
                None
            }
        }
    }

    /// Why a user may not be submitted. Also notes users who may be on hold, for [`Self::held`].
    pub(super) fn forbid(&self, user_id: UserId) -> Option<String> {
        if self.acts.names(user_id) {
            self.found.borrow_mut().insert(user_id);
        }
        // Patterns need the user name, which only workers read.
        self.protected
            .names(user_id)
            .then(|| "the protected list names the user".to_owned())
    }

    /// The users of the input who are on hold.
    pub(super) async fn held(&self) -> Vec<(UserId, Hold)> {
        let Some(store) = &self.store else {
            return Vec::new();
        };
        let mut acts = self.acts.clone();
        acts.retain(&self.found.take());
        match acts.holds(store).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "legal holds are not shown; workers check them in any case");
                Vec::new()
            }
        }
    }
}

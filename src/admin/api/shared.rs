//! What all readers of a moment share.

use std::sync::Arc;

use crate::admin::problem::Problem;
use crate::operations::batches::{BatchHistory, Readings};
use crate::operations::overview::{DeploymentOverview, Surroundings};
use crate::operations::shared_answers::SharedAnswers;
use crate::operations::users::UserPage;
use crate::registers::audit_log::AuditEntry;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) surroundings: SharedAnswers<Surroundings, Problem>,
    pub(super) overviews: SharedAnswers<DeploymentOverview, Problem>,
    pub(super) readings: Readings,
    pub(super) users: SharedAnswers<UserPage, Problem>,
    pub(super) histories: Arc<SharedAnswers<BatchHistory, Problem>>,
    pub(super) recent_entries: SharedAnswers<Vec<AuditEntry>, Problem>,
}

impl Shared {
    /// Who changed something here reads it again.
    pub(super) fn changed(&self) {
        self.surroundings.changed();
        self.overviews.changed();
        self.readings.changed();
        self.users.changed();
        self.histories.changed();
        self.recent_entries.changed();
    }
}

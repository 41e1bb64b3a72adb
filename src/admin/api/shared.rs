//! What all readers of a moment share.

use crate::admin::problem::Problem;
use crate::operations::batches::Readings;
use crate::operations::overview::{DeploymentOverview, Surroundings};
use crate::operations::shared_answers::SharedAnswers;
use crate::operations::users::UserPage;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) surroundings: SharedAnswers<Surroundings, Problem>,
    pub(super) overviews: SharedAnswers<DeploymentOverview, Problem>,
    pub(super) readings: Readings,
    pub(super) users: SharedAnswers<UserPage, Problem>,
}

impl Shared {
    /// Who changed something here reads it anew.
    pub(super) fn changed(&self) {
        self.surroundings.changed();
        self.overviews.changed();
        self.readings.changed();
        self.users.changed();
    }
}

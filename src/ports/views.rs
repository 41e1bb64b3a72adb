//! Views of the console that somebody saved: addresses with a name.

use async_trait::async_trait;

use crate::failure::Failure;

/// The most views that one owner has.
pub(crate) const VIEWS_AT_MOST: usize = 50;

/// The address of a page with its filters, under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedView {
    pub name: String,
    /// The path with the query.
    pub path: String,
}

/// Views, by their owner.
#[async_trait]
pub(crate) trait Views: Send + Sync {
    /// The views of an owner, by name. They are kept for a year from then on.
    async fn list(&self, owner: &str) -> Result<Vec<SavedView>, Failure>;

    /// Saves a view, in place of the one of that name. `false` if the owner has [`VIEWS_AT_MOST`] others.
    async fn save(&self, owner: &str, view: &SavedView) -> Result<bool, Failure>;

    /// Removes the view of this name, if there is one.
    async fn remove(&self, owner: &str, name: &str) -> Result<(), Failure>;
}

//! Where the protected list is read from. A list that cannot be used stops the work: it is not
//! known then who is protected.

use std::sync::Arc;

use parking_lot::Mutex;

use super::place::Place;
use crate::failure::{Class, Code, Failure};
use crate::guards::ProtectedList;

const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// A list that lost a fifth of its entries between two reads may be a file that is being written.
const LOST_ONE_IN: usize = 5;

/// Where the list is. It is read for each check, so that a change takes effect at once. Clones
/// share the list that was read last.
#[derive(Clone)]
pub(crate) struct ProtectedSource {
    /// `None`: nobody is protected.
    place: Option<Place>,
    last_read: Arc<Mutex<Option<Arc<ProtectedList>>>>,
}

impl ProtectedSource {
    pub(crate) fn nobody() -> Self {
        Self::new(None)
    }

    pub(crate) fn at(place: Place) -> Self {
        Self::new(Some(place))
    }

    fn new(place: Option<Place>) -> Self {
        Self {
            place,
            last_read: Arc::default(),
        }
    }

    /// Reads the list. One that cannot be read or understood, or that lost much since the last
    /// read, is an error that stops the work.
    pub(crate) async fn load(&self) -> Result<Arc<ProtectedList>, Failure> {
        let Some(place) = &self.place else {
            return Ok(Arc::default());
        };
        let stop = |why: String| {
            let text = format!(
                "the protected list {} cannot be used: {why}; no user is changed until it can be: \
                 check OFFBOARDER_GUARD_PROTECTED",
                place.name()
            );
            Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
        };
        let text = place.read(MAX_LIST_BYTES).await.map_err(stop)?;
        let list = Arc::new(ProtectedList::parse(&text).map_err(stop)?);

        self.compare(&list).map_err(stop)?;
        Ok(list)
    }

    /// Compares the list with the last one that this process read.
    fn compare(&self, list: &Arc<ProtectedList>) -> Result<(), String> {
        let mut last_read = self.last_read.lock();
        if let Some(last) = &*last_read {
            let missing = list.lost(last);
            let before = last.len();
            // A person wrote `# nobody`, so an empty list is meant.
            if missing > 0 && missing * LOST_ONE_IN >= before && !list.is_empty() {
                return Err(format!(
                    "{missing} of {before} entries are gone since the last read; write them again, or, if they are \
                     to be removed, remove fewer at a time or restart this process"
                ));
            }
        }
        *last_read = Some(Arc::clone(list));
        Ok(())
    }
}

#[cfg(test)]
#[path = "protected_tests.rs"]
mod tests;

//! Who is in the people file now.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::place::Place;
use crate::failure::{Class, Code, Failure};
use crate::people::People;
use crate::telemetry::metrics;

/// Enough for thousands of people.
pub(crate) const MAX_PEOPLE_BYTES: usize = 1024 * 1024;
/// A person who was removed has no access after this time, also if the file cannot be read any more.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// Often enough that one read may fail.
const READ_EVERY: Duration = Duration::from_secs(4);
const READ_WITHIN: Duration = Duration::from_secs(3);

/// The people file.
#[derive(Clone)]
pub(crate) struct PeopleRegister(Place);

impl PeopleRegister {
    pub(crate) fn at(place: Place) -> Self {
        Self(place)
    }

    /// Reads the file. One that cannot be read or understood admits nobody.
    pub(crate) async fn load(&self) -> Result<People, Failure> {
        let refuse = |why: String| {
            let text = format!(
                "the people file {} cannot be used: {why}; it admits nobody until it can be: \
                 check OFFBOARDER_ADMIN_PEOPLE",
                self.0.name()
            );
            Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
        };
        let text = self.0.read(MAX_PEOPLE_BYTES).await.map_err(refuse)?;
        People::parse(&text).map_err(|faults| refuse(faults.to_string()))
    }
}

/// The people file, read every few seconds.
pub(crate) struct PeopleWatch {
    register: PeopleRegister,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// When the read began that found them.
    good: Option<(Instant, Arc<People>)>,
    /// Why the last read failed.
    failure: Option<Failure>,
}

impl PeopleWatch {
    /// Reads the file once; [`Self::keep_reading`] continues.
    pub(crate) async fn begin(register: PeopleRegister) -> Arc<Self> {
        let watch = Self {
            register,
            last: Mutex::default(),
        };
        watch.read().await;
        Arc::new(watch)
    }

    pub(crate) async fn keep_reading(&self) {
        loop {
            tokio::time::sleep(READ_EVERY).await;
            self.read().await;
        }
    }

    /// Who may sign in now, or why that is unknown.
    pub(crate) fn now(&self) -> Result<Arc<People>, Failure> {
        let last = self.last.lock();
        match (&last.good, &last.failure) {
            (Some((read_at, people)), _) if read_at.elapsed() < GOOD_FOR => Ok(Arc::clone(people)),
            (_, Some(failure)) => Err(failure.clone()),
            (_, None) => Err(late()),
        }
    }

    async fn read(&self) {
        let begun = Instant::now();
        let read = match tokio::time::timeout(READ_WITHIN, self.register.load()).await {
            Ok(read) => read,
            Err(_elapsed) => Err(late()),
        };
        metrics::people_unreadable(read.is_err());
        let mut last = self.last.lock();
        match read {
            Ok(people) => {
                if last.failure.take().is_some() {
                    tracing::info!(
                        people = people.counts(),
                        "the people file can be read again"
                    );
                }
                last.good = Some((begun, Arc::new(people)));
            }
            Err(failure) => {
                // Once for each cause, and not every few seconds.
                if last.failure.as_ref().map(|known| &known.text) != Some(&failure.text) {
                    tracing::warn!(%failure, "nobody can sign in with a key or through a proxy");
                }
                last.failure = Some(failure);
            }
        }
    }
}

fn late() -> Failure {
    let text = format!(
        "the people file was not read within {} s; it admits nobody until it can be: check \
         OFFBOARDER_ADMIN_PEOPLE",
        READ_WITHIN.as_secs()
    );
    Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "[[people]]\nname = 'ada'\nrole = 'reader'\n";

    async fn watch(path: &std::path::Path) -> Arc<PeopleWatch> {
        let place = Place::File(path.to_owned());
        PeopleWatch::begin(PeopleRegister::at(place)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_who_left_the_file_is_gone_within_ten_seconds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ADA).unwrap();
        let watch = watch(file.path()).await;
        assert!(watch.now().unwrap().named("ada").is_some());
        std::fs::write(file.path(), "").unwrap();
        let reading = Arc::clone(&watch);
        let task = tokio::spawn(async move { reading.keep_reading().await });
        tokio::time::sleep(GOOD_FOR).await;
        assert!(watch.now().unwrap().named("ada").is_none());
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_used_admits_nobody_after_ten_seconds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ADA).unwrap();
        let watch = watch(file.path()).await;
        std::fs::write(file.path(), "[[people]]\nname = 'ada'\nrole = 'king'\n").unwrap();
        watch.read().await;
        assert!(watch.now().is_ok(), "one read may fail");
        tokio::time::advance(GOOD_FOR).await;
        let why = watch.now().unwrap_err();
        assert!(why.text.contains("line 3: role is none of"), "{why}");
        // It needs no task that notices: an answer that is too old is none.
        std::fs::write(file.path(), ADA).unwrap();
        watch.read().await;
        assert!(watch.now().is_ok());
        tokio::time::advance(GOOD_FOR).await;
        assert!(watch.now().is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_missing_at_the_start_admits_nobody() {
        let watch = watch(std::path::Path::new("/nowhere/people.toml")).await;
        let why = watch.now().unwrap_err();
        assert_eq!(why.code, Code::SettingsUnreadable);
        assert!(why.text.contains("/nowhere/people.toml"), "{why}");
    }
}

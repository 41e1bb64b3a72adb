use super::fault::Fault;
use super::resolve::{Entry, State};

/// Turns texts into values and notes what cannot be.
pub(super) struct Reader<'a> {
    entries: &'a [Entry],
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(entries: &'a [Entry], faults: Vec<Fault>) -> Self {
        Self { entries, faults }
    }

    /// The value, or `None`: it is unset, or its fault is noted. A group therefore reads all its
    /// settings first and is put together after.
    pub(super) fn get<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        let State::Set { text, origin } = &entry.state else {
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults
                    .push(Fault::of_value(entry.setting, origin, text, &problem));
                None
            }
        }
    }

    /// Notes what is wrong with a value only in the light of others.
    pub(super) fn refuse(&mut self, key: &str, problem: &str) {
        if let Some(Entry {
            setting,
            state: State::Set { text, origin },
        }) = self.entry(key)
        {
            self.faults
                .push(Fault::of_value(setting, origin, text, problem));
        }
    }

    /// Nobody tried to set it; a value with a fault is none of these.
    pub(super) fn is_unset(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|entry| matches!(entry.state, State::Unset))
    }

    /// Whether the text in force begins so.
    pub(super) fn begins(&self, key: &str, start: &str) -> bool {
        self.entry(key).is_some_and(
            |entry| matches!(&entry.state, State::Set { text, .. } if text.starts_with(start)),
        )
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.setting.key == key)
    }
}

//! Turns the texts in force into values, and notes a fault for each text that cannot be one.

use super::fault::Fault;
use super::origin::Origin;
use super::resolve::{Entry, State};
use super::setting::Setting;

pub(super) struct Reader<'a> {
    entries: &'a [Entry],
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(entries: &'a [Entry], faults: Vec<Fault>) -> Self {
        Self { entries, faults }
    }

    /// Returns the value, or `None` if the setting is unset or its fault is noted. A group reads
    /// all its settings before it uses `?` on any, so that one fault does not hide the next.
    pub(super) fn get<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let State::Set { text, origin } = self.state(setting) else {
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                let fault = Fault::of_value(setting, origin, text, &problem);
                self.faults.push(fault);
                None
            }
        }
    }

    /// Notes that a value is wrong because of the value of another setting.
    pub(super) fn refuse(&mut self, setting: &Setting, problem: &str) {
        if let State::Set { text, origin } = self.state(setting) {
            let fault = Fault::of_value(setting, origin, text, problem);
            self.faults.push(fault);
        }
    }

    /// True if no source sets it. A value with a fault is set.
    pub(super) fn is_unset(&self, setting: &Setting) -> bool {
        matches!(self.state(setting), State::Unset)
    }

    /// The text in force, whatever it means.
    pub(super) fn text(&self, setting: &Setting) -> Option<&'a str> {
        match self.state(setting) {
            State::Set { text, .. } => Some(text),
            State::Unset | State::Faulty => None,
        }
    }

    /// Notes that a setting is missing, or that it is set without a use.
    pub(super) fn note(&mut self, setting: &Setting, problem: &str) {
        self.faults.push(Fault::about(setting.variable(), problem));
    }

    /// Whether a source sets it, and not only its default.
    pub(super) fn is_given(&self, setting: &Setting) -> bool {
        match self.state(setting) {
            State::Set { origin, .. } => *origin != Origin::Default,
            State::Unset => false,
            State::Faulty => true,
        }
    }

    /// Whether the text in force begins with `start`.
    pub(super) fn begins(&self, setting: &Setting, start: &str) -> bool {
        self.text(setting)
            .is_some_and(|text| text.starts_with(start))
    }

    fn state(&self, setting: &Setting) -> &'a State {
        let found = self.entries.iter().find(|entry| entry.setting == setting);
        found.map_or(&State::Unset, |entry| &entry.state)
    }
}

//! Switches for what no public source says of an API. Each default is what its document makes likely.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// A question that only a tenant can answer.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) name: &'static str,
    /// The operation that it is about, as in the document.
    pub(crate) operation: &'static str,
    /// The first is the default.
    pub(crate) values: &'static [&'static str],
    /// The sentence of `x-unknown` in the document, or the statement that the switch takes back.
    pub(crate) sentence: &'static str,
}

/// The switches of an API, and how they are set.
pub(super) struct Unknowns {
    table: &'static [Switch],
    values: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Unknowns {
    pub(super) fn new(table: &'static [Switch]) -> Self {
        let defaults = table
            .iter()
            .filter_map(|switch| Some((switch.name, *switch.values.first()?)));
        Self {
            table,
            values: Mutex::new(defaults.collect()),
        }
    }

    /// The value in force; empty for a switch that the API does not have.
    pub(super) fn get(&self, name: &str) -> &'static str {
        self.values.lock().get(name).copied().unwrap_or_default()
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }

    pub(super) fn all(&self) -> BTreeMap<&'static str, &'static str> {
        self.values.lock().clone()
    }

    /// Sets a switch; an unknown name or value is refused with the list of what is known.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let Some(switch) = self.table.iter().find(|switch| switch.name == name) else {
            return Err(format!(
                "no switch is named {name:?}; the switches are:\n{}",
                list(self.table)
            ));
        };
        let Some(value) = switch.values.iter().find(|known| **known == value) else {
            return Err(format!(
                "{name} is one of {}, not {value:?}",
                switch.values.join(", ")
            ));
        };
        self.values.lock().insert(switch.name, value);

        Ok(())
    }

    /// Sets a switch from `NAME=VALUE`.
    pub(super) fn set_word(&self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        self.set(name, value)
    }
}

/// The switches for people: two lines each.
pub(crate) fn list(table: &[Switch]) -> String {
    if table.is_empty() {
        return "  none\n".to_owned();
    }
    let shown = table.iter().map(|switch| {
        format!(
            "  {}={}\n      {}: {}\n",
            switch.name,
            switch.values.join("|"),
            switch.operation,
            switch.sentence
        )
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Switch] = &[Switch {
        name: "nobody",
        operation: "getUser",
        values: &["404", "400"],
        sentence: "the answer for nobody",
    }];

    #[test]
    fn a_switch_has_a_default_and_refuses_what_it_does_not_know() {
        let unknowns = Unknowns::new(TABLE);
        assert!(unknowns.is("nobody", "404"));
        unknowns.set_word("nobody=400").unwrap();
        assert_eq!(unknowns.get("nobody"), "400");

        let name = unknowns.set_word("someone=400").unwrap_err();
        assert!(name.contains("nobody=404|400"), "{name}");
        let value = unknowns.set_word("nobody").unwrap_err();
        assert!(value.contains("one of 404, 400"), "{value}");
    }
}

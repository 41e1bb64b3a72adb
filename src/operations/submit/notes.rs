//! What the author of a file should know about it, though it is no fault.

use serde_json::{Map, Value};

use super::header::{Column, Header};

/// The number of names that are listed.
const NAMED: usize = 100;

/// Names of columns and members. They are shown, because the author of the file may have meant something by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Notes {
    /// Not read.
    pub(super) ignored: Vec<String>,
    /// Not read, but kept for the report of a batch.
    pub(super) kept: Vec<String>,
    /// An option of the command line says something else, and the file wins.
    pub(super) contradicted: Vec<String>,
}

impl Notes {
    pub(super) fn note_unknown(&mut self, name: &str) {
        let name: String = name.chars().take(60).collect();
        add(&mut self.ignored, &name.escape_debug().to_string());
    }

    pub(super) fn note_contradicted(&mut self, member: &str) {
        // The command adds the time of the request by itself.
        if member != "requestedAt" {
            add(&mut self.contradicted, member);
        }
    }

    pub(super) fn note_header(&mut self, header: &Header, overlay: &Map<String, Value>) {
        for column in &header.columns {
            match column {
                Column::Kept(name) => add(&mut self.kept, name),
                Column::Ignored(name) => self.note_unknown(name),
                Column::Member(member) if overlay.contains_key(*member) => {
                    self.note_contradicted(member);
                }
                Column::Member(_) => {}
            }
        }
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if names.len() < NAMED && !name.is_empty() && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

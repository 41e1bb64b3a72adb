//! Columns of an input file that mean nothing to offboarder, for the report of a batch.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::printable;

/// What the file of `submit` says of a user besides the message: names and cells, e.g. a name and a department. They are
/// personal data that nothing else needs, so they are bounded, and are no part of a message, a checkpoint or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileColumns(IndexMap<String, String>);

impl FileColumns {
    /// The number of columns that are kept.
    pub(crate) const MOST: usize = 16;
    const LONGEST_NAME: usize = 60;
    const LONGEST_CELL: usize = 200;

    /// The name under which a column is kept; `None` if it has no name.
    pub(crate) fn name(column: &str) -> Option<String> {
        let name: String = column.trim().chars().take(Self::LONGEST_NAME).collect();
        let name = printable::line(&name).into_owned();
        (!name.is_empty()).then_some(name)
    }

    /// Adds a cell unless it is empty. A cell that is too long is cut, which its end shows.
    pub(crate) fn add(&mut self, name: &str, cell: &str) {
        const CUT: &str = "…";
        if cell.is_empty() || self.0.len() >= Self::MOST {
            return;
        }
        let cell = if cell.len() <= Self::LONGEST_CELL {
            cell.to_owned()
        } else {
            let end = cell.floor_char_boundary(Self::LONGEST_CELL - CUT.len());
            format!("{}{CUT}", cell.get(..end).unwrap_or_default())
        };
        self.0.insert(name.to_owned(), cell);
    }

    /// What is stored, within the bounds: another program may have written it.
    pub(crate) fn of_stored(bytes: &[u8]) -> Self {
        let stored: IndexMap<String, String> = serde_json::from_slice(bytes).unwrap_or_default();
        let mut columns = Self::default();
        for (name, cell) in &stored {
            if let Some(name) = Self::name(name) {
                columns.add(&name, cell);
            }
        }
        columns
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_bounded_whoever_wrote_them() {
        let mut columns = FileColumns::default();
        columns.add("name", "Ada");
        columns.add("empty", "");
        columns.add("long", &"ü".repeat(150));
        assert_eq!(columns.names().collect::<Vec<_>>(), ["name", "long"]);
        let long = columns.get("long").unwrap();
        assert!(long.len() <= 200 && long.ends_with("ü…"), "{long}");
        for number in 0..30 {
            columns.add(&format!("c{number}"), "x");
        }
        assert_eq!(columns.names().count(), 16);

        let stored = serde_json::to_vec(&columns).unwrap();
        assert_eq!(FileColumns::of_stored(&stored), columns);
        let many: IndexMap<String, String> = (0..99)
            .map(|number| (format!("c\u{1b}{number}"), "x".repeat(1000)))
            .collect();
        let read = FileColumns::of_stored(&serde_json::to_vec(&many).unwrap());
        assert_eq!(read.names().count(), 16);
        assert!(read.names().all(|name| !name.contains('\u{1b}')));
        assert!(read.get("c\\u{1b}3").unwrap().len() <= 200);
        for odd in ["", "[]", "{\"a\":1}", "\u{0}"] {
            assert!(FileColumns::of_stored(odd.as_bytes()).is_empty(), "{odd:?}");
        }
    }
}

//! The header of a CSV file: which column holds the ID, which columns are members of a message, and which are kept for
//! the report.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::cells::split;
use super::members::MEMBERS;
use super::near_miss::{near_miss, nearly, plain};
use super::spelling::id;
use crate::ports::FileColumns;

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// The number of columns that a fault lists.
const LISTED: usize = 40;

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    Member(&'static str),
    /// The report of the batch shows it under this name.
    Kept(String),
    /// Its name.
    Ignored(String),
}

#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) delimiter: char,
    pub(super) columns: Vec<Column>,
}

/// What the first line of a file is.
pub(super) enum FirstLine {
    /// With the faults of the header.
    Header(Header, Vec<String>),
    /// The first ID of a list, or what should be one.
    OfAList,
    /// No line of the file can be read, and why.
    Unusable(String),
}

/// Reads the first line. `id_column` is the name that the operator gave.
pub(super) fn read(first: &str, id_column: Option<&str>) -> FirstLine {
    let mut widest = Vec::new();
    for delimiter in DELIMITERS {
        let cells = split(first, delimiter).unwrap_or_default();
        let columns = columns(&cells, id_column);
        if columns.contains(&Column::Member("userId")) {
            let faults = faults(&cells, &columns);
            return FirstLine::Header(Header { delimiter, columns }, faults);
        }
        if cells.len() > widest.len() {
            widest = cells;
        }
    }

    let is_list = widest.len() < 2;
    match id_column {
        Some(name) => FirstLine::Unusable(format!(
            "no column is named {name:?} (--id-column); {}",
            listed(&widest)
        )),
        None if is_list => FirstLine::OfAList,
        None if widest.iter().any(|cell| id(cell).is_some()) => FirstLine::Unusable(format!(
            "CSV needs a header with userId: the first line has a user ID among its {} cells; add a line above it that \
             names the columns",
            widest.len()
        )),
        None => FirstLine::Unusable(format!(
            "CSV needs a header with userId; {}; name the column of the IDs with --id-column, e.g. --id-column {:?}",
            listed(&widest),
            widest.first().map_or("User ID", String::as_str)
        )),
    }
}

impl Header {
    /// The member columns of a row, without empty cells, and the cells that are kept for the report.
    pub(super) fn assign(&self, cells: Vec<String>) -> (Map<String, Value>, FileColumns) {
        let mut members = Map::new();
        let mut kept = FileColumns::default();
        for (column, cell) in self.columns.iter().zip(cells) {
            match column {
                Column::Member("userId") => {
                    let id = id(&cell).map_or(cell, |id| id.to_string());
                    members.insert("userId".to_owned(), id.into());
                }
                Column::Member(name) if !cell.is_empty() => {
                    members.insert((*name).to_owned(), cell.into());
                }
                Column::Kept(name) => kept.add(name, &cell),
                Column::Member(_) | Column::Ignored(_) => {}
            }
        }
        (members, kept)
    }
}

fn columns(cells: &[String], id_column: Option<&str>) -> Vec<Column> {
    let is_id = |cell: &String| match id_column {
        None => plain(cell) == "userid",
        Some(name) => plain(cell) == plain(name),
    };
    // Two columns may differ in signs only; then the exact name decides.
    let exact = id_column.filter(|name| cells.iter().any(|cell| cell == name));
    let mut names = BTreeSet::new();
    let mut column = |cell: &String| {
        let is_id = exact.map_or_else(|| is_id(cell), |name| cell == name);
        if is_id {
            Column::Member("userId")
        } else if let Some(member) = known(cell) {
            Column::Member(member)
        } else {
            match FileColumns::name(cell) {
                Some(name) if names.len() < FileColumns::MOST && names.insert(name.clone()) => {
                    Column::Kept(name)
                }
                Some(_) | None => Column::Ignored(cell.clone()),
            }
        }
    };
    cells.iter().map(&mut column).collect()
}

/// Two columns of one name, and names that are nearly known ones.
fn faults(cells: &[String], columns: &[Column]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, (cell, column)) in cells.iter().zip(columns).enumerate() {
        match column {
            Column::Member(name) if columns.iter().take(index).any(|other| other == column) => {
                faults.push(format!("the header has two columns {name}"));
            }
            Column::Member(_) => {}
            Column::Kept(_) | Column::Ignored(_) => match near_miss(cell) {
                None | Some("userId") => {}
                Some(meant) => faults.push(nearly("column", cell, meant)),
            },
        }
    }
    faults
}

/// The member of the schema that a column has, whatever the case of its name.
fn known(column: &str) -> Option<&'static str> {
    let mut names = MEMBERS.iter().map(|(name, _)| *name);
    names.find(|name| name.eq_ignore_ascii_case(column))
}

fn listed(cells: &[String]) -> String {
    let names = cells.iter().filter(|cell| !cell.is_empty()).take(LISTED);
    let names: Vec<String> = names
        .map(|cell| format!("{:?}", cell.chars().take(60).collect::<String>()))
        .collect();
    format!("its columns are {}", names.join(", "))
}

//! `[runbook]`: where people read the runbook.

use super::reader::Reader;
use super::table;
use crate::address::RunbookUrl;

pub(super) fn read(reader: &mut Reader<'_>) -> Option<RunbookUrl> {
    reader.get(&table::RUNBOOK_URL, RunbookUrl::parse)
}

//! The cells of a CSV record.

/// The cells of one record, trimmed.
pub(super) fn split(record: &str, delimiter: char) -> Result<Vec<String>, String> {
    let record = record.trim_end_matches(['\n', '\r']);
    if !record.contains('"') {
        return Ok(record
            .split(delimiter)
            .map(|cell| cell.trim().to_owned())
            .collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .trim(csv::Trim::All)
        .from_reader(record.as_bytes());
    let stray = || "a stray quotation mark".to_owned();
    let mut records = reader.records();
    let cells = records
        .next()
        .ok_or_else(stray)?
        .map_err(|error| error.to_string())?;
    if records.next().is_some() {
        return Err(stray());
    }
    Ok(cells.iter().map(str::to_owned).collect())
}

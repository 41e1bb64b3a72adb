use crate::cli::exit::CliError;
use crate::job::BatchId;

pub(super) fn unknown(batch: &BatchId) -> CliError {
    CliError::bad(format!(
        "batch {batch} does not exist; `offboarder batch list` shows the batches"
    ))
}

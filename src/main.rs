//! Arguments → command → exit status.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    offboarder::cli::main().await
}

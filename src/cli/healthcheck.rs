use std::time::Duration;

use url::Url;

use super::exit::{CliError, Exit};

/// Asks a worker on this machine whether it is healthy; for containers, which have no other program to ask with
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder healthcheck --url http://127.0.0.1:9464/readyz")]
pub(crate) struct Args {
    /// What is asked
    #[arg(long, default_value = "http://127.0.0.1:9464/healthz")]
    url: Url,
}

pub(super) async fn run(args: &Args) -> Result<Exit, CliError> {
    let asking = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build();
    let answer = asking
        .map_err(CliError::bad)?
        .get(args.url.clone())
        .send()
        .await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(Exit::Ok),
        Ok(answer) => {
            let status = answer.status();
            // It says why; where it does not, the status has to do.
            let why = answer.text().await.unwrap_or_default();
            Err(CliError::bad(format!(
                "{} answers {status}: {why}",
                args.url
            )))
        }
        Err(error) => Err(CliError::bad(format!(
            "{} does not answer: {error}",
            args.url
        ))),
    }
}

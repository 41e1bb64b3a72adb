use std::time::Duration;

use url::Url;

use super::exit::{CliError, Exit};

/// Checks whether a worker on this machine is healthy
///
/// For the health checks of containers that have no curl. It ends with 0 if the worker answers with a 2xx status, and
/// with 1 otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder healthcheck --url http://127.0.0.1:9464/readyz")]
pub(crate) struct Args {
    /// The URL to request
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
            // The body says why, if there is one.
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

use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say};
use crate::job::Source;
use crate::ports::queue::Broker;
use crate::queue::names::{DEAD_LETTER_QUEUE, DELAYS, delay_exchange};

/// Declares the exchanges and queues in RabbitMQ; a second run changes nothing
///
/// It needs only `OFFBOARDER_QUEUE_URL`, and ends with 3 if the broker is unreachable or refuses a declaration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  offboarder topology
  offboarder topology --output json")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, broker: &dyn Broker) -> Result<Exit, CliError> {
    broker.declare().await?;
    let queues: Vec<String> = Source::ALL
        .iter()
        .map(|source| source.queue().to_owned())
        .chain([DEAD_LETTER_QUEUE.to_owned()])
        .chain(DELAYS.into_iter().map(delay_exchange))
        .collect();
    match args.output.output {
        Output::Json => json(&serde_json::json!({ "queues": queues }))?,
        Output::Table => {
            for queue in queues {
                say(queue);
            }
            say(format!("all of these are declared at {}", broker.at()));
        }
    }

    Ok(Exit::Ok)
}

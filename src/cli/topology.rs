use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say};
use crate::adapters::amqp::{Broker, QueueError, WAITS, declare, wait_exchange};
use crate::job::Source;

/// Declares the exchanges and queues in RabbitMQ; a second run changes nothing
///
/// It needs only OFFBOARDER_QUEUE_URL, and ends with 3 if the broker is unreachable or refuses a declaration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  offboarder topology
  offboarder topology --output json")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, broker: &Broker) -> Result<Exit, CliError> {
    let connection = broker.connect("topology").await?;
    let channel = connection
        .create_channel()
        .await
        .map_err(|error| QueueError::of(&error, "open a channel"))?;
    declare(&channel).await?;
    connection
        .close(200, "done".into())
        .await
        .map_err(|error| QueueError::of(&error, "close"))?;
    let queues: Vec<String> = Source::ALL
        .iter()
        .map(|source| source.queue().to_owned())
        .chain(["offboarding.dead".to_owned()])
        .chain(WAITS.into_iter().map(wait_exchange))
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

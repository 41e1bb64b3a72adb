use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::json;

use super::exit::{CliError, Exit};
use super::input::InputArgs;
use super::output::{Output, OutputArgs, json as print_json, say};
use crate::adapters::amqp::{BasicProperties, Broker, EXCHANGE, Publisher, QueueError, Source};

/// Publishes off-boarding messages with publisher confirms
///
/// The whole input is checked first: one fault, and nothing is sent. Every message that is reported
/// as sent is in a queue, confirmed by the broker.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder submit 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --urgent
  offboarder submit --file leavers.csv --batch-id 2026-11 --requested-by hr
  cut -d, -f1 export.csv | offboarder submit --file - --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Overtake everybody who is not urgent
    #[arg(long)]
    urgent: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// One publish is in flight on each.
const CHANNELS: usize = 16;

pub(super) async fn run(
    args: &Args,
    broker: impl FnOnce() -> Result<Broker, CliError>,
) -> Result<Exit, CliError> {
    let submission = args.input.read()?;
    let source = if args.urgent { Source::UsersUrgent } else { Source::Users };
    let duplicates = submission.duplicates.len();
    if args.dry_run {
        return dry_run(args.output.output, &submission.messages, source, duplicates);
    }
    let publisher = Arc::new(Publisher::new(broker()?, CHANNELS));
    let total = submission.messages.len();
    let mut results = stream::iter(submission.messages)
        .map(|message| {
            let publisher = Arc::clone(&publisher);
            async move {
                let properties = BasicProperties::default()
                    .with_content_type("application/json".into())
                    .with_delivery_mode(2)
                    .with_message_id(uuid::Uuid::now_v7().to_string().as_str().into())
                    .with_app_id("offboarder".into())
                    .with_timestamp(u64::try_from(Timestamp::now().as_second()).unwrap_or(0));
                publisher.publish(EXCHANGE, source.routing_key(), &message.body, properties).await
            }
        })
        .buffer_unordered(CHANNELS);
    let mut sent = 0_usize;
    let mut failed: Option<QueueError> = None;
    while let Some(result) = results.next().await {
        match result {
            Ok(()) => sent += 1,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(results);
    publisher.close().await;
    match args.output.output {
        Output::Json => print_json(&json!({
            "queue": source.queue(), "sent": sent, "total": total, "duplicates": duplicates,
            "error": failed.as_ref().map(ToString::to_string),
        }))?,
        Output::Table => say(format!("{sent} of {total} messages are in {}", source.queue())),
    }
    match failed {
        None => Ok(Exit::Ok),
        Some(error) => Err(CliError::unreachable(format!(
            "{error}; {sent} of {total} were confirmed: sending all of them again is safe, a user is off-boarded once"
        ))),
    }
}

fn dry_run(
    output: Output,
    messages: &[crate::submit::Message],
    source: Source,
    duplicates: usize,
) -> Result<Exit, CliError> {
    match output {
        Output::Json => {
            let bodies: Vec<serde_json::Value> =
                messages.iter().filter_map(|message| serde_json::from_slice(&message.body).ok()).collect();
            print_json(&json!({
                "queue": source.queue(), "total": messages.len(), "duplicates": duplicates, "sent": 0,
                "messages": bodies,
            }))?;
        }
        Output::Table => {
            for message in messages {
                say(String::from_utf8_lossy(&message.body));
            }
            say(format!("{} messages would go to {}; nothing was sent", messages.len(), source.queue()));
        }
    }
    Ok(Exit::Ok)
}

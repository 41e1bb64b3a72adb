//! Publishes the users of an input as messages.

mod agree;
mod columns;
mod order;
mod planned;

use std::io::{BufWriter, Write};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use agree::agree;
use columns::Columns;
use order::{Ordering, claimed};
use planned::PlannedUsers;

use super::acting::{Acting, acting};
use super::bar::bar;
use super::compose;
use super::exit::{CliError, Exit};
use super::guarded::Guarded;
use super::input::{InputArgs, Purpose, Users, unreadable};
use super::output::{Output, OutputArgs, json as print_json, say, say_fleet, unless_closed};
use crate::clock::Clock;
use crate::config::{AnySettings, BrokerSettings, Sources};
use crate::guards::Hold;
use crate::job::{Source, UserId};
use crate::operations::submit::{
    CHUNK, Cancellations, Memory, MemoryStores, Message, Named, Sending,
};
use crate::people::Permission;
use crate::ports::queue::Publisher;
use crate::printable;
use crate::worker::shutdown_on_signals;

/// What is said of users who were asked for before their cancellation.
const DROPPED: &str =
    "not sent: its requestedAt is before that, so workers would drop it; leave requestedAt out";

/// Publishes off-boarding messages with publisher confirms
///
/// The whole input is checked first: if it has one fault or one protected user, nothing is sent, unless you give
/// --skip-invalid. Each message that is
/// reported as sent was confirmed by the broker. With a batch ID, the workers' Redis remembers which users were sent, so
/// the same command again sends only the missing ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder submit 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --urgent
  offboarder submit --file leavers.csv --batch-id 2026-11 --requested-by hr
  offboarder submit --plan 9f86d081884c7d65
  offboarder submit --file export.csv --id-column 'Employee ID' --skip-invalid --rejects rejects.csv
  cut -d, -f1 export.csv | offboarder submit --file - --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Digest of a stored plan: without users, submits those of the plan; its deletions wait until it is approved
    #[arg(long, value_name = "DIGEST")]
    plan: Option<String>,
    /// Process these users before all users who are not urgent
    #[arg(long)]
    urgent: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    let broker = if args.dry_run {
        None
    } else {
        Some(compose::broker(&BrokerSettings::read(sources)?.queue)?)
    };
    let settings = AnySettings::read(sources)?;
    let acting = match broker {
        Some(_) => acting(&settings.base, Permission::Submit).await?,
        None => Acting::local(),
    };
    let clock = Clock::system();
    let guards = Guarded::read(&settings.base).await?;
    let purpose = Purpose {
        consequence: "nothing was sent",
        output: args.output.output,
    };
    let planned = match &args.plan {
        Some(digest) => Some(PlannedUsers::read(&settings.base, digest).await?),
        None => None,
    };
    let input = match &planned {
        Some(planned) => planned.options(&args.input)?,
        None => args.input.clone(),
    };
    let rows = planned.as_ref().filter(|_| input.names_nobody());
    let rows = rows.map(PlannedUsers::rows);
    let forbidden = |user_id| {
        let unplanned = planned.as_ref().and_then(|planned| planned.forbid(user_id));
        unplanned.or_else(|| guards.forbid(user_id))
    };
    let users = input.read_with(rows.as_deref(), clock.now(), purpose, forbidden)?;
    let plan = planned.as_ref().map(|planned| &planned.name);
    let source = if args.urgent {
        Source::UsersUrgent
    } else {
        Source::Users
    };
    let submission = Submission {
        source,
        ordering: Ordering::of(&acting, plan, &input, &users, source, &guards, &clock),
        users,
        held: guards.held().await,
        memory: memory(&settings, &guards, &clock)
            .await
            .sending_again(planned.is_some()),
        clock,
    };

    submission.name_held(args.output.output);
    match broker {
        None => submission.dry_run(args.output.output).await,
        Some(broker) => {
            let users = submission.users.checked.users;
            agree(users)?;
            let publisher = broker.publisher(Sending::CHANNELS);
            if acting.person.is_some() {
                let store = compose::archive_store(&settings.base).await?;
                let batch = input.batch_id.as_ref();
                let why = input.reason.clone();
                acting.record("submit", &store, users, batch, why).await?;
            }
            let exit = Box::pin(submission.send(publisher, &settings, args.output.output)).await?;
            if let Some(planned) = &planned {
                planned.applied(&acting).await?;
            }
            Ok(exit)
        }
    }
}

/// Which users were sent, and whose requests were cancelled.
async fn memory(settings: &AnySettings, guards: &Guarded, clock: &Clock) -> Memory {
    let Some(stores) = compose::shared_stores(&settings.base) else {
        return Memory::new(None, clock.clone());
    };
    let orders = guards.stop_orders().await;
    let checkpoints = stores.checkpoints;
    let cancellations = orders.map(|orders| Cancellations::new(orders, checkpoints, clock.clone()));
    let stores = MemoryStores {
        batches: stores.batches,
        users: stores.users,
    };
    Memory::new(Some(stores), clock.clone()).with_cancellations(cancellations)
}

/// What is to be sent, after the checks.
struct Submission {
    source: Source,
    /// `None` where no order can be stored.
    ordering: Option<Ordering>,
    users: Users,
    held: Vec<(UserId, Hold)>,
    memory: Memory,
    clock: Clock,
}

impl Submission {
    fn name_held(&self, output: Output) {
        if output == Output::Table {
            for (user_id, hold) in &self.held {
                let why = hold
                    .why
                    .as_ref()
                    .map_or_else(String::new, |why| format!(": {why}"));
                say(format!(
                    "{user_id} is on legal hold since {}{why}; it will not be deleted",
                    hold.at
                ));
            }
        }
    }

    fn held_document(&self) -> Value {
        let one = |(user_id, hold): &(UserId, Hold)| json!({ "userId": user_id, "who": hold.who, "why": hold.why, "at": hold.at });
        self.held.iter().map(one).collect()
    }

    async fn send(
        self,
        publisher: Arc<dyn Publisher>,
        settings: &AnySettings,
        output: Output,
    ) -> Result<Exit, CliError> {
        let order = match &self.ordering {
            Some(ordering) => Some(ordering.place(&self.users).await?),
            None => None,
        };
        let checked = &self.users.checked;
        let total = checked.users;
        let queue = self.source.queue();
        let columns = Columns::of(checked, &self.memory);
        let held = self.held_document();
        let shutdown = shutdown_on_signals().map_err(CliError::bad)?;
        let bar = bar(total, "users");
        let sending = Sending {
            publisher: Arc::clone(&publisher),
            source: self.source,
            memory: self.memory,
            clock: self.clock,
        };
        let messages = self.users.input.messages(checked);
        let messages = messages.map_err(|error| unreadable(&error))?;
        let messages = claimed(order.as_ref(), messages);
        let sent = sending
            .run(messages, &shutdown.draining, |_sent| bar.inc(1))
            .await;

        bar.finish_and_clear();
        publisher.close().await;
        let (again, dropped) = found(&sending.memory);
        let before = sent.before.saturating_sub(dropped.total);
        let left = total.saturating_sub(sent.confirmed + sent.before);
        let interrupted = left > 0 && sent.failure.is_none();
        let fleet = compose::fleet_now(&settings.base, settings.queue.as_ref()).await;
        match output {
            Output::Json => print_json(&json!({
                "queue": queue, "sent": sent.confirmed, "alreadySent": before, "total": total,
                "submittedAgain": again.total, "droppedAsCancelled": dropped.total,
                "duplicates": checked.duplicates_total, "held": held, "rejected": checked.faults.total,
                "kept": columns.kept, "ignored": columns.ignored,
                "order": order.as_ref().map(|order| order.id),
                "interrupted": interrupted, "error": sent.failure.as_ref().map(|failure| &failure.text),
                "fleet": fleet,
            }))?,
            Output::Table => {
                say_fleet(fleet.as_ref());
                say(sent_text(sent.confirmed, before, queue));
                say_cancelled(&again, "submitted again");
                say_cancelled(&dropped, DROPPED);
                columns.lines().into_iter().for_each(say);
                self.users.rejected().into_iter().for_each(say);
            }
        }
        let again = format!(
            "{left} were not confirmed: it is safe to send again, because each user is off-boarded once; with the same --batch-id only the missing ones are sent"
        );

        match sent.failure {
            Some(failure) => Err(CliError::unreachable(format!("{}; {again}", failure.text))),
            None if dropped.total > 0 => Ok(Exit::Bad),
            None if interrupted => Err(CliError::bad(format!("interrupted; {again}"))),
            None => Ok(self.users.exit()),
        }
    }

    async fn dry_run(self, output: Output) -> Result<Exit, CliError> {
        // Printed while it is read, so that memory use does not grow with the input.
        let mut out = BufWriter::new(std::io::stdout());
        let mut first = true;
        let checked = &self.users.checked;
        let messages = self.users.input.messages(checked);
        let messages = messages.map_err(|error| unreadable(&error))?;
        let mut chunks = std::pin::pin!(
            stream::iter(messages)
                .chunks(CHUNK)
                .then(|chunk| self.memory.recall(chunk))
        );
        let mut before = 0_u64;
        let written = async {
            if output == Output::Json {
                write!(out, "{{\n  \"messages\": [")?;
            }
            while let Some(chunk) = chunks.next().await {
                for asked in chunk {
                    match asked? {
                        (_, true) => before += 1,
                        (message, false) => {
                            show(&mut out, &message, output, std::mem::take(&mut first))?;
                        }
                    }
                }
            }
            Ok::<_, std::io::Error>(())
        };

        unless_closed(written.await)?;
        let total = checked.users;
        let queue = self.source.queue();
        let columns = Columns::of(checked, &self.memory);
        let (again, dropped) = found(&self.memory);
        let left_out = before;
        let before = before.saturating_sub(dropped.total);
        let written = match output {
            Output::Json => {
                let rest = json!({
                    "queue": queue, "total": total, "alreadySent": before, "sent": 0,
                    "submittedAgain": again.total, "droppedAsCancelled": dropped.total,
                    "duplicates": checked.duplicates_total, "held": self.held_document(),
                    "rejected": checked.faults.total, "kept": columns.kept, "ignored": columns.ignored,
                });
                // The remaining members of the document, after the list.
                let rest = rest.to_string();
                writeln!(out, "\n  ],\n  {}", rest.trim_start_matches('{'))
            }
            Output::Table => {
                let known = if before > 0 {
                    format!("; {} before with this batch ID", were_sent(before))
                } else {
                    String::new()
                };
                let more = columns.lines().into_iter().chain(self.users.rejected());
                let more = more.fold(String::new(), |text, line| text + "\n" + &line);
                writeln!(
                    out,
                    "{} messages would be sent to {queue}{known}; nothing was sent{more}",
                    total - left_out
                )
            }
        };
        unless_closed(written.and_then(|()| out.flush()))?;
        Ok(match would_send(output, &again, &dropped) {
            Exit::Ok => self.users.exit(),
            bad => bad,
        })
    }
}

/// The users whose earlier request was cancelled: those who are sent, and those who are not.
fn found(memory: &Memory) -> (Named, Named) {
    memory
        .cancellations()
        .map(Cancellations::found)
        .unwrap_or_default()
}

/// What a dry run ends with.
fn would_send(output: Output, again: &Named, dropped: &Named) -> Exit {
    if output == Output::Table {
        say_cancelled(again, "would be submitted again");
        say_cancelled(dropped, DROPPED);
    }
    if dropped.total > 0 {
        Exit::Bad
    } else {
        Exit::Ok
    }
}

fn say_cancelled(users: &Named, what: &str) {
    for (user_id, at, who) in &users.first {
        say(format!("{user_id} cancelled at {at:.0} by {who}; {what}"));
    }
    let more = users.total.saturating_sub(users.first.len() as u64);
    if more > 0 {
        say(format!("{more} more users were cancelled; {what}"));
    }
}

/// A user who was sent before is no failure.
fn sent_text(confirmed: u64, before: u64, queue: &str) -> String {
    let now = format!("{confirmed} sent now to {queue}");
    match before {
        0 => now,
        before => format!(
            "{now}, {} before with this batch ID; another --batch-id sends again",
            were_sent(before)
        ),
    }
}

fn were_sent(users: u64) -> String {
    let were = if users == 1 { "was" } else { "were" };
    format!("{users} {were} sent")
}

fn show(
    out: &mut impl Write,
    message: &Message,
    output: Output,
    first: bool,
) -> std::io::Result<()> {
    match output {
        Output::Table => {
            writeln!(
                out,
                "{}",
                printable::json(&String::from_utf8_lossy(&message.body))
            )
        }
        Output::Json => {
            let body: &RawValue = serde_json::from_slice(&message.body)?;
            let body = printable::json(body.get());
            write!(out, "{}\n    {body}", if first { "" } else { "," })
        }
    }
}

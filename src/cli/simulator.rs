use super::exit::{CliError, Exit};
use super::output::say;
use super::simulator_flags::Flags;
use crate::simulator::start;

/// Serves a simulated CXone API on loopback, with faults on request
///
/// It prints one line with its address and serves until it is stopped. All users and conversations are invented.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  offboarder simulator --listen 127.0.0.1:8098 --users 100 --conversations 2000 --latency 20ms
  curl -s http://127.0.0.1:8098/_simulator/users
  curl -s http://127.0.0.1:8098/_simulator/faults -H 'content-type: application/json' \\
    -d '{\"operation\":\"delete_user\",\"times\":1,\"fault\":{\"kind\":\"lost_reply\"}}'")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(args: &Args) -> Result<Exit, CliError> {
    let mut simulator = start(&args.flags.clone().into())
        .await
        .map_err(CliError::usage)?;
    say(format!(
        "the CXone simulator serves {} users at {}",
        simulator.user_ids().len(),
        simulator.base_uri()
    ));
    let shutdown = crate::worker::shutdown_on_signals().map_err(CliError::bad)?;
    tokio::select! {
        () = simulator.wait() => {}
        () = shutdown.draining.cancelled() => {}
    }

    Ok(Exit::Ok)
}

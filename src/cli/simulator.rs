use super::exit::{CliError, Exit};
use super::output::say;
use super::simulator_flags::Flags;
use crate::simulator::{Options, Profile, start, switches};

/// Serves a simulated CXone API on loopback, with faults on request
///
/// `--profile` chooses the API: the one of the contract, NICE's published one, or Genesys Cloud. It prints its address and the settings for it, and serves until it is stopped. All users and conversations are invented.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  offboarder simulator --listen 127.0.0.1:8098 --users 100 --conversations 2000 --latency 20ms
  offboarder simulator --profile cxone --unknown list
  curl -s http://127.0.0.1:8098/_simulator/users
  curl -s http://127.0.0.1:8098/_simulator/faults -H 'content-type: application/json' \\
    -d '{\"operation\":\"delete_user\",\"times\":1,\"fault\":{\"kind\":\"lost_reply\"}}'")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(args: &Args) -> Result<Exit, CliError> {
    let options: Options = args.flags.clone().into();
    if options.unknowns.iter().any(|word| word == "list") {
        for line in switches(options.profile).lines() {
            say(line);
        }
        return Ok(Exit::Ok);
    }
    let mut simulator = start(&options).await.map_err(CliError::usage)?;
    say(format!(
        "the {} simulator serves {} users at {}",
        vendor(options.profile),
        simulator.user_ids().len(),
        simulator.base_uri()
    ));
    for (name, value) in settings(&options, &simulator.base_uri()) {
        say(format!("export OFFBOARDER_CXONE_{name}={}", quoted(&value)));
    }
    let shutdown = crate::worker::shutdown_on_signals().map_err(CliError::bad)?;
    tokio::select! {
        () = simulator.wait() => {}
        () = shutdown.draining.cancelled() => {}
    }

    Ok(Exit::Ok)
}

const fn vendor(profile: Profile) -> &'static str {
    match profile {
        Profile::Tutorial | Profile::Cxone => "CXone",
        Profile::Genesys => "Genesys",
    }
}

/// The settings that a worker needs for it.
fn settings(options: &Options, base_uri: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("BASE_URI", base_uri.to_owned()),
        ("CLIENT_ID", options.client_id.clone()),
        ("CLIENT_SECRET", options.client_secret.clone()),
    ];
    match options.profile {
        Profile::Tutorial => {}
        Profile::Cxone => settings.extend([
            ("PROFILE", "cxone".to_owned()),
            ("TOKEN_URI", format!("{base_uri}/auth/token")),
            ("ACCESS_KEY_ID", options.access_key_id.clone()),
            ("ACCESS_KEY_SECRET", options.access_key_secret.clone()),
        ]),
        Profile::Genesys => settings.extend([
            ("PROFILE", "genesys".to_owned()),
            ("TOKEN_URI", format!("{base_uri}/oauth/token")),
        ]),
    }
    settings
}

/// A word of a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_of_a_shell() {
        assert_eq!(quoted("a b;$(c)"), "'a b;$(c)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

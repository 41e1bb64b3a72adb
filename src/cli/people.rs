use serde_json::json;

use super::acting::{Acting, identify};
use super::columns;
use super::compose;
use super::compose_documents;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say, table};
use crate::clock::Clock;
use crate::config::Settings;
use crate::operations::people::{NewPerson, PeopleError, PeopleFile};
use crate::people::{NAME_RULE, Permission, Role, is_name};
use crate::ports::Document;
use crate::registers::audit_log::AuditLog;

/// Manages who may use the API and the commands, with which role
///
/// People are in the file, or the `s3://` object, that `OFFBOARDER_ADMIN_PEOPLE` names. Workers follow a change within 10 s.
/// Roles: a reader looks; an auditor also reads bodies of messages; an operator pauses, replays, puts on hold and submits;
/// an approver approves plans; an admin does all of it, and also discards, lifts holds, and adds and removes people.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder people add ada --role operator --why 'joins the team'
  offboarder people list
  offboarder people remove ada --why 'left the team'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Adds a person, and prints the key of the person once
    ///
    /// Only the SHA-256 of the key is stored. The first person is an admin, and is added without a key of anybody; after that
    /// `people add` and `people remove` need the key of an admin.
    #[command(
        after_help = "Example:\n  offboarder people add ada --role operator --why 'joins the team'"
    )]
    Add {
        /// Name of the person
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
        /// Role: reader, auditor, operator, approver or admin
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// Make no key: a proxy signs the person in, by this name
        #[arg(long)]
        no_key: bool,
        /// Make an admin a second key, too, with which the admin approves a plan in an emergency without anybody else
        #[arg(long)]
        break_glass: bool,
        /// Give a person who is there already a new role and a new key; the old key ends
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Lists people and their roles; keys are not stored
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder people list --output json"
    )]
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Removes a person, whose access ends within 10 s
    #[command(after_help = "Example:\n  offboarder people remove ada --why 'left the team'")]
    Remove {
        /// Name of the person
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        act: ActArgs,
    },
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(NAME_RULE.to_owned())
    }
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let Some(document) = compose_documents::people_document(settings).await? else {
        return Err(CliError::usage(
            "OFFBOARDER_ADMIN_PEOPLE: is not set; name the file or the s3:// object that people are to be in",
        ));
    };
    let file = PeopleFile::read(&*document).await?;
    match &args.verb {
        Verb::Add {
            name,
            role,
            no_key,
            break_glass,
            replace,
            act,
        } => {
            let new = NewPerson {
                name: name.clone(),
                role: *role,
                has_key: !no_key,
                breaks_glass: *break_glass,
                replace: *replace,
            };
            add(settings, &*document, file, new, act).await
        }
        Verb::List { output } => list(&file, output.output),
        Verb::Remove { name, act } => {
            let acting = may_change(&file, settings)?;
            act.agree(&format!("{name} will lose all access. Continue?"))?;
            let log = log(settings).await?;
            file.remove(name, &log, &act.operator(&acting)).await?;
            say(format!("{name} is removed; workers follow within 10 s"));
            Ok(Exit::Ok)
        }
    }
}

async fn add(
    settings: &Settings,
    document: &dyn Document,
    file: PeopleFile<'_>,
    new: NewPerson,
    act: &ActArgs,
) -> Result<Exit, CliError> {
    let acting = may_change(&file, settings)?;
    act.agree(&format!(
        "{} will have the role {}. Continue?",
        new.name, new.role
    ))?;
    let log = log(settings).await?;
    let done = format!(
        "{} is in {} as {}; workers follow within 10 s",
        new.name,
        document.place(),
        new.role
    );
    let keys = file.add(new, &log, &act.operator(&acting)).await?;
    say(done);
    if let Some(key) = keys.key {
        say(
            "the key, which is shown only now: OFFBOARDER_PERSON_KEY for commands, `Authorization: Bearer …` for the API",
        );
        say(key.expose());
    }
    if let Some(key) = keys.break_glass {
        say(
            "the key to break the glass, which is shown only now: keep it sealed; OFFBOARDER_BREAK_GLASS_KEY for `plan approve --break-glass`",
        );
        say(key.expose());
    }
    Ok(Exit::Ok)
}

/// An admin; or anybody, where there is none yet: who may write the file could write an admin into it.
fn may_change(file: &PeopleFile<'_>, settings: &Settings) -> Result<Acting, CliError> {
    if file.has_admin() {
        identify(&file.people, &settings.admin, Permission::People)
    } else {
        Ok(Acting::local())
    }
}

async fn log(settings: &Settings) -> Result<AuditLog, CliError> {
    let store = compose::archive_store(settings).await?;
    Ok(AuditLog::new(store, Clock::system()))
}

fn list(file: &PeopleFile<'_>, output: Output) -> Result<Exit, CliError> {
    let people = || file.people.iter();
    if output == Output::Json {
        let people: Vec<_> = people()
            .map(|person| {
                json!({
                    "name": person.name, "role": person.role, "key": person.key.is_some(),
                    "permissions": person.role.permissions(),
                })
            })
            .collect();
        print_json(&json!({ "people": people }))?;
        return Ok(Exit::Ok);
    }
    let rows = people().map(|person| {
        let permissions = person.role.permissions();
        let words: Vec<&str> = permissions.iter().map(|word| word.as_str()).collect();
        let signs_in = if person.key.is_some() { "key" } else { "proxy" };
        [
            person.name.clone(),
            person.role.to_string(),
            signs_in.to_owned(),
            words.join(", "),
        ]
    });
    say(table(columns::PEOPLE, rows));
    Ok(Exit::Ok)
}

impl From<PeopleError> for CliError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Failed(failure) => failure.into(),
            PeopleError::Refused(why) => Self::refused(why),
        }
    }
}

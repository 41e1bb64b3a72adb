//! The flags of a filter. They are made from the description of the filter itself, so that the commands and the HTTP API
//! have the same ones.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};
use utoipa::IntoParams as _;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::operations::dead_letters::DeadLetterFilter;

/// Which dead letters; each given filter has to match.
#[derive(Debug, Clone, Default)]
pub(super) struct FilterArgs {
    filter: DeadLetterFilter,
}

impl FilterArgs {
    pub(super) fn filter(&self) -> DeadLetterFilter {
        self.filter.clone()
    }
}

/// How a member of the filter is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Number,
    Switch,
    Text,
}

fn form(parameter: &Parameter) -> Form {
    let declared = match &parameter.schema {
        Some(RefOr::T(Schema::Array(_))) => return Form::List,
        Some(RefOr::T(Schema::Object(object))) => &object.schema_type,
        Some(_) | None => return Form::Text,
    };
    let is = |wanted: &Type| match declared {
        SchemaType::Type(declared) => declared == wanted,
        SchemaType::Array(declared) => declared.contains(wanted),
        SchemaType::AnyValue => false,
    };
    if is(&Type::Array) {
        Form::List
    } else if is(&Type::Integer) {
        Form::Number
    } else if is(&Type::Boolean) {
        Form::Switch
    } else {
        Form::Text
    }
}

fn parameters() -> Vec<Parameter> {
    DeadLetterFilter::into_params(|| None)
}

/// The argument of the dead letters themselves has no flag.
const POSITIONAL: &str = "letter";

fn argument(parameter: &Parameter) -> Arg {
    let name = parameter.name.clone();
    let form = form(parameter);
    let description = parameter.description.clone().unwrap_or_default();
    let mut help = description.trim_end_matches('.').to_owned();
    let is_positional = name == POSITIONAL;
    if form == Form::List && !is_positional {
        help.push_str("; repeatable");
    }

    let arg = Arg::new(name.clone()).help(help);
    let arg = match form {
        Form::Switch => return arg.long(name).action(ArgAction::SetTrue),
        Form::List if is_positional => arg.action(ArgAction::Append).num_args(0..),
        Form::List => arg.long(name.clone()).action(ArgAction::Append),
        Form::Number | Form::Text => arg.long(name.clone()).action(ArgAction::Set),
    };
    arg.value_name(value_name(&name))
        .value_parser(checked(name, form))
}

fn value_name(name: &str) -> String {
    match name {
        POSITIONAL => "DEAD_LETTER_ID".to_owned(),
        "user" => "USER_ID".to_owned(),
        "batch" => "B".to_owned(),
        "group" => "FINGERPRINT".to_owned(),
        "since" => "WHEN".to_owned(),
        "limit" => "N".to_owned(),
        other => other.to_uppercase(),
    }
}

/// Reads a value as the filter reads it, so that a value that is wrong is reported with its flag.
fn checked(name: String, form: Form) -> ValueParser {
    ValueParser::from(move |text: &str| -> Result<Value, String> {
        let value = value(text, form);
        let member = match form {
            Form::List => Value::from(vec![value.clone()]),
            Form::Number | Form::Switch | Form::Text => value.clone(),
        };
        let alone = Map::from_iter([(name.clone(), member)]);
        match serde_json::from_value::<DeadLetterFilter>(Value::Object(alone)) {
            Ok(_filter) => Ok(value),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn value(text: &str, form: Form) -> Value {
    match (form, text.parse::<u64>()) {
        (Form::Number, Ok(number)) => Value::from(number),
        _ => Value::from(text),
    }
}

impl clap::Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        command.args(parameters().iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut members = Map::new();
        for parameter in parameters() {
            let name = parameter.name.as_str();
            let member = match form(&parameter) {
                Form::List => matches
                    .get_many::<Value>(name)
                    .map(|values| values.cloned().collect()),
                Form::Switch => Some(Value::from(matches.get_flag(name))),
                Form::Number | Form::Text => matches.get_one::<Value>(name).cloned(),
            };
            if let Some(member) = member {
                members.insert(parameter.name, member);
            }
        }
        let filter = serde_json::from_value(Value::Object(members))
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        Ok(Self { filter })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parse(arguments: &[&str]) -> Result<DeadLetterFilter, clap::Error> {
        let command = FilterArgs::augment_args(Command::new("list"));
        let matches = command.try_get_matches_from([&["list"], arguments].concat())?;
        Ok(FilterArgs::from_arg_matches(&matches)?.filter())
    }

    #[test]
    fn every_member_of_the_filter_is_a_flag() {
        let all = "0123456789abcdef --user 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --batch b-1 --group 2d1f \
                   --reason poison --reason api_rejected --code panicked --step archive --state Received \
                   --since 2h --limit 5 --all";
        let filter = parse(&all.split_whitespace().collect::<Vec<_>>()).unwrap();
        assert_eq!((filter.letter.len(), filter.user.len()), (1, 1));
        assert_eq!((filter.reason.len(), filter.code.len()), (2, 1));
        assert_eq!((filter.limit, filter.all), (Some(5), true));
        assert_eq!(filter.group[0].as_str(), "2d1f");
        assert!(filter.since.is_some() && filter.batch.is_some());
        assert!(parse(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_flag_and_what_would_be_right() {
        for (arguments, what) in [
            (["--reason", "nonsense"], "`poison`"),
            (["--limit", "0"], "from 1 on"),
            (["--limit", "many"], "--limit"),
            (["--state", "Nowhere"], "`Received`"),
            (["--group", "xyz"], "12 hex digits"),
        ] {
            let error = parse(&arguments).unwrap_err().to_string();
            assert!(
                error.contains(what) && error.contains(arguments[0]),
                "{error}"
            );
        }
    }
}

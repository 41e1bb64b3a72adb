//! What a call asks for, read strictly: a member or parameter that the document does not have is refused.

use super::super::gate::Call;
use super::super::reply::Reply;
use super::errors::bad_request;

pub(super) type Refused = Box<Reply>;

fn refuse<T>(message: &str) -> Result<T, Refused> {
    Err(Box::new(bad_request(message)))
}

/// The query's parameters, if there are none beside those that are known, and none twice.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(call: &Call, known: &[&str]) -> Result<Self, Refused> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(call.query.as_bytes()).into_owned() {
            if !known.contains(&name.as_str()) {
                return refuse(&format!("unknown query parameter {name}"));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return refuse(&format!("query parameter {name} is given twice"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn boolean(&self, name: &str, default: bool) -> Result<bool, Refused> {
        match self.get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => refuse(&format!("{name} is neither true nor false")),
        }
    }

    fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, Refused> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        match text.parse::<usize>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => refuse(&format!("{name} is no number from 1 to {most}")),
        }
    }

    pub(super) fn page(&self) -> Result<Page, Refused> {
        Ok(Page {
            size: self.number("pageSize", 25, 100)?,
            number: self.number("pageNumber", 1, 1_000_000)?,
        })
    }

    /// A parameter that has to be one ID.
    pub(super) fn one_id(&self, name: &str) -> Result<String, Refused> {
        match self.get(name) {
            Some(text) => id(text),
            None => refuse(&format!("{name} is missing")),
        }
    }
}

/// A page of a list.
pub(super) struct Page {
    pub(super) size: usize,
    pub(super) number: usize,
}

/// An ID in the form of this API.
pub(super) fn id(text: &str) -> Result<String, Refused> {
    match uuid::Uuid::try_parse(text) {
        Ok(id) if text.len() == 36 => Ok(id.to_string()),
        _ => Err(Box::new(super::errors::error(
            400,
            "invalid.value",
            &format!("Value [{text}] is not valid for an ID"),
        ))),
    }
}

/// The part of the path after this word.
pub(super) fn id_after(call: &Call, word: &str) -> Result<String, Refused> {
    let mut parts = call.path.split('/').skip_while(|part| *part != word);
    id(parts.nth(1).unwrap_or_default())
}

/// The JSON of a body whose type says that it is JSON.
pub(super) fn body<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, Refused> {
    if !call
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"))
    {
        return refuse("the body is not application/json");
    }
    serde_json::from_slice(&call.body).or_else(|error| refuse(&error.to_string()))
}

/// No body where the document has none.
pub(super) fn no_body(call: &Call) -> Result<(), Refused> {
    if call.body.is_empty() {
        Ok(())
    } else {
        refuse("the operation takes no body")
    }
}

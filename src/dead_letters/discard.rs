use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::sweep::Sweep;
use super::{Letter, LetterId};
use crate::adapters::amqp::{Broker, Delivery, acknowledge, plain_properties};
use crate::failure::{Class, Code, Failure};
use crate::ports::{ArchiveStore, ObjectKey};

/// Takes letters off the queue for good, each after a copy of it is stored.
pub struct Discard<'a> {
    /// Where the letters are.
    pub broker: &'a Broker,
    /// Where the copies go.
    pub store: &'a dyn ArchiveStore,
    /// Who does it.
    pub who: String,
    /// Why, as was said.
    pub why: Option<String>,
}

/// Where the copy of a letter is kept.
pub fn copy_key(id: &LetterId) -> ObjectKey {
    ObjectKey(format!("_dead_letter_{id}.json"))
}

impl Discard<'_> {
    /// Discards these letters and no others; `discarded` tells how far it got, also on an error. Gives those
    /// that were not in the queue any more.
    pub async fn run(&self, letters: &[Letter], discarded: &mut Vec<Letter>) -> Result<Vec<Letter>, Failure> {
        let mut sweep = Sweep::new(self.broker, letters);
        while let Some((letter, delivery)) = sweep.next().await? {
            if let Some(user_id) = letter.user_id {
                crate::kill_point::arm(&user_id.to_string());
            }
            let copy = serde_json::to_vec(&self.copy(&letter, &delivery)).map_err(|error| {
                Failure::new(Class::Defect, Code::Panicked, format!("a letter has no JSON: {error}"))
            })?;
            // One that is there already is of a discard that was cut short: a letter's name tells its content.
            self.store.put_once(&copy_key(&letter.id), Bytes::from(copy), None).await?;
            acknowledge(&delivery).await?;
            discarded.push(letter);
        }
        let missed = sweep.close().await?;
        Ok(letters.iter().filter(|letter| missed.contains(&letter.id)).cloned().collect())
    }

    fn copy(&self, letter: &Letter, delivery: &Delivery) -> Value {
        let mut copy = whole(letter, delivery);
        if let Value::Object(copy) = &mut copy {
            let discarded = json!({ "at": Timestamp::now(), "who": self.who, "why": self.why });
            copy.insert("discarded".to_owned(), discarded);
        }
        copy
    }
}

/// All of a letter: what it says of itself, headers, properties, body.
pub fn whole(letter: &Letter, delivery: &Delivery) -> Value {
    let (headers, properties) = plain_properties(&delivery.properties);
    json!({
        "letter": letter,
        "exchange": delivery.exchange.as_str(),
        "routingKey": delivery.routing_key.as_str(),
        "headers": headers,
        "properties": properties,
        "body": std::str::from_utf8(&delivery.data).ok(),
        "bodyBase64": BASE64_STANDARD.encode(&delivery.data),
    })
}

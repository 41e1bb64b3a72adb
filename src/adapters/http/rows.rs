//! Pages of rows that are kept byte for byte: where in the body each row is, and the other members of the page.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A page as it was received.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    /// Where in the body each row is, in order; `None` where the page has no member of that name, or a null one.
    pub(crate) ranges: Option<Vec<Range<usize>>>,
    rest: Members<'a>,
}

impl Rows<'_> {
    /// Another member of the page, if it exists and is not null; `Err` where it has another shape.
    pub(crate) fn member<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(raw) = self.rest.0.get(name) else {
            return Ok(None);
        };
        let raw = raw.ok_or_else(|| twice(name))?;
        serde_json::from_str(raw.get()).map_err(|_other_shape| {
            format!("not a page of conversations: {name} is of another shape")
        })
    }
}

/// Reads a page whose rows are objects in the list `member`. What is no such page is an error, and never an empty page.
pub(crate) fn rows<'a>(body: &'a Bytes, member: &str) -> Result<Rows<'a>, String> {
    // A derived deserializer accepts a list for an object whose members are in order.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("not a page of conversations, but something else".to_owned());
    }
    let mut rest: Members<'a> = serde_json::from_slice(body).map_err(|error| {
        format!(
            "not a page of conversations, at line {} column {}",
            error.line(),
            error.column()
        )
    })?;

    let Some(list) = rest.0.shift_remove(member) else {
        return Ok(Rows { ranges: None, rest });
    };
    let list = list.ok_or_else(|| twice(member))?;
    let list: Option<Vec<&'a RawValue>> = serde_json::from_str(list.get())
        .map_err(|_other_shape| format!("not a page of conversations: {member} is not a list"))?;
    // An archive of anything else would not be recognised as one of ours.
    let is_object = |raw: &&RawValue| raw.get().starts_with('{');
    if !list.iter().flatten().all(is_object) {
        return Err("a conversation is not an object".to_owned());
    }

    let ranges = list.map(|list| list.into_iter().map(|raw| range(body, raw)).collect());
    Ok(Rows { ranges, rest })
}

/// Where in the body a raw value is that was borrowed from it.
fn range(body: &Bytes, raw: &RawValue) -> Range<usize> {
    let begin = body.as_ptr().addr();
    let from = raw.get().as_ptr().addr().saturating_sub(begin);
    from..from + raw.get().len()
}

/// With either of the two, rows could be lost.
fn twice(member: &str) -> String {
    format!("not a page of conversations: {member} comes twice")
}

/// The members of an object; `None` for one that comes twice.
#[derive(Debug)]
struct Members<'a>(IndexMap<String, Option<&'a RawValue>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = IndexMap::new();
                while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
                    members
                        .entry(name)
                        .and_modify(|known| *known = None)
                        .or_insert(Some(raw));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_bytes_received_and_the_rest_is_read_beside_them() {
        let body =
            "{\"total\":2,\"rows\" : [ {\"a\": 1.10 },\n{\"b\":\"\\u00e9\"}], \"link\":null}";
        let body = Bytes::from_static(body.as_bytes());
        let page = rows(&body, "rows").unwrap();
        let found: Vec<&[u8]> = page
            .ranges
            .iter()
            .flatten()
            .map(|range| &body[range.clone()])
            .collect();
        assert_eq!(found, [&b"{\"a\": 1.10 }"[..], b"{\"b\":\"\\u00e9\"}"]);
        assert_eq!(page.member::<u64>("total"), Ok(Some(2)));
        assert_eq!(page.member::<String>("link"), Ok(None));
        assert_eq!(page.member::<String>("other"), Ok(None));
        assert!(page.member::<String>("total").is_err());
    }

    #[test]
    fn no_rows_are_not_an_empty_list() {
        let read = |text: &'static str| {
            let body = Bytes::from_static(text.as_bytes());
            rows(&body, "rows").unwrap().ranges.map(|rows| rows.len())
        };
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"rows":null}"#), None);
        assert_eq!(read(r#"{"rows":[]}"#), Some(0));
        assert_eq!(read(r#"{"a":1,"a":2,"rows":[{}]}"#), Some(1));
    }

    #[test]
    fn what_is_no_page_is_an_error() {
        for text in [
            "",
            "<html></html>",
            "[]",
            "null",
            r#"{"rows":[{"a":1}"#,
            r#"{"rows":{}}"#,
            r#"{"rows":[{},null]}"#,
            r#"{"rows":[{"a":1}],"rows":[]}"#,
        ] {
            let body = Bytes::from_static(text.as_bytes());
            assert!(rows(&body, "rows").is_err(), "{text}");
        }
    }
}

//! The properties of messages that we publish because of a message that we took.

use super::allow_list::{goes_on, listed};
use super::headers::{
    DEATHS, DELAY_LEFT, DELIVERY_COUNT, NOT_BEFORE, ORDER, OURS, TRACEPARENT, TRACESTATE,
    dead_letter,
};
use super::{AddedHeaders, Properties, trace};

/// The properties of a message that takes the place of another one: what the allow-list lets through, except for what
/// described an earlier wait; `added` on top.
pub(crate) fn successor(properties: &Properties, added: AddedHeaders) -> Properties {
    let of_the_past = [NOT_BEFORE, DELAY_LEFT, DEATHS, DELIVERY_COUNT];
    let mut next = listed(properties);
    for (name, value) in &properties.headers {
        if !of_the_past.contains(&name.as_str())
            && let Some(value) = goes_on(name, value)
        {
            next.headers.insert(name.clone(), value.into_owned());
        }
    }
    next.add(added);
    next
}

/// Only our own headers, and the order: for a message that the broker refuses with the publisher's.
pub(crate) fn bare(properties: &Properties) -> Properties {
    let ours = properties
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with(OURS) || *name == ORDER);
    Properties {
        headers: ours
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..Properties::default()
    }
}

/// The properties of a dead letter as those of the message that it was, `added` on top.
pub(crate) fn without_dead_letter(properties: &Properties, added: AddedHeaders) -> Properties {
    let mut message = properties.clone();
    message
        .headers
        .retain(|name, _| !dead_letter::OF_THIS_DEAD_LETTER.contains(&name.as_str()));
    successor(&message, added)
}

/// The properties of an event about a job: the job's trace and correlation ID; the rest is the event's own. The trace
/// continues below the current span, where there is one.
pub(crate) fn event_properties(properties: &Properties, id: &str) -> Properties {
    let mut headers = successor(properties, Vec::new()).headers;
    headers.retain(|name, _| matches!(name.as_str(), TRACEPARENT | TRACESTATE));
    let mut event = Properties {
        headers,
        message_id: Some(id.to_owned()),
        content_type: Some("application/cloudevents+json".to_owned()),
        correlation_id: properties.correlation_id.clone(),
        ..Properties::default()
    };
    event.add(trace::following());
    event
}

#[cfg(test)]
mod tests {
    use super::super::HeaderValue;
    use super::*;

    #[test]
    fn an_event_has_the_trace_of_its_job_and_nothing_else_of_the_publisher() {
        let mut properties = Properties::of_headers([
            (TRACEPARENT, "00-1-2-01".into()),
            (TRACESTATE, HeaderValue::Array(Vec::new())),
            ("tenant", "emea".into()),
        ]);
        properties.reply_to = Some("somewhere".to_owned());
        properties.correlation_id = Some("c-1".to_owned());

        let event = event_properties(&properties, "e-1");
        assert_eq!(event.headers.keys().collect::<Vec<_>>(), [TRACEPARENT]);
        assert_eq!(event.correlation_id.as_deref(), Some("c-1"));
        assert_eq!(event.reply_to, None);
    }
}

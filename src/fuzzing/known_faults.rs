//! The fault texts of the parsers of messages and pages. A text that is one of these repeats
//! nothing of what was read, which may be a secret.

/// The members of a message.
const MEMBERS: [&str; 7] = [
    "userId",
    "batchId",
    "action",
    "deleteAfter",
    "requestedBy",
    "reason",
    "requestedAt",
];

/// What faults of messages may say, with `#` for a number and without what [`generic`] replaces.
const FAULTS: [&str; 26] = [
    "# bytes, over #",
    "the body is empty",
    "this is compressed by gzip: publish plain JSON",
    "this is UTF-#: publish UTF-#",
    "this is a serialized Java object: publish JSON, with a JSON message converter",
    "this is a Python pickle: publish JSON",
    "this is a Celery task: publish the raw JSON, with the producer of Kombu",
    "this is a MassTransit envelope: publish the raw JSON, with UseRawJsonSerializer",
    "this is a list: one message names one user, publish one message for each",
    "this is JSON inside a JSON string: encode it once",
    "this is base#: publish plain JSON",
    "this is XML: publish JSON",
    "this is an event of offboarder, and not a request",
    "it is neither a JSON object nor a user ID",
    "the user ID is in braces: leave them out",
    "no JSON, at line # column #",
    "cut short, at line # column #",
    "no UTF-#, at byte #",
    "a member is nearly one",
    "a member is against its rule",
    "a member is there twice",
    "a member is outside the data",
    "userId is missing",
    "specversion: has to be #.#",
    "specversion, type or data is there twice",
    "type is missing",
];

/// What faults of pages, links and events may say besides.
const OTHERS: [&str; 18] = [
    "data: has to be an object that has userId",
    "data_base# is not read: use data",
    "not a page of conversations, but something else",
    "not a page of conversations, at line # column #",
    "a conversation is not an object",
    "not a page of conversations: a conversation is no JSON",
    "not a page of conversations: details is written in an odd way",
    "not a page of conversations: details comes twice",
    "not a page of conversations: details is not a list",
    "not a page of conversations: nextPageUri comes twice",
    "not a page of conversations: nextPageUri is of another shape",
    "it cannot be resolved",
    "it is not a URL",
    "another origin",
    "it holds a user",
    "another path",
    "over # characters",
    "no cursor",
];

/// The rules of members, without their numbers.
const RULES: [&str; 6] = [
    "has to be a UUID",
    "has to match [A-Za-z#-#._:-]{#,#}",
    "has to be delete or deactivate",
    "has to be a time with an offset, such as #-#-#T#:#:#Z",
    "has to be text of at most # characters",
    "has to be in data",
];

pub(super) fn assert_known(fault: &str) {
    let why = fault
        .strip_prefix(
            "the message is neither a user ID nor JSON after offboarding-message.schema.json: ",
        )
        .or_else(|| {
            fault
                .strip_prefix("GET page: the answer cannot be read (")?
                .strip_suffix(')')
        })
        .or_else(|| {
            // The fault shows the origin of the link.
            let foreign = fault
                .starts_with("the link to the next page leads elsewhere (another origin, ")
                && fault.is_ascii();
            foreign.then_some("another origin")
        })
        .or_else(|| {
            fault
                .strip_prefix("the link to the next page leads elsewhere (")?
                .strip_suffix("); no request was sent there")
        });
    let known = |fault: &str| {
        let plain = plain(&generic(fault));
        FAULTS.contains(&plain.as_str()) || OTHERS.contains(&plain.as_str())
    };
    assert!(
        why.is_some_and(|why| why.split("; ").all(known)),
        "may this be said? {fault}"
    );
}

/// With `#` for each number.
fn plain(text: &str) -> String {
    let numbers = |c: char| c.is_ascii_digit();
    let mut plain = String::new();
    for piece in text.split_inclusive(numbers) {
        plain.push_str(piece.trim_end_matches(numbers));
        if piece.ends_with(numbers) && !plain.ends_with('#') {
            plain.push('#');
        }
    }
    plain
}

/// Replaces the kind and the name of a member, which are words of a short list.
fn generic(fault: &str) -> String {
    const KINDS: [&str; 5] = [
        "is true or false",
        "is a number",
        "is a list",
        "is an object",
        "has no offset",
    ];
    let counted = |how: &str| plain(how) == "has #";

    if let Some((name, rule)) = fault.split_once(": ")
        && MEMBERS.contains(&name)
    {
        let broken = rule.rsplit_once(", and ").map_or(rule, |(rule, how)| {
            assert!(KINDS.contains(&how) || counted(how), "{fault}");
            rule
        });
        if RULES.contains(&plain(broken).as_str()) {
            return "a member is against its rule".to_owned();
        }
    }
    let near = fault
        .strip_suffix(": rename or remove it")
        .or_else(|| fault.starts_with("userId is missing (").then_some(fault))
        .and_then(|of| of.strip_suffix(')')?.split_once(" (there is "));
    if let Some((named, shown)) = near {
        let is_known = MEMBERS.contains(&named.trim_end_matches(" is misspelt"))
            || named == "userId is missing";
        assert!(is_known && is_nearly(shown), "{fault}");
        return "a member is nearly one".to_owned();
    }
    if let Some((name, how)) = fault.split_once(" is there twice")
        && MEMBERS.contains(&name)
    {
        let near = how
            .strip_prefix(" (also as ")
            .and_then(|of| of.strip_suffix(')'));
        assert!(how.is_empty() || near.is_some_and(is_nearly), "{fault}");
        return "a member is there twice".to_owned();
    }
    fault.to_owned()
}

/// The name says no more than the member that it is nearly.
fn is_nearly(shown: &str) -> bool {
    shown.chars().count() < 500
}

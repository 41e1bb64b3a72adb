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

/// What faults may say, with `#` for a number.
const FAULTS: [&str; 32] = [
    "# bytes, over #",
    "no JSON object",
    "no JSON, at line # column #",
    "cut short, at line # column #",
    "no UTF-#, at byte #",
    "a member is no text",
    "a member is nearly one",
    "userId is missing",
    "userId is no UUID",
    "action is neither delete nor deactivate",
    "batchId is not # to # letters, digits, '.', '_', ':' or '-'",
    "deleteAfter is no time with an offset, such as #-#-#T#:#:#Z",
    "requestedAt is no time with an offset, such as #-#-#T#:#:#Z",
    "userId is there twice",
    "batchId is there twice",
    "action is there twice",
    "deleteAfter is there twice",
    "requestedBy is there twice",
    "reason is there twice",
    "requestedAt is there twice",
    "requestedBy has # characters, over #",
    "reason has # characters, over #",
    "not a page of conversations, but something else",
    "not a page of conversations, at line # column #",
    "a conversation is not an object",
    "it cannot be resolved",
    "it is not a URL",
    "another origin",
    "it holds a user",
    "another path",
    "over # characters",
    "no cursor",
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
    let why = why.map(generic);
    let why = why.as_deref();
    let numbers = |c: char| c.is_ascii_digit();
    let mut plain = String::new();
    for piece in why.unwrap_or(fault).split_inclusive(numbers) {
        plain.push_str(piece.trim_end_matches(numbers));
        if piece.ends_with(numbers) && !plain.ends_with('#') {
            plain.push('#');
        }
    }
    assert!(
        why.is_some() && FAULTS.contains(&plain.as_str()),
        "may this be said? {fault}"
    );
}

/// Replaces the kind and the name of a member, which are words of a short list.
fn generic(fault: &str) -> String {
    const KINDS: [&str; 5] = ["true or false", "a number", "a list", "an object", "text"];
    if let Some((name, kind)) = fault
        .strip_suffix(" and has to be text")
        .and_then(|of| of.split_once(" is "))
        && MEMBERS.contains(&name)
        && KINDS.contains(&kind)
    {
        return "a member is no text".to_owned();
    }
    let near = fault
        .strip_prefix("a member is called ")
        .and_then(|of| of.strip_suffix(" or leave it out"));
    if let Some((shown, meant)) = near.and_then(|of| of.rsplit_once(": write "))
        && MEMBERS.contains(&meant)
        && shown.chars().count() < 500
    {
        return "a member is nearly one".to_owned();
    }
    fault.to_owned()
}

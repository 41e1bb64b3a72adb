//! What the fuzz targets in `fuzz/` call: one function for each parser of what strangers wrote. Each
//! takes any bytes, says whether the parser accepted them, and panics when a promise is broken.
//!
//! Public because a fuzz target is a crate of its own, and the parsers are private to this one; hidden
//! because it is no part of the library. The tests below run the same functions on a stable toolchain,
//! over `fuzz/corpus` and mutations of it.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};
use url::{Host, Url};

mod stored;

pub use stored::stored;

use crate::adapters::amqp;
use crate::adapters::cxone::{NextPage, Page, retry_after as wish};
use crate::adapters::stored_checkpoint::parse as parse_checkpoint;
use crate::config::{
    ArchiveLocation, CheckpointsUrl, Cxone, Faults, SETTINGS, Settings, Sources, show,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Action, Request, UserId, parse_message};
use crate::limits::{DeletePolicy, Rate};
use crate::machine::{
    Checkpoint, Context, Cursor, Effect, Event, Pause, RetryPolicy, SCHEMA, Sealing, State,
    transition,
};
use crate::manifest::{Actor, Kind, Manifest, archive_key, parse_key, tells_the_same};

/// Whose checkpoint [`checkpoint`] asks for.
pub(crate) const USER_ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

/// Where a page of conversations comes from.
const PAGE_PATH: &str = "/api/v2/conversations/details/query";

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

/// What faults in messages and pages may say, numbers aside.
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
    "no page of conversations, but something else",
    "no page of conversations, at line # column #",
    "a conversation is no object",
    "it cannot be resolved",
    "it is no URL",
    "another origin",
    "it holds a user",
    "another path",
    "over # characters",
    "no cursor",
];

/// A fault that is one of these repeats nothing of what was read, which may hold anything.
fn assert_known(fault: &str) {
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
            // The origin that is shown is the stranger's.
            let foreign = fault.starts_with("the next page lies elsewhere (another origin, ")
                && fault.is_ascii();
            foreign.then_some("another origin")
        })
        .or_else(|| {
            fault
                .strip_prefix("the next page lies elsewhere (")?
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

/// Without what a fault says of a member's kind and name: those are of a few words, and the name is a member's own.
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

/// Whom and what a body names.
#[derive(serde::Deserialize)]
struct Named {
    #[serde(rename = "userId")]
    user_id: String,
    action: Option<Action>,
}

/// A message body: who is meant stands in it and is safe wherever an ID goes, what is kept of it is within
/// the schema, and a fault does not repeat it.
pub fn message(body: &[u8]) -> bool {
    let (user_id, request) = match parse_message(body, Timestamp::UNIX_EPOCH) {
        Ok(read) => read,
        Err(fault) => {
            assert_known(&fault.to_string());
            return false;
        }
    };
    assert_safe(user_id);
    let text = std::str::from_utf8(body).expect("it is UTF-8");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let named = text.trim_ascii().trim_matches('"');
    let named: Named = serde_json::from_str(text)
        .ok()
        .filter(|_| named.starts_with('{'))
        .unwrap_or_else(|| Named {
            user_id: named.to_owned(),
            action: None,
        });
    let plain = |id: &str| id.to_ascii_lowercase().replace('-', "");
    assert_eq!(plain(&named.user_id), plain(&user_id.to_string()));
    assert_eq!(
        (named.action.is_some(), named.action.unwrap_or_default()),
        (request.action_named, request.action)
    );

    let characters = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    assert!(characters(&request.requested_by) <= 256 && characters(&request.reason) <= 1024);
    let batch_id = request
        .batch_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        batch_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
    );
    assert_eq!(
        request.message_sha256,
        Some(hex::encode(Sha256::digest(body)))
    );
    // All but whether the action was named is kept in the checkpoint.
    let kept = Request {
        action_named: false,
        ..request
    };
    let stored = serde_json::to_vec(&kept).expect("a request can be stored");
    assert_eq!(
        serde_json::from_slice::<Request>(&stored).expect("it reads back"),
        kept
    );
    true
}

/// The ID is canonical, and one segment of a path, one key of the store, and nothing else.
fn assert_safe(user_id: UserId) {
    let text = user_id.to_string();
    let canonical = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    assert!(
        text.len() == 36 && text.bytes().enumerate().all(canonical),
        "{text}"
    );
    assert_eq!(text.parse(), Ok(user_id));
    let url = base_uris()
        .first()
        .and_then(|base| base.join(&format!("/users/{text}/x")).ok());
    assert_eq!(
        url.expect("it fits into a URL").path(),
        format!("/users/{text}/x")
    );
    assert_eq!(
        parse_key(user_id, &archive_key(user_id, 2)),
        Some((Kind::Archive, 2))
    );
}

/// The properties of a message, as they are sent: what is admitted is on the list and small, believed where the login
/// is ours alone, and admitting it again changes nothing; what is shown of a dead letter is small. The first byte says
/// under which login, and whether it was delivered before.
pub fn headers(input: &[u8]) -> bool {
    let Some((how, bytes)) = input.split_first() else {
        return false;
    };
    amqp::admits(bytes, how % 2 == 0, how % 3 == 0)
}

/// A page: its conversations are objects, byte for byte and in order what stands between the commas, all
/// of them; its link is safe to follow; and a fault does not repeat it.
pub fn page(body: &[u8]) -> bool {
    let (base, whole) = (base_uri(0), Bytes::copy_from_slice(body));
    let page = match Page::parse(whole.clone(), &base, "GET page") {
        Ok(page) => page,
        Err(fault) => {
            assert_known(&fault.to_string());
            return false;
        }
    };
    let conversations: Vec<&[u8]> = page.conversations().collect();
    let mut end = None;
    for conversation in &conversations {
        let from = conversation
            .as_ptr()
            .addr()
            .checked_sub(whole.as_ptr().addr())
            .expect("it lies within");
        assert_eq!(
            whole.get(from..from + conversation.len()),
            Some(*conversation)
        );
        let between = end.map(|end| {
            whole
                .get(end..from)
                .expect("they are in order")
                .trim_ascii()
        });
        assert!(
            between.is_none_or(|between| between == b","),
            "something is left out: {between:?}"
        );
        end = Some(from + conversation.len());
    }

    let mut joined = b"[".to_vec();
    joined.extend(conversations.join(&b','));
    joined.push(b']');
    let again: Vec<&RawValue> =
        serde_json::from_slice(&joined).expect("an archive of them is JSON");
    assert!(
        again
            .iter()
            .map(|one| one.get().as_bytes())
            .eq(conversations.iter().copied())
    );
    assert!(
        conversations.iter().all(|one| one.starts_with(b"{")),
        "a conversation is an object"
    );
    // Not every page can be read so: depth and numbers have limits there.
    if let Ok(read) = serde_json::from_slice::<Value>(body) {
        let details = read
            .get("details")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let ours = conversations
            .iter()
            .map(|one| serde_json::from_slice::<Value>(one).expect("it is JSON"));
        assert!(ours.eq(details), "not what the page holds");
    }
    if let Some(link) = page.next() {
        assert_on_origin(link, &base);
    }
    true
}

/// `Retry-After`, and after a line break the answer's `Date`: a wish is never zero and never over an hour,
/// and seconds are taken at their word.
pub fn retry_after(header: &[u8]) -> bool {
    const HOUR: Duration = Duration::from_hours(1);
    let text = String::from_utf8_lossy(header);
    let (value, date) = text
        .split_once('\n')
        .map_or((&*text, None), |(value, date)| (value, Some(date)));
    let answer = wish(Some(value), date);
    assert!(
        answer.is_none_or(|pause| !pause.is_zero() && pause <= HOUR),
        "{answer:?}"
    );
    assert_eq!(wish(None, date), None);
    let digits = value.trim();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits into 64 bits is no wish of anybody.
        let seconds = digits.parse::<u64>().ok().filter(|seconds| *seconds > 0);
        assert_eq!(
            answer,
            seconds.map(|seconds| Duration::from_secs(seconds).min(HOUR))
        );
    } else {
        // A date is not after itself, so that only a number is left.
        assert_eq!(
            wish(Some(value), Some(value)).filter(|_| !digits.starts_with('+')),
            None
        );
    }
    answer.is_some()
}

/// The link to the next page: whatever is accepted leads to the API's own origin and path, and is the same
/// after a crash, when it comes out of the checkpoint.
pub fn next_link(link: &[u8]) -> bool {
    let link = String::from_utf8_lossy(link);
    let mut accepted = false;
    for index in 0..base_uris().len() {
        let base = base_uri(index);
        let body = serde_json::json!({ "nextPageUri": link }).to_string();
        match Page::parse(Bytes::from(body), &base, "GET page") {
            Ok(page) => {
                let Some(next) = page.next() else {
                    assert!(link.is_empty(), "a link is followed or refused");
                    continue;
                };
                accepted = true;
                assert_on_origin(next, &base);
                // It leads where it says, and nowhere else: no other origin was taken for ours.
                let mut meant = base
                    .join(PAGE_PATH)
                    .and_then(|here| here.join(&link))
                    .expect("a URL");
                meant.set_fragment(None);
                assert_eq!(next.url(&base).expect("a URL"), meant);
            }
            Err(fault) => assert_known(&fault.to_string()),
        }
        if let Ok(saved) = link.parse::<NextPage>() {
            accepted = true;
            assert_on_origin(&saved, &base);
        }
    }
    accepted
}

fn base_uris() -> [Url; 4] {
    [
        "https://api.example",
        "http://127.0.0.1:8080",
        "https://api.example:8443",
        "https://[::1]",
    ]
    .map(|base| Url::parse(base).expect("a URL"))
}

fn base_uri(index: usize) -> Url {
    base_uris().into_iter().nth(index).expect("one of them")
}

fn assert_on_origin(link: &NextPage, base: &Url) {
    let url = link.url(base).expect("an accepted link is a URL");
    assert_eq!(
        (url.scheme(), url.host()),
        (base.scheme(), base.host()),
        "{link}"
    );
    assert_eq!(
        url.port_or_known_default(),
        base.port_or_known_default(),
        "{link}"
    );
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{link}"
    );
    assert_eq!((url.path(), url.fragment()), (PAGE_PATH, None), "{link}");
    let saved: NextPage = link.to_string().parse().expect("a saved link reads back");
    assert_eq!(saved.url(base).expect("an accepted link is a URL"), url);
}

/// A checkpoint as Redis holds it: it is of the user who was asked for and of our schema, is stored and
/// read back as it was, and whatever may happen to it next works.
pub fn checkpoint(body: &[u8]) -> bool {
    let user_id: UserId = USER_ID.parse().expect("a user ID");
    let Ok(Some(checkpoint)) = parse_checkpoint(user_id, body) else {
        return false;
    };
    assert_eq!((checkpoint.user_id, checkpoint.schema), (user_id, SCHEMA));
    assert_reads_back(&checkpoint);
    let newer = Checkpoint {
        schema: SCHEMA + 1,
        ..(*checkpoint).clone()
    };
    let newer = serde_json::to_vec(&newer).expect("a checkpoint can be stored");
    assert!(
        parse_checkpoint(user_id, &newer).is_err(),
        "a newer one is refused"
    );
    assert_resumes(&checkpoint);
    assert_goes_on(&checkpoint);
    if let Some(upload) = checkpoint
        .step
        .archive
        .as_ref()
        .and_then(|archive| archive.upload.as_ref())
    {
        assert!(upload.parts.iter().all(|part| part.bytes <= upload.bytes()));
        if let Cursor::Page { link, .. } = &upload.cursor
            && let Ok(link) = link.parse::<NextPage>()
        {
            assert_on_origin(&link, &base_uri(0));
        }
    }
    if let Some(manifest) = Manifest::of(&checkpoint, &Actor::new("fuzz")) {
        let bytes = manifest.to_bytes().expect("a manifest can be stored");
        let stored: Manifest = serde_json::from_slice(&bytes).expect("it reads back");
        assert!(stored == manifest && tells_the_same(&stored, &manifest));
    }
    true
}

fn assert_reads_back(checkpoint: &Checkpoint) {
    let stored = serde_json::to_vec(checkpoint).expect("a checkpoint can be stored");
    let read = parse_checkpoint(checkpoint.user_id, &stored).expect("it is not newer");
    assert_eq!(read.as_deref(), Some(checkpoint));
}

/// A resume moves nobody, is always legal, and asks for no deletion without a seal.
fn assert_resumes(checkpoint: &Checkpoint) {
    let retry = RetryPolicy {
        max_attempts: 8,
        base: Duration::from_secs(2),
        cap: Duration::from_mins(15),
    };
    let failures = [
        Class::Transient,
        Class::Throttled,
        Class::Permanent(Reason::ApiRejected),
        Class::Defect,
    ];
    for number in 0..8_u8 {
        let context = Context {
            action: if number & 1 == 0 {
                Action::Delete
            } else {
                Action::Deactivate
            },
            delete: if number & 2 == 0 {
                DeletePolicy::Attempt
            } else {
                DeletePolicy::Never
            },
            retry: &retry,
            resubmitted: number & 4 == 0,
            attempts: checkpoint.attempts,
            jitter: 0.999,
        };
        let state = || checkpoint.state.clone();
        let resumed = transition(state(), Event::Resumed, &context).expect("a resume is legal");
        assert_eq!(resumed.state, checkpoint.state);
        let sealed = matches!(checkpoint.state, State::Archived { ref sealing, .. } if *sealing != Sealing::Unsealed);
        let deletes = matches!(
            resumed.effect,
            Effect::Delete { .. } | Effect::ConfirmDeletion
        );
        assert_eq!(
            deletes,
            sealed,
            "{:?} in {}",
            resumed.effect,
            checkpoint.state.name()
        );
        for class in failures {
            let failed = Event::StepFailed(Failure::new(class, Code::CxoneServerError, ""));
            assert_eq!(
                transition(state(), failed, &context).map(|next| next.state),
                Ok(state())
            );
        }
    }
}

/// Whatever a visit may write into it can be stored and read again.
fn assert_goes_on(checkpoint: &Checkpoint) {
    let (now, failure) = (
        Timestamp::UNIX_EPOCH,
        Failure::new(Class::Defect, Code::Panicked, "x"),
    );
    let after = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = checkpoint.clone();
        change(&mut checkpoint);
        assert_reads_back(&checkpoint);
    };
    after(&|checkpoint| checkpoint.fail(failure.clone(), true, now, now));
    after(&|checkpoint| checkpoint.give_up(Reason::Poison, failure.clone(), now));
    after(&|checkpoint| checkpoint.postpone(Timestamp::MAX, Pause::NotDue, now));
    after(&|checkpoint| checkpoint.revise(true, Request::default(), now));
    after(&|checkpoint| checkpoint.enter(State::Received, now));
    after(&|checkpoint| checkpoint.advance(State::Received, checkpoint.step.calls.clone(), now));
    assert!(
        checkpoint
            .ended_at()
            .is_none_or(|end| end <= Timestamp::MAX)
    );
}

/// What every secret holds in [`settings`].
const CANARY: &str = "hunter2";

/// Settings: lines `NAME=value` are the environment and `--key=value` flags; after a line `---` comes the
/// TOML file. Every secret among them gets a known text put into it, which then stands nowhere in faults
/// and listings; and what is accepted is within the bounds that the types promise.
pub fn settings(sources: &[u8]) -> bool {
    let Some(sources) = std::str::from_utf8(sources).ok().and_then(spiked_sources) else {
        return false;
    };
    for row in show(&sources) {
        assert!(!format!("{row:?}").contains(CANARY), "{row:?}");
    }
    let worker = checked(Settings::for_worker(&sources, false), |settings| {
        assert!(matches!(settings.checkpoints, CheckpointsUrl::Redis { .. }));
        assert!(matches!(
            settings.archive.location,
            ArchiveLocation::S3 { .. }
        ));
    });
    // What one command accepts, every other accepts that asks for less.
    let stores = checked(Settings::for_stores(&sources), |_| {});
    if stores {
        let run = checked(Settings::for_run(&sources), |settings| {
            assert_cxone(&settings.cxone)
        });
        let broker = checked(Settings::for_broker(&sources), |_| {});
        let local = checked(Settings::for_worker(&sources, true), |_| {});
        assert!((!worker || local) && (!local || run && broker));
    }
    assert!(!worker || stores);
    stores
}

/// `false` if there are faults.
fn checked<C: fmt::Debug, Q: fmt::Debug>(
    settings: Result<Settings<C, Q>, Faults>,
    check: impl FnOnce(&Settings<C, Q>),
) -> bool {
    let settings = match settings {
        Ok(settings) => settings,
        Err(faults) => {
            assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
            for fault in faults.iter().map(ToString::to_string) {
                assert!(
                    !fault.contains(char::is_control),
                    "a fault is one line: {fault:?}"
                );
            }
            return false;
        }
    };
    let shown = format!("{settings:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    let (worker, guard) = (settings.worker, &settings.guard);
    assert!((1..=1000).contains(&worker.concurrency) && (1..=1000).contains(&worker.max_attempts));
    assert!(!worker.retry_base.is_zero() && worker.retry_base <= worker.retry_cap);
    assert!(worker.slice <= Duration::from_mins(10) && worker.lease >= Duration::from_secs(1));
    assert!(
        guard
            .max_deletions
            .is_none_or(|brake| brake.count > 0 && !brake.per.is_zero())
    );
    assert!(settings.admin.token.is_some() || settings.admin.listen.ip().is_loopback());
    match &settings.archive.location {
        ArchiveLocation::S3 { bucket, prefix } => {
            assert!(!bucket.is_empty() && !bucket.contains('/'));
            assert!(prefix.is_empty() || prefix.ends_with('/'));
            let mut segments = prefix.split_terminator('/');
            assert!(
                segments.all(|segment| !["", ".", ".."].contains(&segment)),
                "{prefix:?}"
            );
        }
        ArchiveLocation::Directory(_) => assert!(settings.archive.retention.is_none()),
    }
    check(&settings);
    true
}

fn assert_cxone(cxone: &Cxone) {
    for url in [&cxone.base_uri, &cxone.token_uri] {
        let loopback = match url.host().expect("a host") {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        assert!(
            url.scheme() == "https" || url.scheme() == "http" && loopback,
            "{url}"
        );
        assert!(
            url.username().is_empty() && url.password().is_none() && url.query().is_none(),
            "{url}"
        );
    }
    assert_eq!(cxone.base_uri.path(), "/");
    assert!((1..=500).contains(&cxone.page_size) && !cxone.history.is_zero());
    assert!(cxone.window_days != Some(0));
    for rate in [cxone.rate_routing, cxone.rate_scim, cxone.rate_analytics] {
        let is_bounded = |rate: Rate| (0.000_27..=1_000_000.0).contains(&rate.per_second());
        assert!(rate.is_none_or(is_bounded), "{rate:?}");
    }
}

/// `None` for what would read files of this host, or holds the canary already.
fn spiked_sources(text: &str) -> Option<Sources> {
    if text.contains(CANARY) {
        return None;
    }
    let (lines, toml) = text
        .split_once("---\n")
        .map_or((text, None), |(lines, toml)| (lines, Some(toml)));
    let mut sources = Sources::default();
    // The nearest known name of a long one takes its time, and nothing else depends on its length.
    let lines = lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.len() < 100);
    for (name, value) in lines.take(50) {
        if let Some(key) = name.strip_prefix("--") {
            if SETTINGS
                .iter()
                .any(|setting| setting.key == key && !setting.secret)
            {
                sources.flags.insert(key.to_owned(), spiked_url(key, value));
            }
        } else if SETTINGS
            .iter()
            .any(|setting| setting.file_variable() == name)
        {
            sources.env.push((name.to_owned(), nowhere(value)?));
        } else if SETTINGS
            .iter()
            .any(|setting| setting.variable() == name && setting.secret)
        {
            sources.env.push((name.to_owned(), spiked(value)));
        } else {
            let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
            let value = spiked_url(setting.map_or("", |setting| setting.key), value);
            sources.env.push((name.to_owned(), value));
        }
    }
    let toml = toml.map(spiked_toml);
    if let Some(text) = &toml
        && let Ok(file) = DeTable::parse(text)
    {
        // Where the file can be read, what was put in has to have met secrets and nothing else.
        let mut leaves = Vec::new();
        for (table, inner) in file.get_ref() {
            gather(table.get_ref(), inner.get_ref(), &mut leaves);
        }
        for (key, text) in &leaves {
            let is_secret = SETTINGS
                .iter()
                .any(|setting| setting.secret && setting.key == key);
            if key.contains(CANARY) || text.contains(CANARY) && !is_secret {
                return None;
            }
            if SETTINGS.iter().any(|setting| setting.file_key() == *key) {
                nowhere(text)?;
            }
        }
    }
    sources.toml = toml.map(|text| (PathBuf::from("o.toml"), text));
    Some(sources)
}

/// Keys with their texts, however deep.
fn gather(key: &str, value: &DeValue<'_>, leaves: &mut Vec<(String, String)>) {
    match value {
        DeValue::Table(table) => {
            for (name, inner) in table {
                gather(
                    &format!("{key}.{}", name.get_ref()),
                    inner.get_ref(),
                    leaves,
                );
            }
        }
        DeValue::Array(items) => items
            .iter()
            .for_each(|item| gather(key, item.get_ref(), leaves)),
        DeValue::String(text) => leaves.push((key.to_owned(), text.clone().into_owned())),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            leaves.push((key.to_owned(), String::new()));
        }
    }
}

/// A path below which nothing is: no target reads files of this host.
fn nowhere(path: &str) -> Option<String> {
    path.starts_with("/nowhere/").then(|| path.to_owned())
}

/// The canary in the middle, so that what is odd at either end stays odd.
fn spiked(secret: &str) -> String {
    let middle = secret
        .char_indices()
        .nth(secret.chars().count() / 2)
        .map_or(secret.len(), |(at, _)| at);
    let (head, tail) = secret.split_at(middle);
    if secret.is_empty() {
        String::new()
    } else {
        format!("{head}{CANARY}{tail}")
    }
}

/// The same for the password of a URL, or of what was meant as one. Where passwords belong, an `@` ends one
/// wherever it stands; elsewhere it may be part of a path.
fn spiked_url(key: &str, text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let spiked = if let Some((place, password)) = rest.split_once("?password=") {
        format!("{place}?password={CANARY}{password}{CANARY}")
    } else if let Some((user, host)) = rest.rsplit_once('@')
        && (user.len() < authority || matches!(key, "queue.url" | "checkpoints.url"))
    {
        match user.split_once(':') {
            Some((user, password)) => format!("{user}:{CANARY}{password}{CANARY}@{host}"),
            None => format!("{CANARY}{user}@{host}"),
        }
    } else if let Some((user, password)) = rest.split_once(':')
        && user.len() < authority
        && !user.contains('[')
    {
        format!("{user}:{CANARY}{password}")
    } else {
        rest.to_owned()
    };
    format!("{scheme}://{spiked}")
}

/// The same behind every name of a secret that an equals sign follows, whether or not the file can be read.
fn spiked_toml(text: &str) -> String {
    let mut pieces: Vec<String> = text.split('=').map(str::to_owned).collect();
    for index in 1..pieces.len() {
        let name = pieces
            .get(index - 1)
            .map(|before| before.trim_end_matches([' ', '\t', '"', '\'']));
        let of_secret =
            name.is_some_and(|name| name.ends_with("token") || name.ends_with("client_secret"));
        if let Some(piece) = pieces.get_mut(index).filter(|_| of_secret) {
            let at = piece.len() - piece.trim_start_matches([' ', '\t', '"', '\'']).len();
            piece.insert_str(at, CANARY);
        }
    }
    pieces.join("=")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::path::Path;

    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// How many mutations a target gets, unless `OFFBOARDER_FUZZ_ITERATIONS` says otherwise.
    const ITERATIONS: u64 = 3000;
    /// The same every time, so that a red test is red again; `OFFBOARDER_FUZZ_SEED` takes another way.
    const SEED: u64 = 20_261_124;
    /// What is large is slow to check, and depth has a test of its own.
    const MAX_BYTES: usize = 8 * 1024;

    #[test]
    fn a_message() {
        run("message", message);
    }

    #[test]
    fn the_headers() {
        run("headers", headers);
    }

    #[test]
    fn a_page() {
        run("page", page);
    }

    #[test]
    fn a_retry_after() {
        run("retry_after", retry_after);
    }

    #[test]
    fn a_next_link() {
        run("next_link", next_link);
    }

    #[test]
    fn a_checkpoint() {
        run("checkpoint", checkpoint);
    }

    #[test]
    fn what_stores_return() {
        run("stored", stored);
    }

    #[test]
    fn the_settings() {
        run("settings", settings);
    }

    #[test]
    fn depth_exhausts_no_stack() {
        let deep =
            |begin: &str, level: &str| format!("{begin}{}", level.repeat(30_000)).into_bytes();
        for level in ["[", "{\"a\":", "[{\"a\":"] {
            message(&deep("{\"userId\":", level));
            message(&deep("{\"unknown\":", level));
            page(&deep("{\"details\":[{\"a\":", level));
            page(&deep("{\"nextPageUri\":", level));
            checkpoint(&deep("{\"state\":{\"name\":\"Received\",\"a\":", level));
            checkpoint(&deep("", level));
            stored(&deep("{\"details\":", level));
            stored(&deep("", level));
        }
        for (begin, level) in [
            ("x = ", "["),
            ("x = ", "{ a = "),
            ("", "a."),
            ("[", "a."),
            ("x = ", "{ a."),
        ] {
            settings(&deep(&format!("---\n{begin}"), level));
            settings(&[deep(&format!("---\n{begin}"), level), b"a = 1".to_vec()].concat());
        }
        settings(
            &deep("---\n[", "a.")
                .into_iter()
                .chain(*b"a]\nb = 1\n")
                .collect::<Vec<_>>(),
        );
    }

    fn run(target: &str, check: fn(&[u8]) -> bool) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let corpus: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        let tried = |name: &str, input: &[u8]| {
            catch_unwind(|| check(input)).unwrap_or_else(|_| {
                panic!(
                    "{target}, {name}: the panic is above; for the corpus, as a byte string: b\"{}\"",
                    input.escape_ascii()
                )
            })
        };
        let mut accepted = 0;
        for (path, seed) in paths.iter().zip(&corpus) {
            accepted += usize::from(tried(&path.file_name().unwrap().to_string_lossy(), seed));
        }
        assert!(
            0 < accepted && accepted < corpus.len(),
            "{target}: {accepted} of the corpus are accepted"
        );

        let seed = number("OFFBOARDER_FUZZ_SEED", SEED);
        let iterations = number("OFFBOARDER_FUZZ_ITERATIONS", ITERATIONS);
        let mut mutator = Mutator {
            random: StdRng::seed_from_u64(seed),
            corpus: &corpus,
        };
        let mut accepted = 0;
        for iteration in 0..iterations {
            let name = format!("iteration {iteration} of seed {seed}");
            accepted += u64::from(tried(&name, &mutator.mutation()));
        }
        eprintln!("{target}: {accepted} of {iterations} mutations from seed {seed} are accepted");
    }

    fn number(variable: &str, default: u64) -> u64 {
        std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
    }

    /// What has a meaning to some parser.
    #[rustfmt::skip] // a line a kind
    const TOKENS: &[&str] = &[
        "{", "}", "[", "]", ",", ":", "\"", "null", "true", "{}", "[]", "\"\"",
        "\\", "\\u0000", "\\ud800", "\\u0022", "\\n", "\\/",
        "-1", "1e999", "-0.0", "0x1f", "100y", "off",
        "\u{feff}", "\0", "\n", "\r\n", "\t", "\x1b", " ", "é", "\u{202e}", "\u{1f600}",
        "/", "//", "../", "://", "@", "?", "#", "%2f", "%00", "file:", "s3://", "https://", "[::1]", "?password=",
        "'", "'''", "=", "---\n", ".",
        "9999-12-31T23:59:59Z", "-009999-01-02T01:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT",
    ];
    /// What counters and lengths break at.
    #[rustfmt::skip]
    const NUMBERS: &[&str] = &[
        "0", "1", "2", "3600", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615",
        "9999999999999999999999999999999999999999",
    ];

    struct Mutator<'a> {
        random: StdRng,
        corpus: &'a [Vec<u8>],
    }

    impl Mutator<'_> {
        fn below(&mut self, end: usize) -> usize {
            self.random.random_range(0..end.max(1))
        }

        fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
            choices[self.below(choices.len())].clone()
        }

        /// A file of the corpus, changed once to four times: once most often, since little is accepted after
        /// many.
        fn mutation(&mut self) -> Vec<u8> {
            let mut bytes = self.one_of(self.corpus);
            for _ in 0..self.one_of(&[1, 1, 1, 2, 2, 3, 4]) {
                self.change(&mut bytes);
                bytes.truncate(MAX_BYTES);
            }
            bytes
        }

        fn change(&mut self, bytes: &mut Vec<u8>) {
            let from = self.below(bytes.len() + 1);
            let to = (from + self.below(24)).min(bytes.len());
            match self.below(8) {
                0 => {
                    let bit = self.below(8);
                    bytes
                        .iter_mut()
                        .skip(from)
                        .take(1)
                        .for_each(|byte| *byte ^= 1 << bit);
                }
                1 => bytes.truncate(from),
                2 => {
                    let other = self.one_of(self.corpus);
                    bytes.truncate(from);
                    bytes.extend_from_slice(&other[self.below(other.len())..]);
                }
                3 => drop(bytes.splice(from..from, self.one_of(TOKENS).bytes())),
                4 => drop(bytes.splice(from..to, self.one_of(TOKENS).bytes())),
                5 => drop(bytes.drain(from..to)),
                6 => {
                    let chunk = bytes[from..to].repeat(1 << self.below(13));
                    bytes.splice(from..from, chunk);
                }
                _ => {
                    // The next number from here on.
                    let digit = |byte: &u8| byte.is_ascii_digit();
                    let begin = bytes[from..]
                        .iter()
                        .position(digit)
                        .map_or(bytes.len(), |at| from + at);
                    let digits = bytes[begin..].iter().take_while(|byte| digit(byte)).count();
                    bytes.splice(begin..begin + digits, self.one_of(NUMBERS).bytes());
                }
            }
        }
    }
}

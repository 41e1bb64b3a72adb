//! Pages of conversations, the links between them, and `Retry-After`.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::known_faults::assert_known;
use crate::adapters::http::{ApiError, retry_after as wish, rows};
use crate::adapters::tutorial::{NextPage, parse_page};
use crate::clock::Clock;
use crate::ports::Page;

/// Where a page of conversations comes from.
const PAGE_PATH: &str = "/api/v2/conversations/details/query";

fn parsed(body: &Bytes, piece: usize, base: &Url) -> Result<Page, ApiError> {
    let parsing = parse_page(body, piece, base, "GET page");
    parsing.now_or_never().expect("nothing to wait for")
}

/// A page of conversations that arrives in pieces. Its conversations are those of the page read as a whole, byte for byte
/// and in order, wherever the pieces end; its link is safe to follow; and a fault does not repeat it.
pub fn page(body: &[u8]) -> bool {
    let base = base_uri(0);
    let whole = Bytes::copy_from_slice(body);
    let small = parsed(&whole, 7, &base);
    let page = match parsed(&whole, 1 << 20, &base) {
        Ok(page) => page,
        Err(fault) => {
            assert_known(&fault.to_string());
            assert!(small.is_err(), "pieces make no page of what is none");
            return false;
        }
    };
    let small = small.expect("pieces change nothing");
    assert!(
        page.conversations().eq(small.conversations()) && page.next() == small.next(),
        "pieces change nothing"
    );

    let conversations: Vec<&[u8]> = page.conversations().collect();
    if !whole.is_empty() {
        let read = rows(&whole, "details").expect("a page is one as a whole, too");
        let ranges = read.ranges.unwrap_or_default();
        let meant = ranges
            .into_iter()
            .map(|range| whole.get(range).expect("within"));
        assert!(
            meant.eq(conversations.iter().copied()),
            "something is left out"
        );
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

    // Not every page can be read like this: depth and numbers have limits here.
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
        let link: NextPage = link.parse().expect("a link of a page reads back");
        assert_on_origin(&link, &base);
    }
    true
}

/// `Retry-After`, and after a line break the `Date` of the answer. A pause is never zero and never
/// longer than an hour, and a number of seconds is taken as it is.
pub fn retry_after(header: &[u8]) -> bool {
    const HOUR: Duration = Duration::from_hours(1);
    let now = Clock::system().now();
    let text = String::from_utf8_lossy(header);
    let (value, date) = text
        .split_once('\n')
        .map_or((&*text, None), |(value, date)| (value, Some(date)));
    let answer = wish(Some(value), date, now);
    assert!(
        answer.is_none_or(|pause| !pause.is_zero() && pause <= HOUR),
        "{answer:?}"
    );
    assert_eq!(wish(None, date, now), None);
    let digits = value.trim();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit into 64 bits is ignored.
        let seconds = digits.parse::<u64>().ok().filter(|seconds| *seconds > 0);
        assert_eq!(
            answer,
            seconds.map(|seconds| Duration::from_secs(seconds).min(HOUR))
        );
    } else {
        // A date is not after itself, so that only a number is left.
        assert_eq!(
            wish(Some(value), Some(value), now).filter(|_| !digits.starts_with('+')),
            None
        );
    }
    answer.is_some()
}

/// The link to the next page. A link that is accepted leads to the API's own origin and path, and
/// is the same after a crash, when it is read from the checkpoint.
pub fn next_link(link: &[u8]) -> bool {
    let link = String::from_utf8_lossy(link);
    let mut accepted = false;
    for index in 0..base_uris().len() {
        let base = base_uri(index);
        let body = serde_json::json!({ "nextPageUri": link }).to_string();
        match parsed(&Bytes::from(body), 1 << 20, &base) {
            Ok(page) => {
                let Some(next) = page.next() else {
                    assert!(link.is_empty(), "a link is followed or refused");
                    continue;
                };
                accepted = true;
                let next: NextPage = next.parse().expect("a link of a page reads back");
                assert_on_origin(&next, &base);
                // It leads where it says: no other origin was mistaken for ours.
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

pub(super) fn base_uri(index: usize) -> Url {
    base_uris().into_iter().nth(index).expect("one of them")
}

pub(super) fn assert_on_origin(link: &NextPage, base: &Url) {
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

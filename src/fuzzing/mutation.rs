//! Mutations of a corpus, as a strategy of `proptest`: it shrinks a failing input to few and small
//! edits.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Large inputs are slow to check, and depth has a test of its own.
const MAX_BYTES: usize = 8 * 1024;

/// Texts that have a meaning to one of the parsers.
#[rustfmt::skip] // one line for each kind
const TOKENS: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "null", "true", "{}", "[]", "\"\"",
    "\\", "\\u0000", "\\ud800", "\\u0022", "\\n", "\\/",
    "-1", "1e999", "-0.0", "0x1f", "100y", "off",
    "\u{feff}", "\0", "\n", "\r\n", "\t", "\x1b", " ", "é", "\u{202e}", "\u{1f600}",
    "/", "//", "../", "://", "@", "?", "#", "%2f", "%00", "file:", "s3://", "https://", "[::1]", "?password=",
    "'", "'''", "=", "---\n", ".",
    "9999-12-31T23:59:59Z", "-009999-01-02T01:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT",
];

/// Numbers at which counters and lengths break.
#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "0", "1", "2", "3600", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615",
    "9999999999999999999999999999999999999999",
];

/// An input. It is shown as a byte string, which can be put into the corpus.
#[derive(Clone)]
pub(super) struct Input(pub(super) Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A change of an input. A position is a fraction of its length.
#[derive(Debug, Clone)]
enum Edit {
    FlipBit(Index, u8),
    Cut(Index),
    /// The rest is that of another input, from there on.
    Splice(Index, Vec<u8>, Index),
    Replace(Index, usize, &'static str),
    Remove(Index, usize),
    /// A few bytes, doubled several times.
    Repeat(Index, usize, u32),
    /// The next number after this position.
    Number(Index, &'static str),
}

/// Inputs of the corpus, changed once to four times: usually once, since parsers accept little
/// after more.
pub(super) fn mutations(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let edits = prop_oneof![
        3 => vec(edit(corpus.clone()), 1),
        2 => vec(edit(corpus.clone()), 2),
        2 => vec(edit(corpus.clone()), 3..=4),
    ];
    (select(corpus), edits).prop_map(|(mut bytes, edits)| {
        for edit in edits {
            edit.apply(&mut bytes);
            bytes.truncate(MAX_BYTES);
        }
        Input(bytes)
    })
}

fn edit(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let length = || 0_usize..24;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::FlipBit(at, bit)),
        at().prop_map(Edit::Cut),
        (at(), select(corpus), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
        (at(), select(TOKENS)).prop_map(|(at, token)| Edit::Replace(at, 0, token)),
        (at(), length(), select(TOKENS)).prop_map(|(at, old, token)| Edit::Replace(at, old, token)),
        (at(), length()).prop_map(|(at, bytes)| Edit::Remove(at, bytes)),
        (at(), length(), 0..13_u32).prop_map(|(at, bytes, times)| Edit::Repeat(at, bytes, times)),
        (at(), select(NUMBERS)).prop_map(|(at, number)| Edit::Number(at, number)),
    ]
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let range = |at: Index, of: usize| {
            let from = at.index(length + 1);
            from..(from + of).min(length)
        };

        match self {
            Self::FlipBit(at, bit) => {
                if let Some(byte) = bytes.get_mut(at.index(length + 1)) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Cut(at) => bytes.truncate(at.index(length + 1)),
            Self::Splice(at, other, from) => {
                bytes.truncate(at.index(length + 1));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Replace(at, old, token) => drop(bytes.splice(range(at, old), token.bytes())),
            Self::Remove(at, of) => drop(bytes.drain(range(at, of))),
            Self::Repeat(at, of, times) => {
                let range = range(at, of);
                let chunk = bytes[range.clone()].repeat(1 << times);
                bytes.splice(range.start..range.start, chunk);
            }
            Self::Number(at, number) => {
                let from = at.index(length + 1);
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let begin = bytes[from..].iter().position(is_digit);
                let begin = begin.map_or(length, |offset| from + offset);
                let digits = bytes[begin..]
                    .iter()
                    .take_while(|byte| is_digit(byte))
                    .count();
                bytes.splice(begin..begin + digits, number.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn most_inputs_differ_from_the_corpus_and_none_is_too_large() {
        let corpus = vec![b"{\"a\": 17}".to_vec(), b"[1, 2, 3]".to_vec()];
        let strategy = mutations(corpus.clone());
        let mut runner = TestRunner::deterministic();
        let inputs: Vec<Input> = (0..500)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .collect();

        assert!(inputs.iter().all(|input| input.0.len() <= MAX_BYTES));
        let changed = inputs.iter().filter(|input| !corpus.contains(&input.0));
        assert!(changed.count() > 400);
    }
}

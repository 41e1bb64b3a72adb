//! Copies a file of users to a temporary file, in UTF-8 with a known line end.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};

use encoding_rs::{Decoder, DecoderResult};
use sha2::{Digest as _, Sha256};

/// The encoding that `--encoding` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding(&'static encoding_rs::Encoding);

impl std::str::FromStr for Encoding {
    type Err = &'static str;

    fn from_str(label: &str) -> Result<Self, &'static str> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .map(Self)
            .ok_or("not a known encoding; examples are utf-8, utf-16le, windows-1252, shift_jis")
    }
}

/// The copy of a file.
pub(super) struct Spool {
    pub(super) file: File,
    /// `\r` in a file that has no `\n`.
    pub(super) line_end: u8,
    /// SHA-256 of the file as it was given, in hex.
    pub(super) sha256: String,
}

/// Hashes what is read.
struct Hashing<'a> {
    from: &'a mut dyn Read,
    sha256: Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.sha256.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Copies `from` to its end. A byte-order mark decides, then `encoding`; without both the bytes stay as they are, and a
/// line that is not UTF-8 is a fault of its own.
pub(super) fn copy(from: &mut dyn Read, encoding: Option<Encoding>) -> io::Result<Spool> {
    let mut spooling = Spooling {
        file: tempfile::tempfile()?,
        has_lf: false,
        has_cr: false,
    };

    let mut hashing = Hashing {
        from,
        sha256: Sha256::new(),
    };
    let mut start = Vec::new();
    (&mut hashing).take(3).read_to_end(&mut start)?;
    let encoding = match start.as_slice() {
        [0xff, 0xfe, ..] => Some(encoding_rs::UTF_16LE),
        [0xfe, 0xff, ..] => Some(encoding_rs::UTF_16BE),
        [0xef, 0xbb, 0xbf] => None,
        [_, 0, ..] if encoding.is_none() => return Err(unmarked("utf-16le")),
        [0, ..] if encoding.is_none() => return Err(unmarked("utf-16be")),
        _ => encoding.map(|encoding| encoding.0),
    };

    let mut from = BufReader::new(start.as_slice().chain(&mut hashing));
    match encoding {
        None => loop {
            let chunk = from.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            spooling.write(chunk)?;
            let read = chunk.len();
            from.consume(read);
        },
        Some(encoding) => {
            decode(&mut from, encoding, &mut spooling)?;
        }
    }
    let sha256 = hex::encode(hashing.sha256.finalize());
    Ok(spooling.finish(sha256))
}

/// The byte-order mark is dropped.
fn decode(
    from: &mut dyn io::BufRead,
    encoding: &'static encoding_rs::Encoding,
    spooling: &mut Spooling,
) -> io::Result<()> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut text = vec![0; 32 * 1024];
    let mut before = 0_u64;
    loop {
        let chunk = from.fill_buf()?;
        let is_last = chunk.is_empty();
        let read = decode_chunk(&mut decoder, chunk, is_last, &mut text, spooling)
            .map_err(|(error, at)| error.unwrap_or_else(|| broken(encoding, before + at)))?;
        before += read as u64;
        from.consume(read);
        if is_last {
            return Ok(());
        }
    }
}

/// Returns the number of bytes that were read, which is all of `chunk`; or the place of bytes that are no text.
fn decode_chunk(
    decoder: &mut Decoder,
    chunk: &[u8],
    is_last: bool,
    text: &mut [u8],
    spooling: &mut Spooling,
) -> Result<usize, (Option<io::Error>, u64)> {
    let mut done = 0;
    loop {
        let rest = chunk.get(done..).unwrap_or_default();
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(rest, text, is_last);
        done += read;
        spooling
            .write(text.get(..written).unwrap_or_default())
            .map_err(|error| (Some(error), 0))?;
        match result {
            DecoderResult::InputEmpty => return Ok(done),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(_, _) => return Err((None, done as u64)),
        }
    }
}

fn unmarked(encoding: &str) -> io::Error {
    let text = format!(
        "it looks like UTF-16 without a byte-order mark; give --encoding {encoding}, or save it as UTF-8"
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn broken(encoding: &'static encoding_rs::Encoding, at: u64) -> io::Error {
    let text = format!(
        "it is not {}: byte {at} and those before it are no character; export it again, or give the right --encoding",
        encoding.name()
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

struct Spooling {
    file: File,
    has_lf: bool,
    has_cr: bool,
}

impl Spooling {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.has_lf |= chunk.contains(&b'\n');
        self.has_cr |= chunk.contains(&b'\r');
        self.file.write_all(chunk)
    }

    fn finish(self, sha256: String) -> Spool {
        let line_end = if self.has_cr && !self.has_lf {
            b'\r'
        } else {
            b'\n'
        };
        Spool {
            file: self.file,
            line_end,
            sha256,
        }
    }
}

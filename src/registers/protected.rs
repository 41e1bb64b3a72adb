//! The protected list: who is never touched. What is not understood stops the work, since a person may be meant.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey};

/// The largest list that is read.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// A list without entries protects nobody on purpose only if a line says so.
const NOBODY: &str = "# nobody";
/// A list that loses one entry in so many between two looks may be a file that is being written.
const LOST_ONE_IN: usize = 5;

/// Where the list is. It is read again at every look, so that a change counts from the next look on. Clones share
/// what was last seen.
#[derive(Clone)]
pub(crate) struct ProtectedSource {
    place: Place,
    last_seen: Arc<Mutex<Option<Arc<ProtectedList>>>>,
}

#[derive(Clone)]
enum Place {
    Nowhere,
    File(PathBuf),
    Object {
        store: Arc<dyn ArchiveStore>,
        key: ObjectKey,
    },
}

impl ProtectedSource {
    pub(crate) fn nobody() -> Self {
        Self::at(Place::Nowhere)
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        Self::at(Place::File(path))
    }

    /// An object in its bucket.
    pub(crate) fn object(store: Arc<dyn ArchiveStore>, key: ObjectKey) -> Self {
        Self::at(Place::Object { store, key })
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            last_seen: Arc::default(),
        }
    }

    /// Reads the list. One that cannot be read or understood, or that lost much since the last look, stops the
    /// work: nobody knows then who is protected.
    pub(crate) async fn load(&self) -> Result<Arc<ProtectedList>, Failure> {
        let (place, bytes) = match &self.place {
            Place::Nowhere => return Ok(Arc::default()),
            Place::File(path) => (path.display().to_string(), read_file(path.clone()).await),
            Place::Object { store, key } => {
                let read = store
                    .read(key, MAX_LIST_BYTES)
                    .await
                    .map_err(|failure| failure.to_string());
                let there = read
                    .and_then(|bytes| bytes.ok_or_else(|| "there is no such object".to_owned()));
                (store.full_key(key), there.map(Vec::from))
            }
        };
        let stop = |why: String| {
            let text = format!(
                "the protected list {place} cannot be used: {why}; nobody is touched until it can be: \
                 check OFFBOARDER_GUARD_PROTECTED"
            );
            Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
        };
        let text = bytes.and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| format!("it is not UTF-8 ({error}); save it as UTF-8"))
        });
        let list = Arc::new(ProtectedList::parse(&text.map_err(stop)?).map_err(stop)?);
        self.compare(&list).map_err(stop)?;
        Ok(list)
    }

    /// With what this process saw before; a process that starts takes the list as it is.
    fn compare(&self, list: &Arc<ProtectedList>) -> Result<(), String> {
        let mut last_seen = self.last_seen.lock();
        if let Some(last) = &*last_seen {
            let (missing, before) = (list.lost(last), last.len());
            // `# nobody` was written by a person.
            if missing > 0 && missing * LOST_ONE_IN >= before && !list.is_empty() {
                return Err(format!(
                    "{missing} of {before} entries are gone since the last look; write them again, or, if they are \
                     to go, remove fewer at a time or restart this process"
                ));
            }
        }
        *last_seen = Some(Arc::clone(list));
        Ok(())
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let read = tokio::task::spawn_blocking(move || read_regular(&path));
    read.await.map_err(|died| died.to_string())?
}

/// A pipe or a device may never end.
fn read_regular(path: &Path) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    if !std::fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(text)?;
    file.take(MAX_LIST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(text)?;
    if bytes.len() > MAX_LIST_BYTES {
        return Err(format!("it has more than {MAX_LIST_BYTES} bytes"));
    }
    Ok(bytes)
}

/// User IDs, and patterns of user names in which `*` stands for any text. Letters compare without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProtectedList {
    ids: HashSet<UserId>,
    patterns: Vec<String>,
}

impl ProtectedList {
    /// One entry a line: a user ID, or a pattern with `@` or `*`. Empty lines do not count, nor does what follows
    /// a `#` at the start of a line or after a blank. Anything else is a fault, since somebody meant a person.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        let mut list = Self::default();
        let mut says_nobody = false;
        for (index, line) in text.split(['\n', '\r']).enumerate() {
            says_nobody |= line.trim() == NOBODY;
            let entry = without_comment(line).trim();
            if entry.is_empty() {
                continue;
            }
            if let Ok(user_id) = entry.parse() {
                list.ids.insert(user_id);
            } else {
                let pattern = pattern(entry).map_err(|why| {
                    let start: String = entry.chars().take(60).collect();
                    format!("line {}, \"{}\", {why}", index + 1, start.escape_debug())
                })?;
                list.patterns.push(pattern);
            }
        }
        // A pattern that is there twice counts once when entries are lost.
        list.patterns.sort_unstable();
        list.patterns.dedup();
        if list.is_empty() && !says_nobody {
            return Err(format!(
                "it has no entries; write a line \"{NOBODY}\" if nobody is to be protected"
            ));
        }
        Ok(list)
    }

    /// For people: `12 IDs, 3 patterns`.
    pub(crate) fn counts(&self) -> String {
        let many = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        format!(
            "{}, {}",
            many(self.ids.len(), "ID"),
            many(self.patterns.len(), "pattern")
        )
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.ids.len() + self.patterns.len()
    }

    /// How many entries of `last` are in this list no more.
    fn lost(&self, last: &Self) -> usize {
        let patterns: HashSet<&String> = self.patterns.iter().collect();
        last.ids.difference(&self.ids).count()
            + last
                .patterns
                .iter()
                .filter(|pattern| !patterns.contains(pattern))
                .count()
    }

    /// Whether a judgement needs the user's name.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether the list names the user; patterns are not looked at.
    pub(crate) fn names(&self, user_id: UserId) -> bool {
        self.ids.contains(&user_id)
    }

    /// What protects this user, if anything does. A name that is missing where it is needed protects too.
    pub(crate) fn protects(&self, user_id: UserId, user_name: Option<&str>) -> Option<String> {
        if self.names(user_id) {
            return Some("the protected list names the user".to_owned());
        }
        if self.patterns.is_empty() {
            return None;
        }
        let Some(name) = user_name.map(str::to_lowercase) else {
            return Some(
                "the user has no name to compare with the patterns of the protected list"
                    .to_owned(),
            );
        };
        let matching = self.patterns.iter().find(|pattern| matches(pattern, &name));
        matching.map(|pattern| {
            format!("the pattern {pattern} of the protected list covers the user's name")
        })
    }
}

/// A `#` in the middle of a word may be part of a name, and stays; the entry is refused for it.
fn without_comment(line: &str) -> &str {
    let starts = |at: usize| {
        line.get(..at)
            .is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    };
    let comment = line
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| starts(*at));
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// A pattern in lower case, or why the entry is none. What a user name hardly holds is refused: quotation marks,
/// separators of columns, blanks and invisible characters would make a pattern that matches nobody.
fn pattern(entry: &str) -> Result<String, String> {
    let is_odd = |c: char| {
        !c.is_alphanumeric() && !c.is_ascii_punctuation()
            || matches!(
                c,
                '"' | '`' | ',' | ';' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '='
            )
    };
    if let Some(odd) = entry.chars().find(|c| is_odd(*c)) {
        return Err(format!(
            "holds {}; give a user ID, or a pattern of user names (* stands for any text)",
            if odd.is_whitespace() {
                "a blank".to_owned()
            } else {
                format!("\"{}\"", odd.escape_debug())
            }
        ));
    }
    if entry.contains('#') {
        return Err(
            "holds a #; put a blank before a comment, and * for a # in a user name".to_owned(),
        );
    }
    if entry.starts_with('\'') || entry.ends_with('\'') {
        return Err("is in quotation marks; remove them".to_owned());
    }
    if !entry.contains(['@', '*']) {
        return Err(
            "is neither a user ID (a UUID) nor a pattern with @ or *; correct it".to_owned(),
        );
    }
    let digits = entry.chars().filter(char::is_ascii_hexdigit).count();
    if digits >= 8
        && entry
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | '*'))
    {
        return Err(
            "is part of a user ID, and patterns are compared with user names; give the whole ID"
                .to_owned(),
        );
    }
    Ok(entry.to_lowercase())
}

/// `*` stands for any text; nothing else is special. Each `*` takes as little as it can, so that this is
/// linear in the name for each piece.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = name.find(piece) else {
            return false;
        };
        name = name.get(at + piece.len()..).unwrap_or_default();
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn list(text: &str) -> ProtectedList {
        ProtectedList::parse(text).unwrap()
    }

    #[test]
    fn ids_and_patterns_protect_whatever_their_case() {
        let user_id: UserId = ID.parse().unwrap();
        let other: UserId = "00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let by_id = list(&format!(
            "\u{feff}# the board\n\n  {}\t# Ada # Lovelace\n",
            ID.to_uppercase()
        ));
        assert!(by_id.protects(user_id, None).is_some());
        assert_eq!(by_id.protects(other, None), None);
        assert!(!by_id.has_patterns());
        let by_name = list("svc-*@example.com\n*ADMIN*\nada@example.com");
        for name in [
            "SVC-backup@example.com",
            "svc-@example.com",
            "x.Administrator@y",
            "Ada@Example.com",
        ] {
            assert!(by_name.protects(other, Some(name)).is_some(), "{name}");
        }
        for name in [
            "svc-backup@example.org",
            "asvc-x@example.com",
            "ada@example.com.evil",
            "adm in@x",
            "",
        ] {
            assert_eq!(by_name.protects(other, Some(name)), None, "{name}");
        }
        assert!(
            by_name.protects(other, None).is_some(),
            "a name that is missing protects"
        );
    }

    #[test]
    fn a_piece_is_not_used_twice() {
        assert!(matches("a*a", "aa"));
        assert!(!matches("a*a", "a"));
        assert!(matches("a*b*c", "a1b2b3c"));
        assert!(!matches("a*b*c", "a1c"));
        assert!(matches("*", ""));
    }

    #[test]
    fn what_is_no_entry_stops_the_work_with_its_line() {
        for bad in [
            ID.replace('1', "l"),
            ID[..35].to_owned(),
            ID.replace('-', ""),
            format!("{{{ID}}}"),
            format!("\"{ID}\""),
            format!("'{ID}'"),
            format!("{ID},Ada"),
            format!("{ID};Ada"),
            format!("{ID}\tAda"),
            format!("{ID} Ada"),
            format!("{ID}#Ada"),
            format!("{ID}\u{200b}"),
            format!("\u{feff}{ID}"),
            format!("urn:uuid:{ID}"),
            format!("{ID}*"),
            format!("*{}*", &ID[..8]),
            "ada".to_owned(),
            "\"ada@example.com\"".to_owned(),
            "'ada@example.com'".to_owned(),
            "ada@example.com,Ada".to_owned(),
            "ada@example.com#Ada".to_owned(),
            "ada_example.com#EXT#@example.org".to_owned(),
            "Ada <ada@example.com>".to_owned(),
            "ada@example.com\u{200d}".to_owned(),
            "a\u{301}da@example.com".to_owned(),
            "a\0d\0a\0@\0".to_owned(),
        ] {
            let fault = ProtectedList::parse(&format!("# list\r\nada@example.com\r{bad}\nx@y"))
                .unwrap_err();
            assert!(fault.starts_with("line 3, "), "{bad}: {fault}");
            assert!(
                !fault.contains(['\u{200b}', '\u{200d}', '\u{feff}', '\0', '\t']),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn an_empty_list_says_so_or_stops_the_work() {
        for empty in [
            "",
            "\u{feff}",
            "\n\n",
            "# the board\n",
            "#nobody",
            "# nobody else",
            "nobody @ # nobody",
        ] {
            assert!(ProtectedList::parse(empty).is_err(), "{empty:?}");
        }
        assert_eq!(list("\u{feff}# nobody\r\n").counts(), "0 IDs, 0 patterns");
        let mixed = list(&format!(
            "{ID}\r{}\r\n*@example.com # all\r# nobody",
            ID.replace('3', "4")
        ));
        assert_eq!(mixed.counts(), "2 IDs, 1 pattern");
    }

    #[tokio::test]
    async fn a_list_that_lost_a_fifth_stops_the_work_until_it_is_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = ProtectedSource::file(file.path().to_owned());
        let entries: Vec<String> = (0..10)
            .map(|number| format!("user-{number}@example.com"))
            .collect();
        let write = |entries: &[String]| std::fs::write(file.path(), entries.join("\n")).unwrap();
        write(&entries);
        assert_eq!(source.load().await.unwrap().counts(), "0 IDs, 10 patterns");
        let others: Vec<String> = entries
            .iter()
            .map(|entry| format!("other-{entry}"))
            .collect();
        for few in [&entries[..8], &entries[..1], &others] {
            write(few);
            let failure = source.clone().load().await.unwrap_err();
            assert_eq!(
                (failure.class, failure.code),
                (Class::Systemic, Code::SettingsUnreadable)
            );
            assert!(
                failure.text.contains("of 10 entries are gone"),
                "{}",
                failure.text
            );
        }
        write(&entries[..9]);
        assert!(source.load().await.is_ok(), "one of ten may go");
        write(&entries[..1]);
        assert!(source.load().await.is_err());
        assert!(
            ProtectedSource::file(file.path().to_owned())
                .load()
                .await
                .is_ok(),
            "a new process takes it"
        );
        std::fs::write(file.path(), NOBODY).unwrap();
        assert!(
            source.load().await.is_ok(),
            "somebody wrote that nobody is meant"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_cut_anywhere_is_refused_or_lost_nobody_unseen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let whole = (0..6)
            .map(|number| ID.replace('3', &number.to_string()) + "\n")
            .collect::<String>();
        for cut in 0..whole.trim_end().len() {
            std::fs::write(file.path(), &whole).unwrap();
            let source = ProtectedSource::file(file.path().to_owned());
            source.load().await.unwrap();
            std::fs::write(file.path(), &whole[..cut]).unwrap();
            // Only one of six, cut at its line, is less than a fifth.
            let is_at_line = cut == 5 * 37 || cut == 5 * 37 - 1;
            assert_eq!(source.load().await.is_ok(), is_at_line, "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_no_regular_file_or_too_large_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let failure = ProtectedSource::file(directory.path().to_owned())
            .load()
            .await
            .unwrap_err();
        assert!(
            failure.text.contains("not a regular file"),
            "{}",
            failure.text
        );
        let path = directory.path().join("large");
        assert!(
            ProtectedSource::file(path.clone()).load().await.is_err(),
            "there is none"
        );
        std::fs::File::create(&path)
            .unwrap()
            .set_len(MAX_LIST_BYTES as u64 + 1)
            .unwrap();
        let failure = ProtectedSource::file(path).load().await.unwrap_err();
        assert!(failure.text.contains("more than"), "{}", failure.text);
    }
}

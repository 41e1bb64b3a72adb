//! The protected list: who is never touched.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey};

/// The largest list that is read.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// Where the list is. It is read anew at every look, so that a change counts from the next look on.
#[derive(Clone)]
pub enum ProtectedSource {
    /// There is none.
    Nobody,
    /// A file.
    File(PathBuf),
    /// An object.
    Object {
        /// Its bucket.
        store: Arc<dyn ArchiveStore>,
        /// Its name there.
        key: ObjectKey,
    },
}

impl ProtectedSource {
    /// Reads the list. One that cannot be read or understood stops the work: nobody knows then who is
    /// protected.
    pub async fn load(&self) -> Result<ProtectedList, Failure> {
        let (place, bytes) = match self {
            Self::Nobody => return Ok(ProtectedList::default()),
            Self::File(path) => (path.display().to_string(), read_file(path.clone()).await),
            Self::Object { store, key } => {
                let read = store.read(key, MAX_LIST_BYTES).await.map_err(|failure| failure.to_string());
                let there = read.and_then(|bytes| bytes.ok_or_else(|| "there is no such object".to_owned()));
                (store.full_key(key), there.map(Vec::from))
            }
        };
        let stop = |why: String| {
            let text = format!(
                "the protected list {place} cannot be read ({why}); nobody is touched before it can: check OFFBOARDER_GUARD_PROTECTED"
            );
            Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
        };
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        ProtectedList::parse(&text.map_err(stop)?).map_err(stop)
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let read = tokio::task::spawn_blocking(move || match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > MAX_LIST_BYTES as u64 => {
            Err(format!("{} bytes, over {MAX_LIST_BYTES}", metadata.len()))
        }
        Ok(_) | Err(_) => std::fs::read(&path).map_err(|error| error.to_string()),
    });
    read.await.map_err(|died| died.to_string())?
}

/// User IDs, and patterns of user names in which `*` stands for any text. Letters compare without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProtectedList {
    ids: HashSet<UserId>,
    patterns: Vec<String>,
}

impl ProtectedList {
    /// One ID or pattern a line; empty lines and what follows a `#` do not count. What looks like an ID and
    /// is none is a fault, since somebody meant to protect a person by it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            if let Ok(user_id) = entry.parse() {
                list.ids.insert(user_id);
            } else if looks_like_an_id(entry) {
                return Err(format!("line {} is nearly a user ID, and is none", index + 1));
            } else {
                list.patterns.push(entry.to_lowercase());
            }
        }
        Ok(list)
    }

    /// Whether a judgement needs the user's name.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether the list names the user; patterns are not looked at.
    pub fn names(&self, user_id: UserId) -> bool {
        self.ids.contains(&user_id)
    }

    /// What protects this user, if anything does. A name that is missing where it is needed protects too.
    pub fn protects(&self, user_id: UserId, user_name: Option<&str>) -> Option<String> {
        if self.names(user_id) {
            return Some("the protected list names the user".to_owned());
        }
        if self.patterns.is_empty() {
            return None;
        }
        let Some(name) = user_name.map(str::to_lowercase) else {
            return Some(
                "the user has no name to compare with the patterns of the protected list".to_owned(),
            );
        };
        let matching = self.patterns.iter().find(|pattern| matches(pattern, &name));
        matching.map(|pattern| format!("the pattern {pattern} of the protected list covers the user's name"))
    }
}

/// Hex digits and hyphens alone, and many of them.
fn looks_like_an_id(entry: &str) -> bool {
    entry.len() >= 30 && entry.chars().all(|one| one.is_ascii_hexdigit() || one == '-')
}

/// `*` stands for any text; nothing else is special. Each `*` takes as little as it can, so that this is
/// linear in the name for each piece.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = name.find(piece) else { return false };
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
        let by_id = list(&format!("\u{feff}# the board\n\n  {}  # Ada\n", ID.to_uppercase()));
        assert!(by_id.protects(user_id, None).is_some());
        assert_eq!(by_id.protects(other, None), None);
        assert!(!by_id.has_patterns());
        let by_name = list("svc-*@example.com\n*ADMIN*\nada@example.com");
        for name in ["SVC-backup@example.com", "svc-@example.com", "x.Administrator@y", "Ada@Example.com"] {
            assert!(by_name.protects(other, Some(name)).is_some(), "{name}");
        }
        for name in ["svc-backup@example.org", "asvc-x@example.com", "ada@example.com.evil", "adm in@x", ""] {
            assert_eq!(by_name.protects(other, Some(name)), None, "{name}");
        }
        assert!(by_name.protects(other, None).is_some(), "a name that is missing protects");
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
    fn an_id_with_a_typing_error_is_a_fault_with_its_line() {
        let fault = ProtectedList::parse(&format!("ada@example.com\n{}\n", &ID[..35])).unwrap_err();
        assert!(fault.contains("line 2"), "{fault}");
    }
}

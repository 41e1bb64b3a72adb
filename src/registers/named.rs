//! Objects that are named by the SHA-256 of what is stored, and what a worker keeps of them in memory.

use std::collections::VecDeque;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::failure::{Class, Failure};
use crate::integrity::{Purpose, without_code};
use crate::ports::{ArchiveStore, ObjectKey};

/// One kind of such objects.
#[derive(Clone, Copy)]
pub(super) struct NamedObjects {
    /// What keys begin with, before the name.
    pub prefix: &'static str,
    pub purpose: Purpose,
    /// The largest object that is read.
    pub max_bytes: usize,
}

/// Why an object does not count; the text continues after its key.
pub(super) struct NotNamed(pub String);

impl NamedObjects {
    pub(super) fn key(&self, name: &impl Display) -> ObjectKey {
        ObjectKey(format!("{}{name}.json", self.prefix))
    }

    /// The name in a key; `None` for the key of another object.
    pub(super) fn name<N: FromStr>(&self, key: &ObjectKey) -> Option<N> {
        let name = key.as_str().strip_prefix(self.prefix)?;
        name.strip_suffix(".json")?.parse().ok()
    }

    /// Stores this body, which is a JSON object, and answers with its name.
    pub(super) async fn store<N: Display + FromStr<Err = &'static str>>(
        &self,
        store: &dyn ArchiveStore,
        body: Vec<u8>,
    ) -> Result<N, Failure> {
        let name: N = digest(&body)
            .parse()
            .map_err(|why| Failure::internal("cannot name an object", why))?;
        let key = self.key(&name);
        let body = store.integrity().sign(self.purpose, key.as_str(), body);
        // If it is there already, it is ours: the answer to the first try was lost.
        store.put_once(&key, Bytes::from(body), None).await?;
        Ok(name)
    }

    /// Reads an object, which has to be what its name says.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        store: &dyn ArchiveStore,
        name: &impl Display,
    ) -> Result<Result<T, NotNamed>, Failure> {
        let refused = |why: &str| Ok(Err(NotNamed(why.to_owned())));
        let key = self.key(name);
        let stored = match store.read(&key, self.max_bytes).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return refused("which is not there"),
            // We write no such object. An error here would stop all other users, too.
            Err(failure) if failure.class == Class::Defect => return refused("which is too large"),
            Err(failure) => return Err(failure),
        };
        if digest(&without_code(&stored)) != name.to_string() {
            return refused("which was changed since");
        }
        let opened = store.integrity().open(self.purpose, key.as_str(), &stored);
        Ok(opened.map_err(|untrusted| NotNamed(format!("but {untrusted}"))))
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What was asked for in the last time, by name.
pub(super) struct Recent<N, T> {
    /// The one that was asked for last comes first.
    kept: Mutex<VecDeque<(N, Arc<T>)>>,
    most: usize,
}

impl<N: Clone + PartialEq, T: Default> Recent<N, T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most,
        }
    }

    pub(super) fn get(&self, name: &N) -> Arc<T> {
        let mut kept = self.kept.lock();
        let place = kept.iter().position(|(known, _)| known == name);
        let found = place.and_then(|place| kept.remove(place));
        let (name, one) = found.unwrap_or_else(|| (name.clone(), Arc::default()));
        kept.push_front((name, Arc::clone(&one)));
        kept.truncate(self.most);
        one
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.lock().len()
    }
}

//! The names of one payload, and their set, to detect repeated names.
//!
//! A few names are compared one by one without allocating. Above that a keyed hash set takes over,
//! so that the time for a payload full of names is proportional to its length.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

/// A text of the payload, borrowed unless it contains escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Number of names above which the hash set is used. Most payloads have fewer private names.
const FEW: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct Names<'de> {
    few: [Cow<'de, str>; FEW],
    count: usize,
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> Names<'de> {
    /// Records `name`. Returns false if it was already present.
    pub(crate) fn insert(&mut self, name: Cow<'de, str>) -> bool {
        if self.few.iter().take(self.count).any(|seen| *seen == name) {
            return false;
        }
        match self.few.get_mut(self.count) {
            Some(free) => {
                *free = name;
                self.count += 1;
                true
            }
            None => self.many.get_or_insert_default().insert(name),
        }
    }
}

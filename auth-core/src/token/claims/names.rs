//! The names seen so far in one payload, to find one that comes twice.
//!
//! A handful of names is compared one by one without allocating. Beyond that a keyed hash set
//! takes over, so that a payload full of names costs time in proportion to its length.

use std::borrow::Cow;
use std::collections::HashSet;

/// Most payloads have fewer names of the app's own than this.
const FEW: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct Names<'de> {
    few: [Cow<'de, str>; FEW],
    count: usize,
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> Names<'de> {
    /// Notes `name`; false if it was there already.
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

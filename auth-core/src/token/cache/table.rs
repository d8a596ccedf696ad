//! A bounded map from token to value with lock-free reads.
//!
//! 1. The seeded hash of a token selects a window of [`WINDOW`] neighboring slots. The token is in
//!    one of them or nowhere.
//! 2. The tag of a slot only filters. The bytes of the token decide: tag and entry are written one
//!    after the other, and a reader that sees one without the other merely misses the token.
//! 3. A new token takes a free slot, else it displaces an entry that was not used since the last
//!    search for a victim (second chance). The search reads no entries: they are spread over memory
//!    that is in no processor cache. Expired entries are no longer used, so they are displaced.
//! 4. If the bytes exceed the limit, a clock hand passes over the slots and removes entries by the
//!    same rule.
//!
//! The hash covers the end of a token, its signature: an attacker cannot choose that for a token
//! that verifies, and only verified tokens are inserted. The hash is keyed SipHash, so colliding
//! slots cannot be searched for either. An early end of a comparison reveals nothing without the
//! end of the token.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use zeroize::Zeroizing;

/// Number of slots in which a token may be.
const WINDOW: usize = 8;

/// Number of hashed characters at the end of a token: 192 bits.
const HASHED: usize = 32;

/// The tag bit for recent use, which is not part of the hash.
const USED: u64 = 1;

/// Approximate overhead of an entry in bytes, without token and value.
const OVERHEAD: usize = 256;

pub(crate) struct Table<V> {
    slots: Box<[Slot<V>]>,
    seed: RandomState,
    len: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
    hand: AtomicUsize,
}

struct Slot<V> {
    /// The hash of the entry's token and the bit [`USED`]. Without a hash the slot is free.
    tag: AtomicU64,
    entry: ArcSwapOption<Entry<V>>,
}

struct Entry<V> {
    /// A credential: zeroized.
    token: Zeroizing<Box<str>>,
    value: V,
}

impl<V> Slot<V> {
    fn holds(&self, token: &str) -> bool {
        let entry = self.entry.load();
        entry.as_ref().is_some_and(|entry| **entry.token == *token)
    }

    /// Clears the bit [`USED`], and returns whether it was set.
    fn forget_use(&self) -> bool {
        self.tag.fetch_and(!USED, Ordering::Relaxed) & USED != 0
    }
}

impl<V> Entry<V> {
    fn weight(&self) -> usize {
        weight(&self.token)
    }
}

/// The weight of a token in bytes. The parsed value takes about as much memory as the token.
fn weight(token: &str) -> usize {
    token.len().saturating_mul(2).saturating_add(OVERHEAD)
}

impl<V> Table<V> {
    /// Creates a table for at most `tokens` tokens (at least one) and `max_bytes` bytes.
    pub(crate) fn new(tokens: usize, max_bytes: usize) -> Self {
        let slot = || Slot {
            tag: AtomicU64::new(0),
            entry: ArcSwapOption::empty(),
        };
        Self {
            slots: std::iter::repeat_with(slot).take(tokens.max(1)).collect(),
            seed: RandomState::new(),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_bytes,
            hand: AtomicUsize::new(0),
        }
    }

    /// Applies `read` to the value of `token`, if there is one.
    pub(crate) fn find<R>(&self, token: &str, read: impl FnOnce(&V) -> Option<R>) -> Option<R> {
        let tag = self.tag(token);
        for slot in self.window(tag, 0) {
            let seen = slot.tag.load(Ordering::Acquire);
            if seen & !USED != tag {
                continue;
            }
            if let Some(entry) = &*slot.entry.load()
                && **entry.token == *token
            {
                if seen & USED == 0 {
                    slot.tag.fetch_or(USED, Ordering::Relaxed);
                }
                return read(&entry.value);
            }
        }
        None
    }

    /// Inserts `token`.
    pub(crate) fn insert(&self, token: &str, value: V) {
        if weight(token) > self.max_bytes {
            return;
        }
        let tag = self.tag(token);
        let Some(slot) = self.place(tag, token) else {
            return;
        };
        let entry = Entry {
            token: Zeroizing::new(token.into()),
            value,
        };
        self.put(slot, Some(Arc::new(entry)));
        slot.tag.store(tag, Ordering::Release);
        if self.bytes() > self.max_bytes {
            self.shrink();
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Total weight of the entries, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Selects the slot for a new entry.
    fn place(&self, tag: u64, token: &str) -> Option<&Slot<V>> {
        let turn = self.hand.fetch_add(1, Ordering::Relaxed);
        let mut free = None;
        let mut unused = None;
        for slot in self.window(tag, turn) {
            let seen = slot.tag.load(Ordering::Acquire);
            if seen & !USED == 0 {
                free = free.or(Some(slot));
            } else if seen & !USED == tag && slot.holds(token) {
                return Some(slot);
            } else if unused.is_none() && !slot.forget_use() {
                unused = Some(slot);
            }
        }
        // Every entry was used: clear the marks now, and displace the first entry of this turn.
        free.or(unused).or_else(|| self.window(tag, turn).next())
    }

    /// Removes unused entries until the bytes are within the limit. Takes at most two rounds: after
    /// the first, only entries used in the meantime are marked.
    fn shrink(&self) {
        for _ in 0..self.slots.len().saturating_mul(2) {
            let turn = self.hand.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = self.slots.get(turn % self.slots.len()) else {
                return;
            };
            if !slot.forget_use() {
                slot.tag.store(0, Ordering::Release);
                self.put(slot, None);
            }
            if self.bytes() <= self.max_bytes {
                return;
            }
        }
    }

    /// Replaces the entry of a slot. The thread that takes an entry out subtracts its weight, once.
    fn put(&self, slot: &Slot<V>, entry: Option<Arc<Entry<V>>>) {
        if let Some(entry) = &entry {
            self.len.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(entry.weight(), Ordering::Relaxed);
        }
        if let Some(before) = slot.entry.swap(entry) {
            self.len.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(before.weight(), Ordering::Relaxed);
        }
    }

    /// The slots for this tag, each once, starting with slot `turn`.
    fn window(&self, tag: u64, turn: usize) -> impl Iterator<Item = &Slot<V>> {
        let len = self.slots.len();
        // The upper half of the product spreads the tag's bits evenly over any length.
        let start = (u128::from(tag) * (len as u128)) >> 64;
        let start = usize::try_from(start).unwrap_or(0);
        let width = WINDOW.min(len);
        let mut step = if turn == 0 { 0 } else { turn % width };
        (0..width).filter_map(move |_| {
            let index = start + step;
            step = if step + 1 < width { step + 1 } else { 0 };
            self.slots
                .get(if index < len { index } else { index - len })
        })
    }

    /// The tag of a token. Never that of a free slot.
    fn tag(&self, token: &str) -> u64 {
        let bytes = token.as_bytes();
        let end = bytes.len().saturating_sub(HASHED);
        let mut hasher = self.seed.build_hasher();
        hasher.write(bytes.get(end..).unwrap_or_default());
        (hasher.finish() & !USED).max(USED << 1)
    }
}

impl<V> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(table: &Table<u32>, token: &str) -> Option<u32> {
        table.find(token, |value| Some(*value))
    }

    fn put(table: &Table<u32>, token: &str, value: u32) {
        table.insert(token, value);
    }

    /// Tokens that differ where nothing is hashed, so that they share their window and their tag.
    fn siblings(count: usize) -> Vec<String> {
        (0..count)
            .map(|n| format!("{n:03}.{}", "s".repeat(HASHED)))
            .collect()
    }

    #[test]
    fn the_whole_token_is_compared_where_all_that_is_hashed_is_the_same() {
        let table = Table::new(100, 1 << 20);
        let tokens = siblings(3);
        put(&table, &tokens[0], 0);
        put(&table, &tokens[1], 1);
        assert_eq!(held(&table, &tokens[0]), Some(0));
        assert_eq!(held(&table, &tokens[1]), Some(1));
        assert_eq!(held(&table, &tokens[2]), None);
        assert_eq!(held(&table, &tokens[0][1..]), None);
        assert_eq!(held(&table, &format!("{}s", tokens[0])), None);
    }

    #[test]
    fn it_never_holds_more_tokens_than_it_may() {
        for tokens in [1, 2, 7, 8, 9, 100] {
            let table = Table::new(tokens, 1 << 20);
            for n in 0..1000 {
                put(&table, &format!("token {n}"), n);
                assert!(table.len() <= tokens);
            }
            assert_eq!(held(&table, "token 999"), Some(999));
        }
    }

    #[test]
    fn it_never_holds_more_bytes_than_it_may_and_counts_them_right() {
        let most = 10 * weight(&"x".repeat(100));
        let table = Table::new(1000, most);
        for n in 0_u32..500 {
            let token = format!("{n:0>width$}", width = 1 + (n as usize * 37) % 200);
            put(&table, &token, n);
            assert!(table.bytes() <= most, "after {n}");
        }
        assert!(table.len() >= 5);
        let left = (0..table.slots.len()).filter_map(|n| table.slots[n].entry.load_full());
        let (count, bytes) = left.fold((0, 0), |(count, bytes), entry| {
            (count + 1, bytes + entry.weight())
        });
        assert_eq!((table.len(), table.bytes()), (count, bytes));
    }

    #[test]
    fn a_token_too_large_for_all_the_room_there_is_is_left_out() {
        let table = Table::new(10, weight("small"));
        put(&table, "small", 1);
        put(&table, "much larger", 2);
        assert_eq!(held(&table, "small"), Some(1));
        assert_eq!(held(&table, "much larger"), None);
    }

    #[test]
    fn the_same_token_again_takes_its_own_place() {
        let table = Table::new(100, 1 << 20);
        for n in 0..10 {
            put(&table, "token", n);
        }
        assert_eq!((table.len(), held(&table, "token")), (1, Some(9)));
    }

    #[test]
    fn one_that_is_used_outlives_many_that_are_not() {
        let table = Table::new(WINDOW, 1 << 20);
        let tokens = siblings(200);
        put(&table, &tokens[0], 0);
        for (n, token) in tokens.iter().enumerate().skip(1) {
            assert_eq!(held(&table, &tokens[0]), Some(0), "before {n}");
            put(&table, token, 1);
        }
    }

    #[test]
    fn two_tables_of_one_process_hash_differently() {
        let (one, other) = (Table::<()>::new(1, 1), Table::<()>::new(1, 1));
        assert_ne!(one.tag("token"), other.tag("token"));
    }

    #[test]
    fn debug_shows_no_token() {
        let table = Table::new(1, 1 << 20);
        put(&table, "marked", 1);
        assert!(!format!("{table:?}").contains("marked"));
    }

    #[test]
    fn what_readers_find_while_others_write_is_right() {
        let table = Table::new(64, 1 << 20);
        let tokens: Vec<String> = (0..200).map(|n| format!("token {n}")).collect();
        std::thread::scope(|scope| {
            for start in 0..2 {
                let (table, tokens) = (&table, &tokens);
                scope.spawn(move || {
                    for round in 0..50 {
                        for n in 0..200_u32 {
                            let n = (n * 7 + start + round) % 200;
                            let token = &tokens[n as usize];
                            match held(table, token) {
                                Some(found) => assert_eq!(found, n),
                                None => put(table, token, n),
                            }
                        }
                    }
                });
            }
        });
        assert!(table.len() <= 64);
    }
}

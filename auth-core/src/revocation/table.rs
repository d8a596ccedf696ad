//! An insert-only table of 128-bit keys with lock-free reads.
//!
//! 1. A slot is published by its first key word, stored last with `Release`; a reader that sees it
//!    (`Acquire`) sees the rest of the slot.
//! 2. There is one writer at a time, behind a lock that no reader takes. Writers only fill empty
//!    slots or raise the numbers of a filled one; a slot never changes its key.
//! 3. Growing and sweeping build a new table and swap it in. Readers of the old table miss at most
//!    entries that are added after their lookup started.
//!
//! Keys are uniformly distributed (digests, or hashes under a random seed), so a key's own bits
//! choose its slot.

use std::sync::atomic::{AtomicU64, Ordering};

/// A key; never zero in its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key128(u64, u64);

impl Key128 {
    pub(super) fn new(high: u64, low: u64) -> Self {
        // Zero marks an empty slot. Of 2^64 first words two become equal; the second word still
        // distinguishes their keys.
        Self(high.max(1), low)
    }
}

/// The numbers of a key. Both only ever rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListEntry {
    /// Milliseconds since the Unix epoch.
    pub(super) until: u64,
    /// Lowest accepted version; 0 in tables without versions.
    pub(super) floor: u64,
}

#[derive(Debug, Default)]
struct ListSlot {
    high: AtomicU64,
    low: AtomicU64,
    until: AtomicU64,
}

/// The table. Filled to at most 0.7; a larger one has half as many slots again: between 34 and 52
/// bytes per entry without floors.
#[derive(Debug)]
pub(super) struct ListTable {
    slots: Box<[ListSlot]>,
    /// Lowest accepted versions, one per slot, or empty.
    floors: Box<[AtomicU64]>,
    len: usize,
}

const FIRST_SLOTS: usize = 64;

impl ListTable {
    pub(super) fn new(with_floors: bool) -> Self {
        Self::with_slots(FIRST_SLOTS, with_floors)
    }

    fn with_slots(slots: usize, with_floors: bool) -> Self {
        let floors = if with_floors { slots } else { 0 };
        Self {
            slots: std::iter::repeat_with(ListSlot::default)
                .take(slots)
                .collect(),
            floors: std::iter::repeat_with(AtomicU64::default)
                .take(floors)
                .collect(),
            len: slots,
        }
    }

    /// Whether another entry would make probing slow.
    pub(super) fn is_full(&self, entries: usize) -> bool {
        entries.saturating_mul(10) >= self.len.saturating_mul(7)
    }

    pub(super) fn get(&self, key: Key128) -> Option<ListEntry> {
        for index in self.probe(key) {
            let slot = self.slots.get(index)?;
            match slot.high.load(Ordering::Acquire) {
                0 => return None,
                high if high == key.0 && slot.low.load(Ordering::Relaxed) == key.1 => {
                    return Some(self.entry(index, slot));
                }
                _ => {}
            }
        }
        None
    }

    fn entry(&self, index: usize, slot: &ListSlot) -> ListEntry {
        let floor = self
            .floors
            .get(index)
            .map_or(0, |floor| floor.load(Ordering::Acquire));
        ListEntry {
            until: slot.until.load(Ordering::Acquire),
            floor,
        }
    }

    /// Adds or raises an entry. Returns whether the key is new. Call it under the writers' lock,
    /// and not when the table is [full](Self::is_full).
    pub(super) fn put(&self, key: Key128, entry: ListEntry) -> bool {
        for index in self.probe(key) {
            let Some(slot) = self.slots.get(index) else {
                return false;
            };
            let high = slot.high.load(Ordering::Acquire);
            let is_ours = high == key.0 && slot.low.load(Ordering::Relaxed) == key.1;
            if high != 0 && !is_ours {
                continue;
            }
            if let Some(floor) = self.floors.get(index) {
                floor.fetch_max(entry.floor, Ordering::AcqRel);
            }
            slot.until.fetch_max(entry.until, Ordering::AcqRel);
            if !is_ours {
                slot.low.store(key.1, Ordering::Relaxed);
                slot.high.store(key.0, Ordering::Release);
            }
            return !is_ours;
        }
        false
    }

    /// A table with the entries in force at `now` and room for more, and the number of its entries.
    pub(super) fn swept(&self, now: u64) -> (Self, usize) {
        let live = self.iter().filter(|(_, entry)| entry.until > now);
        let count = live.clone().count();
        let mut slots = FIRST_SLOTS;
        while count.saturating_mul(10) >= slots.saturating_mul(6) {
            slots = slots.saturating_add(slots / 2);
        }
        let table = Self::with_slots(slots, !self.floors.is_empty());
        for (key, entry) in live {
            table.put(key, entry);
        }
        (table, count)
    }

    fn iter(&self) -> impl Iterator<Item = (Key128, ListEntry)> + Clone + '_ {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let high = slot.high.load(Ordering::Acquire);
            let low = slot.low.load(Ordering::Relaxed);
            (high != 0).then(|| (Key128(high, low), self.entry(index, slot)))
        })
    }

    /// Every slot once, starting with the key's own.
    fn probe(&self, key: Key128) -> impl Iterator<Item = usize> + use<> {
        let len = self.len;
        // The upper half of a 128-bit product spreads the key's bits evenly over any length.
        let start = (u128::from(key.0) * (len as u128)) >> 64;
        let start = usize::try_from(start).unwrap_or(0);
        (start..len).chain(0..start)
    }
}

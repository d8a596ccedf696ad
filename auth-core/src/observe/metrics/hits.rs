//! Counting what happens millions of times a second.
//!
//! 1. Each thread adds to one of a few counters, each in a cache line of its own: threads share one
//!    only by chance, and then nothing but that addition.
//! 2. Of 64 additions the last one hands all of them on.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observe::metrics::CACHE_HITS;
use crate::observe::metrics::record::add;

const STRIPES: usize = 16;
/// So many are handed on at a time; a power of two.
const LOT: u64 = 64;

#[repr(align(128))]
#[derive(Default)]
struct Stripe(AtomicU64);

/// Hits that were not handed on yet, among others.
#[derive(Default)]
pub(crate) struct Hits([Stripe; STRIPES]);

impl Hits {
    /// One more.
    pub(crate) fn count(&self) {
        let Some(Stripe(stripe)) = self.0.get(own_stripe()) else {
            return;
        };
        let before = stripe.fetch_add(1, Ordering::Relaxed);
        if before % LOT == LOT - 1 {
            add(&CACHE_HITS, [], LOT);
        }
    }
}

/// Where a thread keeps its locals tells it from others.
fn own_stripe() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    let address = MARK.with(|mark| std::ptr::from_ref(mark).addr());
    // Threads' locals are pages apart: fold the bits above a page.
    (address >> 12 ^ address >> 16 ^ address >> 20) % STRIPES
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hits").finish_non_exhaustive()
    }
}

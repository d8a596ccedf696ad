//! The counter of cache hits, for millions of hits per second.
//!
//! 1. Each thread adds to one of a few counters, each in its own cache line. Two threads share a
//!    counter only by chance, and then contend for that one addition.
//! 2. Every 64th addition passes 64 hits on to the metric.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observe::metrics::CACHE_HITS;
use crate::observe::metrics::record::add;

const STRIPES: usize = 16;
/// Number of hits passed on at a time; a power of two.
const LOT: u64 = 64;

#[repr(align(128))]
#[derive(Default)]
struct Stripe(AtomicU64);

/// Striped hit counters, with the hits that are not passed on yet.
#[derive(Default)]
pub(crate) struct Hits([Stripe; STRIPES]);

impl Hits {
    /// Counts one hit.
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

/// The stripe of this thread, from the address of its thread-local storage.
fn own_stripe() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    let address = MARK.with(|mark| std::ptr::from_ref(mark).addr());
    // Thread-local storage of two threads is pages apart: fold the bits above a page.
    (address >> 12 ^ address >> 16 ^ address >> 20) % STRIPES
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hits").finish_non_exhaustive()
    }
}

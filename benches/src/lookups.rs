//! The table of the token cache beside quick_cache: lookups on one to eight threads.
//!
//! Both hash the last 32 characters of a token with SipHash and compare the whole token. Both keep
//! ten thousand tokens, bounded by the same estimate of bytes, and hand out clones of an `Arc`.

use std::fmt;
use std::hash::{Hash, Hasher, RandomState};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};
use zeroize::Zeroizing;

use crate::clock::CpuTime;
use crate::harness::{Effort, Random, median};
use crate::more::table::Table;
use crate::world::World;

const TOKENS: usize = 10_000;
const BYTES: usize = TOKENS * 2048;
const CALLS: usize = 40_000;

/// Lookups of one hot token, of ten thousand, and of ten thousand with a new one in a hundred.
pub fn lookups(effort: Effort, world: &World) {
    println!("\n### Lookups in the cache: our table beside quick_cache\n");
    println!(
        "| tokens | threads | ours: M/s | ns | % found | quick_cache: M/s | ns | % found | ratio of M/s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let tokens = world.tokens(TOKENS + 4_000);
    let (known, fresh) = tokens.split_at(TOKENS);
    for (name, known, fresh) in [
        ("1", &known[..1], &[][..]),
        ("10,000", known, &[][..]),
        ("10,000, 1 % new", known, fresh),
    ] {
        for threads in [1, 2, 4, 8] {
            let (mut ours, mut quick) = (Vec::new(), Vec::new());
            for round in 0..effort.rounds {
                let own = Table::new(TOKENS, BYTES);
                let other = quick_cache();
                for token in known {
                    Kept::put(&own, token);
                    Kept::put(&other, token);
                }
                let work = Work {
                    known,
                    fresh,
                    round,
                };
                if round % 2 == 0 {
                    ours.push(work.measure(&own, threads));
                    quick.push(work.measure(&other, threads));
                } else {
                    quick.push(work.measure(&other, threads));
                    ours.push(work.measure(&own, threads));
                }
            }
            let (ours, quick) = (Figure::of(&ours), Figure::of(&quick));
            println!(
                "| {name} | {threads} | {ours} | {quick} | {:.2} |",
                ours.millions / quick.millions
            );
        }
    }
}

/// What both can do.
trait Kept: Sync {
    fn get(&self, token: &str) -> Option<Arc<u64>>;
    fn put(&self, token: &str);
}

impl Kept for Table<Arc<u64>> {
    fn get(&self, token: &str) -> Option<Arc<u64>> {
        self.find(token, |value| Some(Arc::clone(value)))
    }

    fn put(&self, token: &str) {
        self.insert(token, Arc::new(7));
    }
}

type Quick = Cache<Key, Arc<u64>, ByLength, RandomState>;

impl Kept for Quick {
    fn get(&self, token: &str) -> Option<Arc<u64>> {
        Cache::get(self, &Asked(token))
    }

    fn put(&self, token: &str) {
        Cache::insert(self, Key(Zeroizing::new(token.into())), Arc::new(7));
    }
}

fn quick_cache() -> Quick {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(TOKENS)
        .weight_capacity(BYTES as u64)
        .build()
        .expect("both are given");
    Cache::with_options(
        options,
        ByLength,
        RandomState::new(),
        DefaultLifecycle::default(),
    )
}

#[derive(Clone, PartialEq, Eq)]
struct Key(Zeroizing<Box<str>>);

struct Asked<'t>(&'t str);

fn hash_end<H: Hasher>(token: &str, state: &mut H) {
    let bytes = token.as_bytes();
    state.write(&bytes[bytes.len().saturating_sub(32)..]);
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(&self.0, state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(self.0, state);
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == **key.0
    }
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Arc<u64>> for ByLength {
    fn weight(&self, key: &Key, _: &Arc<u64>) -> u64 {
        // At least an equal share of the room, so that there are at most as many tokens.
        (key.0.len() as u64 * 2 + 256).max(2048)
    }
}

struct Work<'t> {
    known: &'t [String],
    /// Asked for instead of every hundredth known one, if there are any.
    fresh: &'t [String],
    round: usize,
}

/// What came of one measurement.
struct Taken {
    calls: usize,
    found: usize,
    /// From the common start to the last end.
    wall: Duration,
    /// Processor time of all threads.
    cpu: Duration,
}

impl Work<'_> {
    fn measure(&self, kept: &impl Kept, threads: usize) -> Taken {
        let barrier = Barrier::new(threads + 1);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|thread| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let order = self.order(thread);
                        barrier.wait();
                        let begin = CpuTime::now();
                        let found = order.into_iter().filter(|token| visit(kept, token)).count();
                        (found, begin.elapsed())
                    })
                })
                .collect();
            barrier.wait();
            let begin = Instant::now();
            let ended = running.into_iter().map(|thread| thread.join());
            let ended: Vec<_> = ended.map(|taken| taken.expect("no panic")).collect();
            Taken {
                calls: threads * CALLS,
                found: ended.iter().map(|(found, _)| found).sum(),
                wall: begin.elapsed(),
                cpu: ended.iter().map(|(_, cpu)| *cpu).sum(),
            }
        })
    }

    /// The tokens of the requests that a thread answers.
    fn order(&self, thread: usize) -> Vec<&str> {
        let mut random = Random::new((self.round * 8 + thread + 1) as u64);
        (0..CALLS)
            .map(|call| match self.fresh {
                [_, ..] if call % 100 == 0 => {
                    &*self.fresh[(call / 100 + thread * 400) % self.fresh.len()]
                }
                _ => &*self.known[random.below(self.known.len())],
            })
            .collect()
    }
}

/// A request: a token that is not found is verified, and inserted.
fn visit(kept: &impl Kept, token: &str) -> bool {
    let found = std::hint::black_box(kept.get(token)).is_some();
    if !found {
        kept.put(token);
    }
    found
}

struct Figure {
    millions: f64,
    nanos: f64,
    found: f64,
}

impl Figure {
    fn of(rounds: &[Taken]) -> Self {
        let each = |figure: &dyn Fn(&Taken) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            millions: each(&|it| it.calls as f64 / it.wall.as_secs_f64() / 1e6),
            nanos: each(&|it| it.cpu.as_nanos() as f64 / it.calls as f64),
            found: each(&|it| it.found as f64 / it.calls as f64 * 100.0),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} | {:.0} | {:.1}",
            self.millions, self.nanos, self.found
        )
    }
}

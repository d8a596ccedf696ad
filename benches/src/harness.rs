//! Contenders take turns, in an order shuffled every round, so that a change of the machine's speed
//! hits all of them. What a contender adds is the median, over the rounds, of its time less the
//! time of its baseline in the same round.

use std::time::Duration;

use allocation_counter::measure;

use crate::clock::CpuTime;

/// So many times, how long did it take? Preparations do not count.
pub type Run = Box<dyn FnMut(usize) -> Duration>;

pub struct Contender {
    pub name: String,
    /// Whose time is taken off; its own index for a baseline.
    pub baseline: usize,
    pub run: Run,
}

/// A table of contenders.
#[derive(Default)]
pub struct Table {
    title: String,
    contenders: Vec<Contender>,
}

/// What came of one of them, in nanoseconds per call.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: String,
    pub total: f64,
    pub added: f64,
    /// Quartiles of what it adds.
    pub spread: (f64, f64),
    pub allocations: f64,
}

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub batch: Duration,
}

impl Table {
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            contenders: Vec::new(),
        }
    }

    /// Something to take off from others; its number.
    pub fn baseline(&mut self, name: impl Into<String>, run: Run) -> usize {
        let index = self.contenders.len();
        self.against(index, name, run);
        index
    }

    pub fn against(&mut self, baseline: usize, name: impl Into<String>, run: Run) {
        self.contenders.push(Contender {
            name: name.into(),
            baseline,
            run,
        });
    }

    /// Runs contender `name` so often, for a profiler.
    pub fn repeat(&mut self, name: &str, calls: usize) -> bool {
        match self.contenders.iter_mut().find(|one| one.name == name) {
            Some(one) => {
                (one.run)(calls);
                true
            }
            None => false,
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(|one| one.name.as_str())
    }

    pub fn measure(&mut self, effort: Effort) -> Vec<Figure> {
        let calls: Vec<usize> = self
            .contenders
            .iter_mut()
            .map(|one| calls_for(&mut one.run, effort.batch))
            .collect();
        let mut times = vec![Vec::with_capacity(effort.rounds); self.contenders.len()];
        let mut order: Vec<usize> = (0..self.contenders.len()).collect();
        let mut random = Random::new(0x9E37_79B9);
        for _ in 0..effort.rounds {
            random.shuffle(&mut order);
            for &index in &order {
                let taken = (self.contenders[index].run)(calls[index]);
                times[index].push(taken.as_nanos() as f64 / calls[index] as f64);
            }
        }
        let mut figures = Vec::new();
        for index in 0..self.contenders.len() {
            let one = &mut self.contenders[index];
            let base = &times[one.baseline];
            let added = times[index].iter().zip(base).map(|(own, base)| own - base);
            let added = sorted(added.collect());
            figures.push(Figure {
                name: one.name.clone(),
                total: quantile(&sorted(times[index].clone()), 0.5),
                added: quantile(&added, 0.5),
                spread: (quantile(&added, 0.25), quantile(&added, 0.75)),
                allocations: allocations(&mut one.run),
            });
        }
        for index in 0..figures.len() {
            let base = self.contenders[index].baseline;
            if base != index {
                figures[index].allocations -= figures[base].allocations;
            }
        }
        print(&self.title, &figures);
        figures
    }
}

/// Prints a table in Markdown.
fn print(title: &str, figures: &[Figure]) {
    println!("\n### {title}\n");
    println!("| | ns in all | ns added | quartiles of added | allocations added |");
    println!("|---|---:|---:|---:|---:|");
    for figure in figures {
        let (low, high) = figure.spread;
        println!(
            "| {} | {:.0} | {:.0} | {low:.0} – {high:.0} | {:.1} |",
            figure.name, figure.total, figure.added, figure.allocations
        );
    }
}

pub fn added(figures: &[Figure], name: &str) -> Option<f64> {
    let found = figures.iter().find(|figure| figure.name == name);
    found.map(|figure| figure.added)
}

/// One line of the comparison with a target.
pub fn target(what: &str, ratio: Option<f64>, limit: f64, stretch: Option<f64>) {
    let Some(ratio) = ratio else {
        println!("| {what} | not measured | | |");
        return;
    };
    let verdict = if stretch.is_some_and(|stretch| ratio <= stretch) {
        "stretch met"
    } else if ratio <= limit {
        "met"
    } else {
        "missed"
    };
    println!("| {what} | {ratio:.3} | {limit:.3} | {verdict} |");
}

fn calls_for(run: &mut Run, batch: Duration) -> usize {
    let mut calls = 16;
    loop {
        let taken = run(calls);
        if taken * 2 >= batch || calls >= 1 << 16 {
            let wanted = batch.as_nanos() as f64 / taken.as_nanos().max(1) as f64;
            return ((calls as f64 * wanted) as usize).clamp(8, 1 << 15);
        }
        calls *= 2;
    }
}

/// The difference of two runs is that of their calls: preparations of both are alike.
fn allocations(run: &mut Run) -> f64 {
    let mut count = |calls| {
        measure(|| {
            run(calls);
        })
        .count_total as f64
    };
    let (few, many) = (count(64), count(192));
    (many - few) / 128.0
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

pub fn median(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * at).round() as usize;
    sorted[index]
}

/// So many requests are made at a time: few enough to be in the processor's caches when they are
/// used, as what a server has just read from a socket is.
const GROUP: usize = 32;

/// Prepares `calls` inputs, a few at a time, and times what `call` does with them.
pub fn timed<I>(
    calls: usize,
    mut prepare: impl FnMut() -> I,
    mut call: impl FnMut(I) -> bool,
) -> Duration {
    let mut inputs = Vec::with_capacity(GROUP);
    let mut taken = Duration::ZERO;
    let (mut good, mut left) = (0, calls);
    while left > 0 {
        let group = left.min(GROUP);
        inputs.extend((0..group).map(|_| prepare()));
        let begin = CpuTime::now();
        for input in inputs.drain(..) {
            good += usize::from(call(input));
        }
        taken += begin.elapsed();
        left -= group;
    }
    assert_eq!(good, calls, "every call must succeed");
    taken
}

/// Enough for shuffling and choosing.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last + 1));
        }
    }
}

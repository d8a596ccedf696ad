//! The life of a line of keys, as pure functions over the entries and the time.
//!
//! 1. A line is sorted by the time at which each key starts to sign. The last key whose time has
//!    come signs; those before it are retiring, those after it are published.
//! 2. All those times are in the document, so nodes switch without coordination. Only two changes
//!    need a write: publishing the next key and removing a key that is gone.
//! 3. The next key is published only while the last one signs. A node with a wrong clock cannot
//!    accumulate keys, and a key starts to sign one lead after the write, however late that is.
//! 4. A key is removed when the one after it has signed for the longest retirement time in all nodes'
//!    configurations.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::opaque::opaque_debug;
use crate::keys::rotation::document::KeyEntry;
use crate::keys::rotation::schedule::Timing;

/// The state of a key in its life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// The key verifies and does not sign yet.
    Published,
    /// The key signs and verifies.
    Signing,
    /// The key verifies the tokens that it has signed, until the last one has expired.
    Retiring,
    /// The key is no longer used.
    Gone,
}

/// A new key, before it is published.
#[derive(Clone)]
pub(crate) struct NewKey {
    pub(crate) id: Box<str>,
    pub(crate) material: Zeroizing<Vec<u8>>,
}

opaque_debug!(NewKey);

impl NewKey {
    fn into_entry(self, timing: &Timing, now: Timestamp, signs_from: Timestamp) -> KeyEntry {
        KeyEntry {
            id: self.id,
            published_at: now,
            signs_from,
            keep: timing.retiring,
            material: self.material,
        }
    }
}

/// The state of the entry at `index`.
pub(crate) fn state(line: &[KeyEntry], index: usize, timing: &Timing, now: Timestamp) -> KeyState {
    if gone_at(line, index, timing).is_some_and(|gone| gone <= now) {
        return KeyState::Gone;
    }
    match signing(line, now) {
        Some(signing) if index < signing => KeyState::Retiring,
        Some(signing) if index > signing => KeyState::Published,
        _ => KeyState::Signing,
    }
}

/// The index of the signing entry: the last whose time has come, or the first if none has, as on a
/// node whose clock is behind.
pub(crate) fn signing(line: &[KeyEntry], now: Timestamp) -> Option<usize> {
    line.iter()
        .rposition(|entry| entry.signs_from <= now)
        .or(if line.is_empty() { None } else { Some(0) })
}

/// The time at which an entry's last token has expired everywhere. `None` without a next key.
fn gone_at(line: &[KeyEntry], index: usize, timing: &Timing) -> Option<Timestamp> {
    let (entry, next) = (line.get(index)?, line.get(index.checked_add(1)?)?);
    Some(
        next.signs_from
            .saturating_add(entry.keep.max(timing.retiring)),
    )
}

/// The time at which the next key is to be published.
fn publish_at(line: &[KeyEntry], timing: &Timing) -> Option<Timestamp> {
    let last = line.last()?;
    let due = last
        .signs_from
        .saturating_add(timing.period.saturating_sub(timing.lead));
    Some(due.max(last.signs_from))
}

/// The line as it should be now. `None` if it is up to date.
///
/// `make` generates the next key of a line; `retire` removes the parts of a retiring key that only
/// signing needs, if there are any.
pub(crate) fn next<E>(
    line: &[KeyEntry],
    timing: &Timing,
    now: Timestamp,
    make: impl FnOnce(&[KeyEntry]) -> Result<NewKey, E>,
    retire: impl Fn(&KeyEntry) -> Option<Zeroizing<Vec<u8>>>,
) -> Result<Option<Vec<KeyEntry>>, E> {
    let mut next: Vec<KeyEntry> = line
        .iter()
        .enumerate()
        .filter(|(index, _)| state(line, *index, timing, now) != KeyState::Gone)
        .map(|(_, entry)| entry.clone())
        .collect();
    for entry in &mut next {
        entry.keep = entry.keep.max(timing.retiring);
    }
    for index in settled(&next, timing.margin, now) {
        if let Some(entry) = next.get_mut(index)
            && let Some(material) = retire(entry)
        {
            entry.material = material;
        }
    }
    let signs_from = match publish_at(&next, timing) {
        None => Some(now),
        Some(due) => (due <= now).then(|| now.saturating_add(timing.lead)),
    };
    if let Some(signs_from) = signs_from {
        next.push(make(&next)?.into_entry(timing, now, signs_from));
    }
    Ok((next != line).then_some(next))
}

/// Starts a new line, with one key that signs at once.
pub(crate) fn anew(key: NewKey, timing: &Timing, now: Timestamp) -> Vec<KeyEntry> {
    vec![key.into_entry(timing, now, now)]
}

/// The entries with which no node signs anymore, even with a late clock.
fn settled(line: &[KeyEntry], margin: Duration, now: Timestamp) -> std::ops::Range<usize> {
    let signing = line
        .iter()
        .rposition(|entry| entry.signs_from.saturating_add(margin) <= now);
    0..signing.unwrap_or(0)
}

/// The first time after `now` at which the line changes or should be changed.
pub(crate) fn due(line: &[KeyEntry], timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let signs = line.iter().map(|entry| entry.signs_from);
    let gone = (0..line.len()).filter_map(|index| gone_at(line, index, timing));
    signs
        .chain(gone)
        .chain(publish_at(line, timing))
        .filter(|moment| *moment > now)
        .min()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn at(offset: u64) -> Timestamp {
        NOW.saturating_add(secs(offset))
    }

    fn timing() -> Timing {
        Timing {
            lead: secs(100),
            period: secs(1000),
            retiring: secs(60),
            margin: secs(10),
        }
    }

    fn step(line: &[KeyEntry], now: Timestamp) -> Option<Vec<KeyEntry>> {
        let make = |line: &[KeyEntry]| {
            let last = line.last().map_or(0, |entry| entry.id.parse().unwrap());
            Ok::<_, Infallible>(NewKey {
                id: (last + 1).to_string().into(),
                material: Zeroizing::new(b"secret".to_vec()),
            })
        };
        let retire = |entry: &KeyEntry| {
            (*entry.material != b"public").then(|| Zeroizing::new(b"public".to_vec()))
        };
        next(line, &timing(), now, make, retire).unwrap()
    }

    fn states(line: &[KeyEntry], now: Timestamp) -> Vec<(&str, KeyState)> {
        line.iter()
            .enumerate()
            .map(|(index, entry)| (&*entry.id, state(line, index, &timing(), now)))
            .collect()
    }

    #[test]
    fn f09_a_key_is_published_signs_retires_and_goes() {
        use KeyState::{Gone, Published, Retiring, Signing};
        let line = step(&[], NOW).unwrap();
        assert_eq!(states(&line, NOW), [("1", Signing)]);
        assert_eq!(step(&line, at(899)), None);

        let line = step(&line, at(900)).unwrap();
        assert_eq!(states(&line, at(900)), [("1", Signing), ("2", Published)]);
        assert_eq!(step(&line, at(999)), None);
        assert_eq!(states(&line, at(999)), [("1", Signing), ("2", Published)]);
        assert_eq!(states(&line, at(1000)), [("1", Retiring), ("2", Signing)]);
        assert_eq!(states(&line, at(1059)), [("1", Retiring), ("2", Signing)]);
        assert_eq!(states(&line, at(1060)), [("1", Gone), ("2", Signing)]);

        let line = step(&line, at(1060)).unwrap();
        assert_eq!(states(&line, at(1060)), [("2", Signing)]);
        assert_eq!(step(&line, at(1899)), None);
        assert!(step(&line, at(1900)).is_some());
    }

    #[test]
    fn f09_a_late_successor_is_still_published_a_whole_lead_before_it_signs() {
        let line = step(&[], NOW).unwrap();
        let line = step(&line, at(50_000)).unwrap();
        assert_eq!(line[1].signs_from, at(50_100));
        assert_eq!(signing(&line, at(50_099)), Some(0));
    }

    #[test]
    fn a_retiring_key_loses_its_private_half_once_no_node_signs_with_it() {
        let line = step(&[], NOW).unwrap();
        let line = step(&line, at(900)).unwrap();
        assert_eq!(step(&line, at(1009)), None);
        let line = step(&line, at(1010)).unwrap();
        assert_eq!(*line[0].material, b"public");
        assert_eq!(*line[1].material, b"secret");
    }

    #[test]
    fn a_node_with_longer_tokens_keeps_keys_longer_on_all_nodes() {
        let line = step(&[], NOW).unwrap();
        let line = step(&line, at(900)).unwrap();
        let longer = Timing {
            retiring: secs(500),
            ..timing()
        };
        let nothing = |_: &[KeyEntry]| -> Result<NewKey, ()> { Err(()) };
        let line = next(&line, &longer, at(1000), nothing, |_| None)
            .unwrap()
            .unwrap();
        assert_eq!(states(&line, at(1499))[0].1, KeyState::Retiring);
        assert_eq!(states(&line, at(1500))[0].1, KeyState::Gone);
    }

    #[test]
    fn a_clock_far_behind_or_ahead_never_publishes_twice() {
        let line = step(&[], NOW).unwrap();
        let line = step(&line, at(900)).unwrap();
        let behind = NOW.saturating_sub(secs(1_000_000));
        assert_eq!(step(&line, behind), None);
        assert_eq!(states(&line, behind)[0].1, KeyState::Signing);
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(step(&line, end).unwrap().len(), 2);
    }

    #[test]
    fn the_next_moment_is_the_first_of_all_changes() {
        let line = step(&[], NOW).unwrap();
        assert_eq!(due(&line, &timing(), NOW), Some(at(900)));
        let line = step(&line, at(900)).unwrap();
        assert_eq!(due(&line, &timing(), at(900)), Some(at(1000)));
        assert_eq!(due(&line, &timing(), at(1000)), Some(at(1060)));
        assert_eq!(due(&line, &timing(), at(1060)), Some(at(1900)));
    }
}

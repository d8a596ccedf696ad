//! Edit scripts: bytes that say how to change a text, so that inputs begin near to good ones.

/// Applies the edits that `script` spells, four bytes each, to `base`.
pub(crate) fn edited(base: &[u8], script: &[u8]) -> Vec<u8> {
    let mut text = base.to_vec();
    for edit in script.chunks_exact(4) {
        let &[what, high, low, byte] = edit else {
            continue;
        };
        let place = usize::from(u16::from_be_bytes([high, low]));
        apply(&mut text, base, (what, place, byte));
    }
    text
}

fn apply(text: &mut Vec<u8>, base: &[u8], (what, place, byte): (u8, usize, u8)) {
    let length = text.len();
    if length == 0 {
        text.push(byte);
        return;
    }
    let at = place % length;
    match what % 12 {
        0 => text[at] = byte,
        1 => text[at] ^= 1 << (byte % 8),
        2 => {
            text.remove(at);
        }
        3 => text.insert(at, byte),
        4 => text.push(byte),
        5 => text.truncate(at),
        6 => text.swap(at, (at + usize::from(byte)) % length),
        // What looks alike to a careless reader.
        7 => text[at] = text[at].swap_case(),
        8 => text.insert(at, b".=/+-_ \t"[usize::from(byte % 8)]),
        9 => {
            let end = length.min(at + usize::from(byte));
            text.drain(at..end);
        }
        10 => {
            let end = length.min(at + usize::from(byte % 64));
            let copy = text[at..end].to_vec();
            text.splice(at..at, copy);
        }
        _ => swap_segments(text, base, place, byte),
    }
    text.truncate(64 * 1024);
}

/// Puts a segment of the original in the place of another one.
fn swap_segments(text: &mut Vec<u8>, base: &[u8], from: usize, to: u8) {
    let split = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'.')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (mut parts, source) = (split(text), split(base));
    let to = usize::from(to) % parts.len();
    parts[to].clone_from(&source[from % source.len()]);
    *text = parts.join(&b'.');
}

trait SwapCase {
    fn swap_case(self) -> Self;
}

impl SwapCase for u8 {
    fn swap_case(self) -> Self {
        if self.is_ascii_alphabetic() {
            self ^ 0x20
        } else {
            self
        }
    }
}

/// Scripts to begin with: nothing, one edit of each kind, and two.
pub(crate) fn scripts() -> Vec<Vec<u8>> {
    let mut scripts = vec![Vec::new()];
    for what in 0..12 {
        scripts.push(vec![what, 0, 70, b'A']);
        scripts.push(vec![what, 1, 9, 1, what, 0, 2, b'.']);
    }
    scripts
}

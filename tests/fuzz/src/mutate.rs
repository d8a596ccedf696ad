//! A small mutator that knows the shapes of what it changes: tokens, JSON, field lines.

/// What readers have stumbled over, here and elsewhere.
const WORDS: [&[u8]; 64] = [
    b"Bearer ",
    b"bearer",
    b"\t",
    b" ",
    b"  ",
    b"\"",
    b"\\",
    b"\\u0065",
    b"\\u0000",
    b"\\ud800",
    b",",
    b":",
    b";",
    b"=",
    b"==",
    b".",
    b"..",
    b"\0",
    b"\r\n",
    b"\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3\xa9",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b"1e3",
    b"1.5",
    b"9223372036854775807",
    b"18446744073709551616",
    b"1800000600",
    b"\"exp\":",
    b"\"iss\":",
    b"\"aud\":",
    b"\"sub\":",
    b"\"nbf\":",
    b"\"alg\":",
    b"\"kid\":",
    b"\"crit\":",
    b"\"use\":\"enc\"",
    b"\"key_ops\":[]",
    b"\"keys\":",
    b"\"kty\":\"oct\"",
    b"\"d\":\"AA\"",
    b"none",
    b"HS256",
    b"RS256",
    b"at+jwt",
    b"application/",
    b"__Host-",
    b"__Host-Http-at=",
    b"rt1_",
    b"Domain=",
    b"; Secure",
    b"Max-Age=",
    b"%00",
    b"../",
];

/// Draws inputs: seeds, changed a little. The same number draws the same inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    /// Changes of these seeds.
    #[must_use]
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        assert!(!corpus.is_empty(), "there is something to begin with");
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            corpus,
        }
    }

    /// The next number below `bound`: xorshift64*.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        // No reader here looks at more, but for the one that is to refuse it by its length.
        input.truncate(70 * 1024);
        input
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus[at].clone()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(10) {
            0 | 1 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                let end = input.len().min(at + word.len());
                input.splice(at..end, word.iter().copied());
            }
            3 => {
                let (bit, last) = (self.below(8), input.len().saturating_sub(1));
                if let Some(byte) = input.get_mut(at.min(last)) {
                    *byte ^= 1 << bit;
                }
            }
            4 => {
                let byte = self.byte();
                input.insert(at, byte);
            }
            5 => {
                let length = 1 + self.below(8);
                let end = input.len().min(at + length);
                input.drain(at..end);
            }
            6 => input.truncate(at),
            7 => {
                // Once more, or very often.
                let end = input.len().min(at + 1 + self.below(64));
                let times = if self.below(40) == 0 { 1000 } else { 1 };
                let copy = input[at..end].repeat(times);
                input.splice(at..at, copy);
            }
            8 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let end = other.len().min(from + self.below(200));
                input.splice(at..at, other[from..end].iter().copied());
            }
            _ => self.change_value(input),
        }
    }

    /// Puts one JSON value, or what stands between two separators, in the place of another.
    fn change_value(&mut self, input: &mut Vec<u8>) {
        let is_separator = |byte: &u8| b",:;={}[]\n.& ".contains(byte);
        let borders: Vec<usize> = (0..input.len())
            .filter(|at| is_separator(&input[*at]))
            .collect();
        if borders.len() < 3 {
            let byte = self.byte();
            input.push(byte);
            return;
        }
        let from = self.below(borders.len() - 1);
        let to = self.below(borders.len() - 1);
        let value = input[borders[from] + 1..borders[from + 1]].to_vec();
        input.splice(borders[to] + 1..borders[to + 1], value);
    }
}

//! A compressed text that expands to a very long one.
//!
//! gzip (RFC 1952) around one deflate block with the fixed codes (RFC 1951 §3.2.6): the text as
//! literals, then a space that is repeated.

/// Maximum length of a repetition in one code.
const RUN: usize = 258;

/// Compresses `text` and `spaces` spaces after it with gzip. The text must be ASCII.
pub(super) fn gzip(text: &str, spaces: usize) -> Vec<u8> {
    let runs = spaces.saturating_sub(1) / RUN;
    let spaces = runs * RUN + 1;
    let mut bits = Bits(vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF], 0);
    // The last block, with the fixed codes.
    bits.push(0b110, 3);
    for byte in text.bytes().chain([b' ']) {
        bits.push(0x30 + u32::from(byte), 8);
    }
    for _ in 0..runs {
        // Length 258, then distance 1.
        bits.push(0b1100_0101, 8);
        bits.push(0, 5);
    }
    // The end of the block.
    bits.push(0, 7);
    let mut gzip = bits.0;
    let padding = std::iter::repeat_n(b' ', spaces);
    gzip.extend_from_slice(&crc32(text.bytes().chain(padding)).to_le_bytes());
    let length = u32::try_from(text.len() + spaces).unwrap_or_default();
    gzip.extend_from_slice(&length.to_le_bytes());
    gzip
}

/// Bytes, and the number of used bits in the last one.
struct Bits(Vec<u8>, u32);

impl Bits {
    /// Appends a code. Codes are written from their highest bit, bytes are filled from their lowest
    /// (RFC 1951 §3.1.1).
    fn push(&mut self, code: u32, length: u32) {
        for bit in (0..length).rev() {
            if self.1 == 0 {
                self.0.push(0);
            }
            if let Some(last) = self.0.last_mut()
                && code >> bit & 1 == 1
            {
                *last |= 1 << self.1;
            }
            self.1 = (self.1 + 1) % 8;
        }
    }
}

/// The CRC of RFC 1952 §8, computed half a byte at a time.
fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    let table: [u32; 16] = std::array::from_fn(|index| {
        (0..4).fold(u32::try_from(index).unwrap_or_default(), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))
        })
    });
    let step = |crc: u32, nibble: u32| {
        let entry = table.get(((crc ^ nibble) & 15) as usize);
        (crc >> 4) ^ entry.copied().unwrap_or_default()
    };
    !bytes.fold(!0, |crc, byte| {
        step(step(crc, u32::from(byte)), u32::from(byte) >> 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_any_compressor_would_write() {
        assert_eq!(crc32(b"123456789".iter().copied()), 0xCBF4_3926);
        // The output of zlib for `a` and 259 spaces with the fixed codes.
        let expected = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 0x4B, 0x54, 0x18, 0x05, 0x00, 0xAF, 0xDA, 0x19,
            0xE7, 0x04, 0x01, 0x00, 0x00,
        ];
        assert_eq!(gzip("a", 259), expected);
    }

    #[test]
    fn a_few_dozen_kilobytes_stand_for_megabytes() {
        let length = gzip("{}", 5 * 1024 * 1024).len();
        assert!((20_000..60_000).contains(&length), "{length}");
    }
}

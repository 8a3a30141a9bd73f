//! A split-block Bloom filter: eight bits per key, all in one block of 32 bytes, so that a lookup costs one cache miss.

use super::Key;

/// Bits per key: about 1 in 100 absent keys is a false positive.
const BITS_PER_KEY: usize = 10;
/// Bytes per block: eight words of 32 bits, with one bit per word set for a key.
const BLOCK: usize = 32;
/// Odd multipliers that spread the same 32 bits differently in each word (those of Parquet's filter).
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Answers "definitely not" or "maybe".
#[derive(Debug)]
pub(super) struct Filter {
    bytes: Vec<u8>,
}

impl Filter {
    pub(super) fn of(keys: impl ExactSizeIterator<Item = Key>) -> Filter {
        let blocks = (keys.len() * BITS_PER_KEY).div_ceil(BLOCK * 8).max(1);
        let mut filter = Filter { bytes: vec![0; blocks * BLOCK] };
        for key in keys {
            for (byte, bit) in places(key, blocks) {
                filter.bytes[byte] |= bit;
            }
        }
        filter
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Filter> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK)).then_some(Filter { bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn may_contain(&self, key: Key) -> bool {
        places(key, self.bytes.len() / BLOCK).all(|(byte, bit)| self.bytes[byte] & bit != 0)
    }
}

/// Bytes and bits of a key.
fn places(key: Key, blocks: usize) -> impl Iterator<Item = (usize, u8)> {
    let block = (((key.0 >> 64) * blocks as u128) >> 64) as usize;
    let low = key.0 as u32;
    SALT.iter().enumerate().map(move |(word, salt)| {
        let bit = low.wrapping_mul(*salt) >> 27;
        (block * BLOCK + word * 4 + bit as usize / 8, 1 << (bit % 8))
    })
}

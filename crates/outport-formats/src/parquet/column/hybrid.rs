//! Small numbers as runs and bit-packed groups: Parquet's RLE/bit-packing hybrid, of levels and dictionary keys.

/// A run shorter than this is packed with its neighbours.
const SHORTEST_RUN: usize = 16;

/// The bits that the numbers below `count` need; at least one, as some readers know no width of zero.
pub(super) fn width(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    bits.max(1) as u8
}

/// Appends numbers that have at most `width` bits.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let mut packed = 0;
    let mut at = 0;
    // Packed groups have eight numbers, so runs can only start at a multiple of eight after the last run.
    while at < values.len() {
        let first = values[at];
        let length = values[at..].iter().take_while(|value| **value == first).count();
        if length >= SHORTEST_RUN {
            pack(&values[packed..at], width, out);
            run(first, length, width, out);
            at += length;
            packed = at;
        } else {
            at = (at + 8).min(values.len());
        }
    }
    pack(&values[packed..], width, out);
}

/// Appends one number `count` times.
pub(super) fn run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
}

/// Appends groups of eight; the last is filled up with zeros.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * usize::from(width);
    bits(values.iter().map(|value| u64::from(*value)), width, out);
    out.resize(end, 0);
}

/// Appends numbers of `width` bits, at most 32, the lowest bits first.
#[inline]
pub(super) fn bits(values: impl Iterator<Item = u64>, width: u8, out: &mut Vec<u8>) {
    let mut word = 0u64;
    let mut filled = 0u32;
    for value in values {
        word |= value << filled;
        filled += u32::from(width);
        if filled >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Appends an unsigned number in groups of seven bits.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

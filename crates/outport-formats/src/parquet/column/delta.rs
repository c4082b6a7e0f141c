//! Numbers as differences: Parquet's `DELTA_BINARY_PACKED`, of lengths.

use super::hybrid::{bits, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends lengths, which are from 0 to 2^31 - 1.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(values.len() as u64, out);
    zigzag(values.first().copied().unwrap_or(0), out);
    let mut deltas = [0; BLOCK];
    let mut last = 0;
    while last + 1 < values.len() {
        let count = BLOCK.min(values.len() - last - 1);
        let deltas = &mut deltas[..count];
        for (delta, pair) in deltas.iter_mut().zip(values[last..].windows(2)) {
            *delta = pair[1] - pair[0];
        }
        block(deltas, out);
        last += count;
    }
}

fn block(deltas: &mut [i64], out: &mut Vec<u8>) {
    let min = deltas.iter().copied().min().unwrap_or(0);
    zigzag(min, out);
    for delta in &mut *deltas {
        *delta -= min;
    }
    let mut widths = [0; MINIBLOCKS];
    for (width, miniblock) in widths.iter_mut().zip(deltas.chunks(MINIBLOCK)) {
        let all = miniblock.iter().fold(0, |all, delta| all | delta.cast_unsigned());
        *width = (u64::BITS - all.leading_zeros()) as u8;
    }
    out.extend_from_slice(&widths);
    for (width, miniblock) in widths.into_iter().zip(deltas.chunks(MINIBLOCK)) {
        // A miniblock is always whole; what is missing are zeros.
        let end = out.len() + MINIBLOCK * usize::from(width) / 8;
        bits(miniblock.iter().map(|delta| delta.cast_unsigned()), width, out);
        out.resize(end, 0);
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

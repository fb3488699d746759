//! Values become the bytes of a Parquet page (parquet-format, `Encodings.md`).

/// Fewer equal numbers in a row than these are not told as a run.
const RUN: usize = 32;
/// Deltas have one smallest among so many, and one width among a quarter of them.
const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// How many bits a number takes.
pub(super) fn width(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// Numbers below 2^`width`, the least significant bit first; the last byte is filled up with zeros.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0_u64, 0);
    for value in values {
        held |= value << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&held.to_le_bytes());
            bits -= u64::BITS;
            // What of the value did not fit.
            held = if bits == 0 { 0 } else { value >> (width - bits) };
        }
    }
    out.extend(held.to_le_bytes().iter().take(bits.div_ceil(8) as usize));
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while let [byte, ..] = value.to_le_bytes()
        && value > 0x7f
    {
        out.push(byte | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(super) fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// Numbers below 2^`width` as runs of equal ones, and packed where there are none (`RLE`).
pub(super) fn runs(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut begin, mut at) = (0, 0);
    while at < values.len() {
        // Packed values come by eights, but for the last ones.
        let rest = &values[at..];
        let equal = rest.iter().take_while(|value| **value == rest[0]).count();
        if equal < RUN && equal < rest.len() {
            at += 8.min(rest.len());
            continue;
        }
        packed(&values[begin..at], width, out);
        let equal = if equal == rest.len() { equal } else { equal / 8 * 8 };
        varint((equal as u64) << 1, out);
        out.extend(rest[0].to_le_bytes().iter().take(width.div_ceil(8) as usize));
        at += equal;
        begin = at;
    }
    packed(&values[begin..], width, out);
}

fn packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let padding = std::iter::repeat_n(0, groups * 8 - values.len());
    pack(values.iter().copied().chain(padding).map(u64::from), width, out);
}

/// Differences of neighbours (`DELTA_BINARY_PACKED`), of numbers of 64 bits or of 32.
pub(super) fn deltas(values: &[i64], is_wide: bool, out: &mut Vec<u8>) {
    // Those of 32 bits have a sign in the format, and so have their differences.
    #[expect(clippy::cast_possible_truncation, reason = "they wrap around, as readers have them")]
    let signed = |number: i64| if is_wide { number } else { i64::from(number as i32) };
    for number in [BLOCK, BLOCK / MINIBLOCK, values.len()] {
        varint(number as u64, out);
    }
    zigzag(signed(values.first().copied().unwrap_or(0)), out);
    let mut block = [0_i64; BLOCK];
    for begin in (1..values.len()).step_by(BLOCK) {
        let those = &values[begin - 1..values.len().min(begin + BLOCK)];
        let deltas = &mut block[..those.len() - 1];
        for (delta, pair) in deltas.iter_mut().zip(those.windows(2)) {
            *delta = signed(pair[1].wrapping_sub(pair[0]));
        }
        let least = deltas.iter().copied().min().unwrap_or(0);
        zigzag(least, out);
        let above = |delta: &i64| delta.wrapping_sub(least).cast_unsigned();
        let widths = out.len();
        out.extend([0; BLOCK / MINIBLOCK]);
        for (index, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
            let bits = width(miniblock.iter().map(above).fold(0, |all, delta| all | delta));
            out[widths + index] = bits.to_le_bytes()[0];
            let padding = std::iter::repeat_n(0, MINIBLOCK - miniblock.len());
            pack(miniblock.iter().map(above).chain(padding), bits, out);
        }
    }
}

/// Numbers as they are (`PLAIN`), of 64 bits or of 32.
pub(super) fn plain(values: &[i64], is_wide: bool, out: &mut Vec<u8>) {
    let size = if is_wide { 8 } else { 4 };
    out.extend(values.iter().flat_map(|number| number.to_le_bytes().into_iter().take(size)));
}

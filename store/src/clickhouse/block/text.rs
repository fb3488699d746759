//! Texts as blocks have them: behind their lengths.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// A number in groups of seven bits, the lowest first.
pub(super) fn length(to: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        to.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    to.push(u8::try_from(length).unwrap_or_default());
}

pub(super) fn text(to: &mut Vec<u8>, text: &str) {
    length(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Bytes that any address takes at most, its length before it included.
pub(super) const ADDRESS: usize = 40;

/// An address that is not known is no text. Returns how many bytes it took; `to` has to have
/// [`ADDRESS`].
#[inline]
pub(super) fn address(to: &mut [u8], address: Option<IpAddr>) -> usize {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => dotted(to, address),
        Some(IpAddr::V6(address)) if !address.is_unspecified() => {
            let Some((place, mut rest)) = to.split_first_mut() else { return 0 };
            let room = rest.len();
            // There is room.
            write!(rest, "{address}").unwrap_or_default();
            let length = room - rest.len();
            *place = u8::try_from(length).unwrap_or_default();
            length + 1
        }
        _ => {
            to.iter_mut().take(1).for_each(|length| *length = 0);
            1
        }
    }
}

/// Where a range of addresses is among those that [`address`] has written.
pub(super) fn addresses(all: &[u8], rows: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let skip = |at: usize, rows: usize| {
        (0..rows).fold(at, |at, _| at + 1 + all.get(at).copied().map_or(0, usize::from))
    };
    let start = skip(0, rows.start);
    start..skip(start, rows.len())
}

/// As `Display` writes it, many times as fast.
fn dotted(to: &mut [u8], address: Ipv4Addr) -> usize {
    // The text grows from the lowest byte of a number on, which has its length. Behind 15
    // characters the last dot falls out of it.
    let (mut text, mut end) = (0_u128, 1_u8);
    for octet in address.octets() {
        let (digits, length) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        text |= u128::from(digits) << (8 * u32::from(end));
        end += length;
    }
    // Without the last dot.
    let length = end - 2;
    let mut text = text.to_le_bytes();
    let [first, ..] = &mut text;
    *first = length;
    // What is behind it is written again.
    if let Some(to) = to.first_chunk_mut() {
        *to = text;
    }
    usize::from(length) + 1
}

/// What each octet looks like with a dot behind it, the first character lowest, and its length.
static OCTETS: [(u32, u8); 256] = {
    let mut octets = [(0, 0); 256];
    let mut octet: u32 = 0;
    while octet < 256 {
        let zero = b'0' as u32;
        let (hundreds, tens, ones) =
            (zero + octet / 100, zero + octet / 10 % 10, zero + octet % 10);
        let dot = b'.' as u32;
        octets[octet as usize] = match octet {
            0..10 => (ones | (dot << 8), 2),
            10..100 => (tens | (ones << 8) | (dot << 16), 3),
            _ => (hundreds | (tens << 8) | (ones << 16) | (dot << 24), 4),
        };
        octet += 1;
    }
    octets
};

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn told(ip: Option<IpAddr>) -> Vec<u8> {
        let mut told = [0xff; ADDRESS];
        let length = address(&mut told, ip);
        told[..length].to_vec()
    }

    #[test]
    fn addresses_are_as_everybody_writes_them() {
        let mut all = Vec::new();
        let mut ends = vec![0];
        for seed in 0..2000_u32 {
            let v4 = Ipv4Addr::from(seed.wrapping_mul(2_654_435_761));
            let v6 = Ipv6Addr::from(u128::from(seed) << (seed % 120));
            for ip in [IpAddr::from(v4), v6.into()] {
                let told = told(Some(ip));
                let ip = ip.to_canonical();
                let expected = if ip.is_unspecified() { String::new() } else { ip.to_string() };
                assert_eq!(told.first().copied().map(usize::from), Some(expected.len()), "{ip}");
                assert_eq!(told.get(1..), Some(expected.as_bytes()));
                all.extend(told);
                ends.push(all.len());
            }
        }
        for octet in 0..=255 {
            let told = told(Some([octet, octet, octet, octet].into()));
            let expected = if octet == 0 { String::new() } else { [octet.to_string(); 1].concat() };
            let expected = if octet == 0 { expected } else { [&*expected; 4].join(".") };
            assert_eq!(told.get(1..), Some(expected.as_bytes()));
        }
        for (from, to) in [(0, 4000), (0, 0), (17, 18), (1000, 3999), (4000, 4000)] {
            assert_eq!(addresses(&all, &(from..to)), ends[from]..ends[to]);
        }
        assert_eq!(told(None), [0]);
        let longest = Ipv6Addr::from(0x1111_2222_3333_4444_5555_6666_7777_8888);
        assert_eq!(told(Some(longest.into())).len(), ADDRESS);
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let mut told = Vec::new();
        text(&mut told, &"x".repeat(300));
        assert_eq!((told.get(..2), told.len()), (Some(&[0xac, 0x02][..]), 302));
    }
}

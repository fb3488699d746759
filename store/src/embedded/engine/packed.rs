//! Several small numbers in one large one.

use std::hash::Hash;

/// A number that others are packed into, the last one into its lowest bits.
pub(super) trait Packed: Copy + Eq + Hash + Default + Send {
    /// Moves what is there up by `bits`, of which there are 1 to 32, and puts `number` below it.
    fn push(&mut self, bits: u32, number: u32);

    /// Takes the lowest `bits` out.
    fn pop(&mut self, bits: u32) -> u32;
}

impl Packed for u64 {
    fn push(&mut self, bits: u32, number: u32) {
        *self = *self << bits | Self::from(number);
    }

    fn pop(&mut self, bits: u32) -> u32 {
        let number = lowest(*self, bits);
        *self >>= bits;
        number
    }
}

impl Packed for u128 {
    fn push(&mut self, bits: u32, number: u32) {
        *self = *self << bits | Self::from(number);
    }

    fn pop(&mut self, bits: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
        let number = lowest(*self as u64, bits);
        *self >>= bits;
        number
    }
}

/// Upper and lower half: what eight names take.
impl Packed for [u128; 2] {
    fn push(&mut self, bits: u32, number: u32) {
        let [upper, lower] = self;
        *upper = *upper << bits | *lower >> (128 - bits);
        lower.push(bits, number);
    }

    fn pop(&mut self, bits: u32) -> u32 {
        let [upper, lower] = self;
        let number = lower.pop(bits);
        *lower |= *upper << (128 - bits);
        *upper >>= bits;
        number
    }
}

fn lowest(number: u64, bits: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "bits are 32 at most")]
    let number = (number & ((1 << bits) - 1)) as u32;
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: Packed>(numbers: &[(u32, u32)]) -> Result<(), TestCaseError> {
        let mut used = 0_usize;
        let fitting: Vec<_> = numbers
            .iter()
            .take_while(|(bits, _)| {
                used += *bits as usize;
                used <= size_of::<K>() * 8
            })
            .map(|(bits, number)| (*bits, number >> (32 - bits)))
            .collect();
        let mut packed = K::default();
        for (bits, number) in &fitting {
            packed.push(*bits, *number);
        }
        for (bits, number) in fitting.iter().rev() {
            prop_assert_eq!(packed.pop(*bits), *number);
        }
        prop_assert!(packed == K::default());
        Ok(())
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_again(
            numbers in proptest::collection::vec((1_u32..=32, any::<u32>()), 0..20),
        ) {
            check::<u64>(&numbers)?;
            check::<u128>(&numbers)?;
            check::<[u128; 2]>(&numbers)?;
        }
    }
}

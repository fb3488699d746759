//! The same numbers every time.

/// The generator `SplitMix64`: small, fast, and the same on every machine.
///
/// Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `below`, itself excluded.
    pub(super) fn below(&mut self, below: usize) -> usize {
        let scaled = (u128::from(self.next()) * below as u128) >> 64;
        usize::try_from(scaled).expect("it is below a usize")
    }

    pub(super) fn u8(&mut self, from: u8, below: u8) -> u8 {
        from + u8::try_from(self.below(usize::from(below - from))).expect("it is below a u8")
    }

    pub(super) fn u16(&mut self, from: u16, below: u16) -> u16 {
        from + u16::try_from(self.below(usize::from(below - from))).expect("it is below a u16")
    }

    pub(super) fn u32(&mut self, below: u32) -> u32 {
        u32::try_from(self.below(below as usize)).expect("it is below a u32")
    }

    /// Returns a number of at most `bits` bits; small ones are as likely as large ones.
    pub(super) fn magnitude(&mut self, bits: usize) -> u64 {
        self.next() >> (64 - 1 - self.below(bits))
    }

    /// Returns true so many times out of a hundred.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }

    /// Returns letters and digits as Kubernetes makes them up.
    pub(super) fn suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(*self.one_of(LETTERS))).collect()
    }
}

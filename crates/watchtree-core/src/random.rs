//! The one random number generator of the tree: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
//! generators", 2014). For jitter and for the simulator; never for keys. Does not know where a seed comes from.

/// One step of SplitMix64: spreads a seed over all bits.
pub const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(INCREMENT);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of numbers; equal seeds give equal sequences.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for this seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        let value = mix(self.0);
        self.0 = self.0.wrapping_add(INCREMENT);
        value
    }

    /// The next number below `limit`; 0 where `limit` is 0. The bias is below `limit / 2^64`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        let value = self.draw();
        if limit == 0 { 0 } else { value % limit }
    }
}

#[cfg(test)]
mod tests {
    //! The sequence against the published one, and its bounds.
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The first outputs of the reference implementation for the seed 0.
        let mut random = Random(0);
        assert_eq!(random.draw(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.draw(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(random.draw(), 0x06c4_5d18_8009_454f);
    }

    #[test]
    fn numbers_stay_below_their_limit() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
    }
}

//! The one hash function of the tree: FNV-1a, 64 bits. For digests of what both ends know; not against forgery.

/// The hash of nothing: where every hash begins.
pub const FNV1A_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of these bytes, continued from `hash`.
pub const fn fnv1a(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [first, rest @ ..] = bytes {
        hash = (hash ^ *first as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    hash
}

#[cfg(test)]
mod tests {
    //! Published test vectors.
    use super::*;

    #[test]
    fn it_is_fnv1a() {
        assert_eq!(fnv1a(FNV1A_BASIS, b""), FNV1A_BASIS);
        assert_eq!(fnv1a(FNV1A_BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV1A_BASIS, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fnv1a(fnv1a(FNV1A_BASIS, b"foo"), b"bar"), fnv1a(FNV1A_BASIS, b"foobar"));
    }
}

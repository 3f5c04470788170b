//! Z85 (ZeroMQ RFC 32) for 32-byte keys: 40 printable characters.
//!
//! Contract: `decode(encode(x)) == x`; anything but 40 characters of the alphabet that stand for 32 bytes is `None`.

const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// 32 bytes as 40 characters.
pub fn encode(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(40);
    for four in bytes.as_chunks::<4>().0 {
        let value = u32::from_be_bytes(*four);
        for power in [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1] {
            text.push(char::from(ALPHABET[(value / power % 85) as usize]));
        }
    }
    text
}

/// 40 characters as 32 bytes; `None` if the text is something else.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    if text.len() != 40 {
        return None;
    }
    let mut bytes = [0; 32];
    for (five, four) in text
        .as_bytes()
        .as_chunks::<5>()
        .0
        .iter()
        .zip(bytes.as_chunks_mut::<4>().0)
    {
        let mut value: u64 = 0;
        for character in five {
            value = value * 85 + ALPHABET.iter().position(|known| known == character)? as u64;
        }
        *four = u32::try_from(value).ok()?.to_be_bytes();
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&[0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B]);
        assert!(encode(&bytes).starts_with("HelloWorld0000"));
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(decode(""), None);
        assert_eq!(decode(&"0".repeat(39)), None);
        assert_eq!(decode(&" ".repeat(40)), None);
        assert_eq!(decode(&"#".repeat(40)), None, "85^5 - 1 does not fit in four bytes");
        assert_eq!(decode(&"é".repeat(20)), None);
    }
}

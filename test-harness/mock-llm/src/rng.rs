//! Reproducible randomness: equal seeds, listeners and request numbers give equal ids and texts.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A SplitMix64 generator.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator that starts at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The generator for the `number`-th request of one listener.
    pub(crate) fn for_request(seed: u64, listener: &str, number: u64) -> Self {
        let mut mixer = Rng(seed ^ hash(listener.as_bytes()));
        Rng(mixer.next().wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95)))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// One of the given items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// `prefix` and `length` letters and digits.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::from(prefix);
        id.extend((0..length).filter_map(|_| self.pick(ALPHABET).map(|byte| char::from(*byte))));
        id
    }

    /// `prefix` and `length` hexadecimal digits.
    pub(crate) fn hex(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::from(prefix);
        id.extend(
            (0..length).filter_map(|_| self.pick(b"0123456789abcdef").map(|b| char::from(*b))),
        );
        id
    }
}

/// The FNV-1a hash.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_gives_the_same_ids() {
        let id = |number| Rng::for_request(7, "a", number).id("x-", 12);
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_eq!(id(1).len(), 14);
        assert_ne!(Rng::for_request(7, "b", 1).id("x-", 12), id(1));
    }

    #[test]
    fn hex_ids_hold_hex_digits_only() {
        assert!(Rng::new(1).hex("", 40).bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

//! Powers modulo an odd number of any length, in Montgomery's form: P. L. Montgomery, "Modular
//! multiplication without trial division", 1985.
//!
//! With a modulus `m` of `k` words and `R = 2^(32 k)`, a number `x` has the form `x R mod m`. A product of
//! two forms divided by `R` is the form of the product, and dividing by `R` needs no division.
//!
//! No branch and no address depends on the words of a number, but for those of a public exponent.

use std::cell::Cell;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

/// Bits of an exponent that are taken at once.
const WINDOW: u32 = 4;

/// A number, least significant word first; wiped when it is dropped. Words of 32 bits, because a product
/// of two is what WebAssembly can multiply.
#[derive(Clone)]
pub(super) struct Words(Zeroizing<Vec<u32>>);

impl Words {
    fn zero(count: usize) -> Words {
        Words(Zeroizing::new(vec![0; count]))
    }

    fn one(count: usize) -> Words {
        let mut words = Words::zero(count);
        if let Some(first) = words.first_mut() {
            *first = 1;
        }
        words
    }

    /// A number, most significant byte first; `None` if it has no place in so many words.
    pub(super) fn of(bytes: &[u8], count: usize) -> Option<Words> {
        let mut words = Words::zero(count);
        let mut places = words.iter_mut();
        for chunk in bytes.rchunks(4) {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
            match places.next() {
                Some(place) => *place = word,
                None if word == 0 => {}
                None => return None,
            }
        }
        drop(places);
        Some(words)
    }

    /// So many bytes, most significant first.
    pub(super) fn to_bytes(&self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            self.iter().flat_map(|word| word.to_le_bytes()).take(count).collect();
        bytes.resize(count, 0);
        bytes.reverse();
        bytes
    }
}

impl Deref for Words {
    type Target = Vec<u32>;

    fn deref(&self) -> &Vec<u32> {
        &self.0
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut Vec<u32> {
        &mut self.0
    }
}

/// An odd number that others are taken modulo of.
pub(super) struct Modulus {
    words: Words,
    bits: usize,
    /// `-1 / m` modulo `2^32`.
    inverse: u32,
    /// `R^2` modulo `m`: a product with it is the form of a number.
    square: Words,
}

impl Modulus {
    /// `None` if it is even, or one.
    pub(super) fn new(words: Words) -> Option<Modulus> {
        let low = *words.first()?;
        let zeros = words.iter().rev().take_while(|word| **word == 0).count();
        let top = words.iter().rev().nth(zeros)?.leading_zeros() as usize;
        let bits = (words.len() - zeros) * 32 - top;
        if low % 2 == 0 || bits < 2 {
            return None;
        }
        // Newton's iteration; each step doubles the bits that are right, of which the first three are.
        let mut inverse = low;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(low.wrapping_mul(inverse)));
        }
        let length = words.len();
        let mut modulus =
            Modulus { words, bits, inverse: inverse.wrapping_neg(), square: Words::zero(length) };
        // The form of one is R: twice the highest power of two below m, as often as is missing.
        let mut one = Words::zero(length);
        if let Some(word) = one.get_mut((bits - 1) / 32) {
            *word = 1 << ((bits - 1) % 32);
        }
        for _ in bits - 1..length * 32 {
            modulus.double(&mut one);
        }
        // R^2 is the form of R, which is two to the power of 32 k.
        let mut two = one;
        modulus.double(&mut two);
        modulus.square = modulus.power_public(&two, length as u64 * 32);
        Some(modulus)
    }

    /// Words of it, and of every number that is taken modulo of it.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Bits of it.
    pub(super) fn bits(&self) -> usize {
        self.bits
    }

    /// Whether a number is smaller.
    pub(super) fn exceeds(&self, number: &Words) -> bool {
        borrow(number, &self.words) == 1
    }

    /// Whether it is the product of the two.
    pub(super) fn is_product(&self, a: &Words, b: &Words) -> bool {
        let zero = Words::zero(b.len());
        product(a, b, &zero, self.len()).is_some_and(|product| *product == *self.words)
    }

    /// The form of a number of at most twice as many words.
    pub(super) fn enter(&self, number: &Words) -> Words {
        let length = self.len();
        let mut parts = number.chunks(length).map(|part| {
            let mut words = Words::zero(length);
            words.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            words
        });
        let mut form = match parts.next() {
            Some(low) => self.multiply(&low, &self.square),
            None => Words::zero(length),
        };
        if let Some(high) = parts.next() {
            let cube = self.multiply(&self.square, &self.square);
            let carry = add(&mut form, &self.multiply(&high, &cube), u32::MAX);
            self.reduce(&mut form, carry);
        }
        form
    }

    /// The number that has this form.
    pub(super) fn leave(&self, form: &Words) -> Words {
        self.multiply(form, &Words::one(self.len()))
    }

    /// `a b / R`: a form, if both are. One of them may be any number below `R`.
    pub(super) fn multiply(&self, a: &Words, b: &Words) -> Words {
        let mut product = Words::zero(self.len());
        self.multiply_into(&mut product, a, b);
        product
    }

    /// Finely integrated operand scanning: Ç. K. Koç, T. Acar and B. S. Kaliski, "Analyzing and comparing
    /// Montgomery multiplication algorithms", 1996.
    fn multiply_into(&self, product: &mut [u32], a: &[u32], b: &[u32]) {
        product.fill(0);
        let (Some((m0, m)), Some((b0, b))) = (self.words.split_first(), b.split_first()) else {
            return;
        };
        let (m0, b0) = (u64::from(*m0), u64::from(*b0));
        let cells = Cell::from_mut(&mut *product).as_slice_of_cells();
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { return };
        let next = cells.get(1..).unwrap_or_default();
        let mut top = 0;
        for a in a {
            let a = u64::from(*a);
            // Each sum is at most (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
            let sum = a * b0 + u64::from(first.get());
            let mut high = sum >> 32;
            let factor = u64::from((sum as u32).wrapping_mul(self.inverse));
            let mut carry = (factor * m0 + u64::from(sum as u32)) >> 32;
            for (((to, from), b), m) in cells.iter().zip(next).zip(b).zip(m) {
                let sum = a * u64::from(*b) + u64::from(from.get()) + high;
                high = sum >> 32;
                let sum = factor * u64::from(*m) + u64::from(sum as u32) + carry;
                carry = sum >> 32;
                to.set(sum as u32);
            }
            let sum = high + carry + top;
            last.set(sum as u32);
            top = sum >> 32;
        }
        self.reduce(product, top as u32);
    }

    /// `a - b`.
    pub(super) fn difference(&self, a: &Words, b: &Words) -> Words {
        let mut difference = a.clone();
        let borrow = subtract(&mut difference, b, u32::MAX);
        add(&mut difference, &self.words, black_box(borrow.wrapping_neg()));
        difference
    }

    /// `this a + b`, not modulo of anything; `None` if it needs more than so many words.
    pub(super) fn multiply_add(&self, a: &Words, b: &Words, count: usize) -> Option<Words> {
        product(&self.words, a, b, count)
    }

    /// A form's power, in a time that tells of the exponent. It is one or more.
    pub(super) fn power_public(&self, base: &Words, exponent: u64) -> Words {
        let mut power = base.clone();
        let mut next = Words::zero(self.len());
        for bit in (0..exponent.checked_ilog2().unwrap_or(0)).rev() {
            self.multiply_into(&mut next, &power, &power);
            std::mem::swap(&mut power, &mut next);
            if exponent >> bit & 1 == 1 {
                self.multiply_into(&mut next, &power, base);
                std::mem::swap(&mut power, &mut next);
            }
        }
        power
    }

    /// A form's power, in a time that depends on the exponent's number of words only.
    pub(super) fn power_secret(&self, base: &Words, exponent: &Words) -> Words {
        let mut power = self.leave(&self.square);
        let mut next = Words::zero(self.len());
        let mut powers = vec![power.clone()];
        for _ in 1..1 << WINDOW {
            self.multiply_into(&mut next, powers.last().unwrap_or(base), base);
            powers.push(next.clone());
        }
        let mut factor = Words::zero(self.len());
        for word in exponent.iter().rev() {
            for shift in (0..32 / WINDOW).rev() {
                for _ in 0..WINDOW {
                    self.multiply_into(&mut next, &power, &power);
                    std::mem::swap(&mut power, &mut next);
                }
                let window = word >> (shift * WINDOW) & ((1 << WINDOW) - 1);
                select(&mut factor, &powers, window);
                self.multiply_into(&mut next, &power, &factor);
                std::mem::swap(&mut power, &mut next);
            }
        }
        power
    }

    fn double(&self, number: &mut [u32]) {
        let carry = number.iter_mut().fold(0, |carry, word| {
            let high = *word >> 31;
            *word = *word << 1 | carry;
            high
        });
        self.reduce(number, carry);
    }

    /// Takes the modulus off a number below twice of it, if it is not below it. `top` is the word above.
    fn reduce(&self, number: &mut [u32], top: u32) {
        let exceeds = top | (borrow(number, &self.words) ^ 1);
        subtract(number, &self.words, black_box(exceeds.wrapping_neg()));
    }
}

/// The one of the powers, all of which are read.
fn select(chosen: &mut [u32], powers: &[Words], index: u32) {
    chosen.fill(0);
    for (at, power) in (0u32..).zip(powers) {
        // All ones if they are equal; both are small.
        let mask = black_box(((at ^ index).wrapping_sub(1) as i32 >> 31) as u32);
        chosen.iter_mut().zip(power.iter()).for_each(|(to, from)| *to |= from & mask);
    }
}

/// Adds a number that is masked; gives the carry.
fn add(number: &mut [u32], other: &[u32], mask: u32) -> u32 {
    number.iter_mut().zip(other).fold(0, |carry, (word, other)| {
        let sum = u64::from(*word) + u64::from(other & mask) + u64::from(carry);
        *word = sum as u32;
        (sum >> 32) as u32
    })
}

/// Takes off a number that is masked; gives the borrow.
fn subtract(number: &mut [u32], other: &[u32], mask: u32) -> u32 {
    number.iter_mut().zip(other).fold(0, |borrow, (word, other)| {
        let difference =
            u64::from(*word).wrapping_sub(u64::from(other & mask)).wrapping_sub(u64::from(borrow));
        *word = difference as u32;
        (difference >> 63) as u32
    })
}

/// One if the number is smaller than the other, of as many words.
fn borrow(number: &[u32], other: &[u32]) -> u32 {
    number.iter().zip(other).fold(0, |borrow, (word, other)| {
        let difference =
            u64::from(*word).wrapping_sub(u64::from(*other)).wrapping_sub(u64::from(borrow));
        (difference >> 63) as u32
    })
}

/// `a b + c`, where `c` has as many words as `b`; `None` if it needs more than so many words.
fn product(a: &[u32], b: &[u32], c: &[u32], count: usize) -> Option<Words> {
    let mut product = Words::zero(a.len() + b.len());
    product.iter_mut().zip(c).for_each(|(to, from)| *to = *from);
    for (at, a) in a.iter().enumerate() {
        let mut carry = 0;
        let mut places = product.iter_mut().skip(at);
        for (b, place) in b.iter().zip(places.by_ref()) {
            let sum = u64::from(*a) * u64::from(*b) + u64::from(*place) + carry;
            *place = sum as u32;
            carry = sum >> 32;
        }
        for place in places {
            let sum = u64::from(*place) + carry;
            *place = sum as u32;
            carry = sum >> 32;
        }
    }
    let rest = product.iter().skip(count).fold(0, |any, word| any | word);
    product.truncate(count);
    (rest == 0).then_some(product)
}

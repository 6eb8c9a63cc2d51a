//! Sorting in little code.
//!
//! The standard library's sort is the fastest there is, and five kilobytes of code for each type.

/// Puts a list of a few dozen into order; equal ones keep theirs. Its time grows with the square of
/// their number, so it is not for what somebody else decides the length of.
pub fn few<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0
            && let (Some(left), Some(right)) = (list.get(at - 1), list.get(at))
            && before(right, left)
        {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Up to so many are put into order as a few are.
const FEW: usize = 12;

/// Puts a list of any length into order; equal ones keep theirs. `before` must be an order: of two at most one
/// is before the other. Its time grows a little faster than their number.
pub fn by<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    if list.len() <= FEW {
        return few(list, before);
    }
    let mut order = order(list.len(), &|left, right| match (list.get(left), list.get(right)) {
        (Some(left), Some(right)) => before(left, right),
        _ => false,
    });
    // Each cycle of places that change with each other by itself.
    for start in 0..list.len() {
        let mut at = start;
        while let Some(from) = order.get_mut(at).map(|from| std::mem::replace(from, at))
            && from != start
            && from != at
        {
            list.swap(at, from);
            at = from;
        }
    }
}

/// The same by what is made of each, the least first.
pub fn by_key<T, K: PartialOrd>(list: &mut [T], key: impl Fn(&T) -> K) {
    by(list, |left, right| key(left) < key(right));
}

/// Where in a list stands what belongs at each place: merges longer and longer runs of places.
#[inline(never)]
fn order(length: usize, before: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut merged = Vec::with_capacity(length);
    let mut run = 1;
    while run < length {
        for pair in order.chunks(run * 2) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some((one, lefts)), Some((other, rights))) =
                (left.split_first(), right.split_first())
            {
                if before(*other, *one) {
                    merged.push(*other);
                    right = rights;
                } else {
                    merged.push(*one);
                    left = lefts;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{by, by_key, few};

    #[test]
    fn equal_ones_keep_their_order() {
        let mut list = [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')];
        few(&mut list, |a, b| a.0 < b.0);
        assert_eq!(list, [(1, 'b'), (1, 'e'), (2, 'd'), (3, 'a'), (3, 'c')]);
        few::<u8>(&mut [], |a, b| a < b);
    }

    #[test]
    fn any_number_is_sorted_as_the_standard_library_does() {
        // Numbers by a linear congruence (Knuth's), few of them different, so that many are equal.
        let mut seed = 7_u64;
        for length in 0..300 {
            let mut list: Vec<(u64, usize)> = (0..length)
                .map(|at| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                    ((seed >> 33) % 40, at)
                })
                .collect();
            let mut expected = list.clone();
            expected.sort_by_key(|(key, _)| *key);
            by_key(&mut list, |(key, _)| *key);
            assert_eq!(list, expected, "{length}");
            by(&mut list, |a, b| b.0 < a.0);
            expected.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
            assert_eq!(list, expected, "{length}, the greatest first");
        }
    }
}

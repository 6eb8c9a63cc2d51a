//! Sorting of a few things.
//!
//! The standard library's sort is fast for many and several kilobytes of code for each type.

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

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::few;

    #[test]
    fn equal_ones_keep_their_order() {
        let mut list = [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')];
        few(&mut list, |a, b| a.0 < b.0);
        assert_eq!(list, [(1, 'b'), (1, 'e'), (2, 'd'), (3, 'a'), (3, 'c')]);
        few::<u8>(&mut [], |a, b| a < b);
    }
}

//! Memory for short lives.
//!
//! An exchange asks for some thousand pieces of memory, most of them small and given back soon. What is given
//! back is kept here by its size and handed out again, in a tenth of the instructions that the standard
//! library's allocator takes; that one serves all else. Pieces that are kept are not joined to larger ones: of
//! each size a module keeps the most that it ever had in use at once.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Sizes are rounded up to a multiple of this, in bytes.
const STEP: usize = 16;

/// So many sizes are kept: up to a kilobyte.
const SIZES: usize = 64;

/// What the standard library's allocator aligns every piece to, in bytes.
const ALIGN: usize = 8;

/// The allocator of a module that has one thread.
pub(crate) struct Allocator {
    /// Of each size the piece that was given back last. A piece that is kept begins with the address of the
    /// one that was given back before it.
    kept: UnsafeCell<[*mut u8; SIZES]>,
}

// SAFETY: it is used where there is one thread only.
unsafe impl Sync for Allocator {}

impl Allocator {
    pub(crate) const fn new() -> Allocator {
        Allocator { kept: UnsafeCell::new([null_mut(); SIZES]) }
    }

    /// Where pieces of this layout are kept, if they are.
    #[inline(always)]
    fn place(&self, layout: Layout) -> Option<*mut *mut u8> {
        let index = layout.size().wrapping_sub(1) / STEP;
        let kept = index < SIZES && layout.align() <= ALIGN;
        // SAFETY: the index is one of the table.
        kept.then(|| unsafe { self.kept.get().cast::<*mut u8>().add(index) })
    }
}

/// The layout in which a piece that will be kept is asked for.
#[inline(always)]
fn rounded(layout: Layout) -> Layout {
    // SAFETY: of what is kept the size is far from the largest there is.
    unsafe { Layout::from_size_align_unchecked(layout.size().next_multiple_of(STEP), ALIGN) }
}

// SAFETY: pieces come from the standard library's allocator in the size by which they are kept, and are kept
// once they were given back and until they are handed out again. No call unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(place) = self.place(layout) else {
            // SAFETY: as the caller says.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: the place is in the table, and what is kept there begins with the next.
        unsafe {
            let first = *place;
            if first.is_null() {
                return System.alloc(rounded(layout));
            }
            *place = *first.cast::<*mut u8>();
            first
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.place(layout) {
            // SAFETY: the piece has at least `STEP` bytes, is aligned, and nobody uses it any more.
            Some(place) => unsafe {
                *pointer.cast::<*mut u8>() = *place;
                *place = pointer;
            },
            // SAFETY: as the caller says.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller answers for the size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (self.place(layout), self.place(new)) {
            // SAFETY: as the caller says.
            (None, None) => unsafe { System.realloc(pointer, layout, size) },
            (Some(old), Some(new)) if old == new => pointer,
            // SAFETY: both are at least as long as what is copied, and not the same.
            _ => unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(pointer, layout.size().min(size));
                    self.dealloc(pointer, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A piece that is in use, filled with its number.
    struct Piece {
        at: *mut u8,
        layout: Layout,
        number: u8,
    }

    impl Piece {
        fn fill(&self) {
            // SAFETY: it is ours and so long.
            unsafe { self.at.write_bytes(self.number, self.layout.size()) }
        }

        fn check(&self, length: usize) {
            assert_eq!(self.at as usize % self.layout.align(), 0);
            // SAFETY: it is ours, so long and was filled.
            let bytes = unsafe { std::slice::from_raw_parts(self.at, length) };
            assert!(bytes.iter().all(|byte| *byte == self.number));
        }
    }

    /// Takes, changes and gives back pieces of the sizes that the numbers stand for.
    fn run(steps: &[(usize, usize)]) {
        let allocator = Allocator::new();
        let mut pieces: Vec<Piece> = Vec::new();
        for (number, (what, size)) in steps.iter().enumerate() {
            let size = size % 1_200 + 1;
            let number = u8::try_from(number % 251).unwrap();
            let at = what / 3 % pieces.len().max(1);
            match (what % 3, pieces.get_mut(at)) {
                (0, Some(piece)) => {
                    piece.check(piece.layout.size());
                    // SAFETY: it came from there in this layout.
                    piece.at = unsafe { allocator.realloc(piece.at, piece.layout, size) };
                    let old = piece.layout.size();
                    piece.layout = Layout::from_size_align(size, piece.layout.align()).unwrap();
                    piece.check(old.min(size));
                    piece.fill();
                }
                (1, Some(_)) => {
                    let piece = pieces.swap_remove(at);
                    piece.check(piece.layout.size());
                    // SAFETY: it came from there in this layout.
                    unsafe { allocator.dealloc(piece.at, piece.layout) };
                }
                _ => {
                    let layout = Layout::from_size_align(size, 1 << (what % 6)).unwrap();
                    // SAFETY: its size is not 0.
                    let piece = Piece { at: unsafe { allocator.alloc(layout) }, layout, number };
                    piece.fill();
                    pieces.push(piece);
                }
            }
        }
        for piece in pieces {
            piece.check(piece.layout.size());
            // SAFETY: it came from there in this layout.
            unsafe { allocator.dealloc(piece.at, piece.layout) };
        }
    }

    #[test]
    fn what_was_given_back_is_handed_out_again() {
        let allocator = Allocator::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: each is given back in its layout.
        unsafe {
            let (first, second) = (allocator.alloc(layout(33)), allocator.alloc(layout(48)));
            allocator.dealloc(first, layout(33));
            allocator.dealloc(second, layout(48));
            assert_eq!(allocator.alloc(layout(40)), second, "the last first");
            assert_eq!(allocator.alloc(layout(34)), first);
            assert_eq!(allocator.realloc(first, layout(34), 47), first, "it is as long already");
            allocator.dealloc(first, layout(47));
            allocator.dealloc(second, layout(40));
        }
    }

    #[test]
    fn no_piece_is_in_use_twice() {
        let mut random = 7_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(random >> 33).unwrap()
        };
        for _ in 0..20 {
            let steps: Vec<_> = (0..2_000).map(|_| (next(), next())).collect();
            run(&steps);
        }
    }
}

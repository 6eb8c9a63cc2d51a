//! Requests that came before: one that is the same to the last byte, and of which all else is the same too,
//! has the same name, which need not be made again. To make it, the body is read, put into one form and
//! hashed; to compare it costs a twentieth of that.
//!
//! A worker remembers a few short ones. After a purge it forgets them all, with the first request that sees
//! that there was one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use shared::follow::same;

use crate::ask::Ask;

/// Most that are remembered; a new one takes the place of an older.
const MOST: usize = 64;

/// Longest body that is remembered, in bytes, and longest answer.
pub(crate) const LONGEST: usize = 16 << 10;

/// Requests that came before.
#[derive(Debug, Default)]
pub struct Recent {
    known: RefCell<Vec<Option<Request>>>,
    epoch: Cell<u64>,
}

#[derive(Debug)]
struct Request {
    /// All but the body.
    given: Vec<u8>,
    body: Vec<u8>,
    ask: Rc<Ask>,
}

impl Recent {
    /// What a request asks, if the same came before.
    pub fn get(&self, given: &[u8], body: &[u8]) -> Option<Rc<Ask>> {
        if body.len() > LONGEST {
            return None;
        }
        let known = self.known.borrow();
        let request = known.get(place(body))?.as_ref()?;
        (same(&request.given, given) && same(&request.body, body)).then(|| Rc::clone(&request.ask))
    }

    /// Remembers what a request asks.
    pub fn add(&self, given: &[u8], body: &[u8], ask: &Rc<Ask>) {
        if body.len() > LONGEST {
            return;
        }
        let mut known = self.known.borrow_mut();
        if known.is_empty() {
            known.resize_with(MOST, || None);
        }
        if let Some(free) = known.get_mut(place(body)) {
            let (given, body) = (given.to_vec(), body.to_vec());
            *free = Some(Request { given, body, ask: Rc::clone(ask) });
        }
    }

    /// This purge was seen.
    pub fn purged(&self, epoch: u64) {
        if epoch > self.epoch.replace(epoch.max(self.epoch.get())) {
            self.known.borrow_mut().clear();
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.borrow().iter().flatten().count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn place(body: &[u8]) -> usize {
    // FNV-1a, on eight bytes at a time: it spreads well enough, and what is found is compared in full.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let (eights, rest) = body.as_chunks::<8>();
    for eight in eights {
        hash = (hash ^ u64::from_le_bytes(*eight)).wrapping_mul(0x0100_0000_01b3);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    usize::try_from((hash ^ hash >> 32) % MOST as u64).unwrap_or(0)
}

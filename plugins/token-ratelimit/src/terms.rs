//! How a rule counts for one key, and what a count says of it.

use crate::config::Algorithm;
use crate::window::Window;
use crate::zone::Zone;

/// How a rule counts, for one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// How it is counted.
    pub kind: Kind,
    /// How much there is, in the unit's smallest part.
    pub limit: u64,
}

/// How it is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// By windows.
    Windows {
        /// How long one is.
        window: Window,
        /// Where its days begin.
        zone: Zone,
        /// Whether what is left of the window before counts too.
        sliding: bool,
    },
    /// Fills steadily.
    Bucket {
        /// The limit flows in within so many seconds.
        seconds: u64,
        /// Most that it holds.
        burst: u64,
    },
    /// Requests under way.
    Places,
}

impl Terms {
    /// How much there can be at once.
    pub(crate) fn most(&self) -> u64 {
        match self.kind {
            Kind::Bucket { burst, .. } => burst,
            Kind::Windows { .. } | Kind::Places => self.limit,
        }
    }

    /// Whether it is a bucket.
    pub(crate) fn is_bucket(&self) -> bool {
        matches!(self.kind, Kind::Bucket { .. })
    }
}

impl Kind {
    /// Of a rule that counts by time.
    pub fn new(algorithm: Algorithm, window: Window, zone: Zone, burst: u64) -> Kind {
        match algorithm {
            Algorithm::SlidingWindow => Kind::Windows { window, zone, sliding: true },
            Algorithm::FixedWindow => Kind::Windows { window, zone, sliding: false },
            Algorithm::TokenBucket => Kind::Bucket { seconds: window.length(), burst },
        }
    }
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How much there is.
    pub limit: u64,
    /// How much of it is used.
    pub used: u64,
    /// Seconds until all of it is there again.
    pub reset: u64,
}

impl Standing {
    /// How much is left.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// That something was reserved, so that it can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// In which window, or at which time.
    pub since: u64,
    /// How much.
    pub amount: u64,
    /// What was used of windows that ended meanwhile, and is charged there.
    pub paid: u64,
}

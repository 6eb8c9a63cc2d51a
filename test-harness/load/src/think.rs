//! Waiting for about so long.

use std::cell::Cell;
use std::time::Duration;

/// Waits between a half and one and a half of `mean`, so that not all ask at once. In a thread of its own: the
/// runtime's timers go by whole milliseconds, at which many would end together.
pub(crate) async fn think(mean: Duration) {
    let time = spread(mean);
    let _ = tokio::task::spawn_blocking(move || std::thread::sleep(time)).await;
}

fn spread(mean: Duration) -> Duration {
    thread_local!(static TURN: Cell<u64> = const { Cell::new(1) });
    // Knuth's generator; its high bits are the good ones.
    let turn = TURN.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    TURN.set(turn);
    mean.mul_f64(0.5 + (turn >> 33) as f64 / (1_u64 << 31) as f64)
}

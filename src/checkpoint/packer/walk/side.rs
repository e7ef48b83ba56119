//! Doing the same for many, side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::checkpoint::packer::{PARTS_MAX, walk::Trouble};

/// What one thread takes at a time.
const CHUNK: usize = 32;

/// Returns what `one` makes of each of them, in their order.
///
/// # Errors
///
/// If there is a defect in `one`.
pub(super) fn by_side<T: Sync, R: Send>(
    all: &[T],
    one: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>, Trouble> {
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get().min(PARTS_MAX));
    let threads = threads.min(all.len().div_ceil(CHUNK));
    if threads < 2 {
        return Ok(all.iter().map(one).collect());
    }
    let next = AtomicUsize::new(0);
    let part = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = all.chunks(CHUNK).nth(at) else { return done };
            done.push((at, chunk.iter().map(&one).collect::<Vec<R>>()));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(part)).collect();
        let mut done = part();
        for other in others {
            done.extend(other.join().map_err(|_| Trouble("a defect".into()))?);
        }
        Ok(done)
    })?;
    done.sort_unstable_by_key(|it| it.0);
    Ok(done.into_iter().flat_map(|it| it.1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order() {
        for count in [0, 1, CHUNK, CHUNK + 1, 40 * CHUNK + 7] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(by_side(&all, |it| it + 1).unwrap(), (1..=count).collect::<Vec<_>>());
        }
    }
}

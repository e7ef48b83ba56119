//! What is due: pure, run whenever something changed and at the moment it asked for. No tick, but
//! while a worker that costs money lives: that is judged when its price alone reaches a ceiling, and
//! every [`METER_STEP`] whatever was computed.
//!
//! [`METER_STEP`]: crate::domain::budget::METER_STEP

use crate::{
    dispatcher::world::Draft,
    domain::{ids::WorkerId, task::Task},
    stdx::time::Timestamp,
};

mod admit;
mod ceiling;
mod meter;
mod moment;
mod place;
#[cfg(test)]
mod tests;
mod turn;

pub use admit::{Admission, admission};
pub use place::{Choice, choose};
pub use turn::GRACE;

/// New names for a launch; random, so they are made outside.
pub trait Names {
    /// Returns a new worker id.
    fn worker(&mut self) -> WorkerId;
    /// Returns a new conversation id: a UUID, as Claude wants it.
    fn conversation(&mut self) -> String;
}

/// Adds to `draft` all that is due at `now`; returns when to look again.
pub fn plan(draft: &mut Draft, now: Timestamp, names: &mut impl Names) -> Option<Timestamp> {
    let mut wake = Wake::default();
    let settles = draft.base().settles.as_ref();
    let settled = settles.is_none_or(|it| wake.reached(it.until, now));
    if settled {
        meter::enter(draft, now);
    }
    let sessions: Vec<Task> =
        draft.live().into_iter().filter(|it| it.state.session().is_some()).cloned().collect();
    for task in &sessions {
        for body in turn::due(task, now, &mut wake) {
            // A refusal means that an earlier event of this round made it moot.
            let _ = draft.emit(&task.id, body, now);
        }
    }
    if settled {
        ceiling::judge(draft, now);
        place::schedule(draft, now, names, &mut wake);
        meter::look_again(draft, now, &mut wake);
    }
    wake.0
}

/// The earliest moment asked for.
#[derive(Default)]
struct Wake(Option<Timestamp>);

impl Wake {
    /// Tells whether `at` has come; asks to be woken then if not.
    fn reached(&mut self, at: Timestamp, now: Timestamp) -> bool {
        if at <= now {
            return true;
        }
        self.0 = Some(self.0.map_or(at, |it| it.min(at)));
        false
    }
}

//! Which checkpoints lie behind the workspace as it is now.
//!
//! Going back leaves checkpoints behind that were made later: they are still there, but the
//! workspace does not come from them any more. To go back once more must not go to those.

use crate::{
    api::{checkpoints::CheckpointView, types::EventView},
    domain::event::EventBody,
    stdx::time::Timestamp,
};

/// Returns the checkpoints that the workspace comes from, newest first. `checkpoints` are newest
/// first, `events` oldest first; only what was restored into `workspace` counts.
pub fn lineage<'a>(
    checkpoints: &'a [CheckpointView],
    events: &[EventView],
    workspace: &str,
) -> Vec<&'a CheckpointView> {
    let mut found: Vec<&CheckpointView> = Vec::new();
    let mut before = Timestamp(i64::MAX);
    for event in events.iter().rev() {
        let EventBody::Restored { checkpoint, workspace: into, .. } = &event.body else { continue };
        let source = checkpoints.iter().find(|it| it.id == checkpoint.as_str());
        let Some(source) = source.filter(|_| into.as_str() == workspace) else { continue };
        // What happened after the moment that was gone back to was itself taken back.
        if before <= event.at {
            continue;
        }
        found.extend(checkpoints.iter().filter(|it| event.at < it.at && it.at < before));
        before = Timestamp(source.at.0.saturating_add(1));
    }
    found.extend(checkpoints.iter().filter(|it| it.at < before));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::checkpoint::tests::sample,
        domain::ids::{CheckpointId, HostPath},
    };

    fn made(name: char, at: i64) -> CheckpointView {
        CheckpointView { id: id(name), at: Timestamp(at), ..sample() }
    }

    fn id(name: char) -> String {
        format!("cp-{}", String::from(name).repeat(8))
    }

    fn restored(name: char, at: i64) -> EventView {
        let checkpoint: CheckpointId = id(name).parse().unwrap();
        let workspace = HostPath::new("/w").unwrap();
        let body = EventBody::Restored {
            checkpoint,
            safety: None,
            workspace,
            files: 1,
            conversation: None,
        };
        EventView {
            seq: 1,
            at: Timestamp(at),
            task: "task-abcd2345".into(),
            kind: "restored".into(),
            text: String::new(),
            body,
            view: None,
        }
    }

    fn names(checkpoints: &[CheckpointView], events: &[EventView]) -> String {
        lineage(checkpoints, events, "/w").iter().map(|it| &it.id[3..4]).collect()
    }

    #[test]
    fn what_was_gone_back_from_is_not_gone_back_to() {
        // Three turns, then back to the first: `s` is what was there before.
        let mut all = vec![made('s', 40), made('c', 30), made('b', 20), made('a', 10)];
        assert_eq!(names(&all, &[]), "scba");
        assert_eq!(names(&all, &[restored('a', 41)]), "a");
        assert_eq!(names(&all, &[restored('b', 41)]), "ba");
        // Another turn after that.
        all.insert(0, made('d', 50));
        assert_eq!(names(&all, &[restored('b', 41)]), "dba");
        // That was undone by going back to what was there before.
        all.insert(0, made('t', 60));
        assert_eq!(names(&all, &[restored('b', 41), restored('s', 61)]), "scba");
        // And twice back, step by step.
        assert_eq!(names(&all, &[restored('b', 41), restored('a', 61)]), "a");
        // A checkpoint that is gone, or another directory, says nothing.
        assert_eq!(names(&all, &[restored('x', 61)]), "tdscba");
        assert!(lineage(&all, &[restored('a', 61)], "/other").len() == all.len());
    }
}

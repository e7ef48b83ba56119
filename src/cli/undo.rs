//! `undo`: takes back the last kill or restore of a task.

use crate::{
    api::{
        checkpoints::{Restore, Resume},
        error::{ApiError, ErrorKind},
        types::EventView,
        view::TaskView,
    },
    cli::{
        args::checkpoint as args,
        checkpoint::restore::{self, Plan},
        context::Context,
        out::{Answer, Done},
        resume,
        when::day_and_clock,
    },
    domain::{event::EventBody, state::StopCause},
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp},
    },
};

/// What there is to undo.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Last {
    /// It was killed then.
    Killed { at: Timestamp },
    /// Its files were replaced then, and the conversation if `talk`; `safety` is what was there.
    Restored { at: Timestamp, safety: String, talk: bool },
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Takes back the last kill or restore of a task.
pub async fn undo(context: &Context, args: &args::Undo) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let task = client.task(&args.id).await?;
    let id = one_line(&task.id, 40);
    let events = restore::events(&client, &task.id).await?;
    match last(&events, task.workspace.as_deref().unwrap_or_default()) {
        Last::Nothing(why) => {
            let error = ApiError::new(ErrorKind::Conflict, format!("nothing to undo: {why}"));
            Err(error.hint(format!("parhelia checkpoint list --session {id}")).into())
        }
        Last::Killed { at } if args.dry_run => {
            let at = day_and_clock(at, SystemClock.now());
            match out.json {
                true => out.json(&serde_json::json!({ "undo": "kill", "task": task.id }))?,
                false => out.line(&format!(
                    "{id} was killed at {at}: its conversation would go on (parhelia resume {id})"
                ))?,
            }
            Ok(0)
        }
        Last::Killed { .. } => resume::go(context, &task.id, Resume::default()).await,
        Last::Restored { at, safety, talk } => {
            if !out.json {
                let at = day_and_clock(at, SystemClock.now());
                out.note(&format!("The files of {id} were replaced at {at}."));
            }
            let checkpoint = client.checkpoint_detail(&safety).await?.checkpoint;
            let conversation = talk && is_as_it_was(&task, checkpoint.turns);
            let how = Restore { target: None, dry_run: args.dry_run, conversation };
            let plan = Plan { checkpoint, how, yes: args.yes, default: Answer::Yes };
            restore::go(context, &client, plan).await
        }
    }
}

/// Tells whether the conversation can go back as well: not while a session uses it, and not if it
/// went on since, for that is nothing anyone asked to take back.
fn is_as_it_was(task: &TaskView, turns: u32) -> bool {
    task.session.is_none() && task.turns == turns
}

/// Returns what happened last that can be undone, of events that come oldest first.
fn last(events: &[EventView], workspace: &str) -> Last {
    let mut resumed = false;
    for event in events.iter().rev() {
        match &event.body {
            EventBody::Restored { workspace: into, .. } if into.as_str() != workspace => (),
            EventBody::Restored { safety: Some(it), conversation, .. } => {
                let (at, safety, talk) = (event.at, it.to_string(), conversation.is_some());
                return Last::Restored { at, safety, talk };
            }
            EventBody::Restored { safety: None, .. } => {
                return Last::Nothing("its files were put where nothing was before");
            }
            EventBody::Retried { .. } => resumed = true,
            EventBody::StopRequested { cause: StopCause::Person } if resumed => {
                return Last::Nothing("it was killed last, and started again since");
            }
            EventBody::StopRequested { cause: StopCause::Person } => {
                return Last::Killed { at: event.at };
            }
            _ => (),
        }
    }
    Last::Nothing("it was neither killed nor restored")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::view::tests::sample,
        domain::{
            ids::{CheckpointId, HostPath},
            task::Next,
        },
    };

    fn events(bodies: Vec<EventBody>) -> Vec<EventView> {
        let event = |(seq, body)| EventView {
            seq,
            at: Timestamp(1),
            task: "task-abcd2345".into(),
            kind: String::new(),
            text: String::new(),
            body,
            view: None,
        };
        (1..).zip(bodies).map(event).collect()
    }

    fn restored(safety: Option<&str>, into: &str) -> EventBody {
        let id = |it: &str| it.parse::<CheckpointId>().unwrap();
        EventBody::Restored {
            checkpoint: id("cp-aaaaaaaa"),
            safety: safety.map(id),
            workspace: HostPath::new(into).unwrap(),
            files: 3,
            conversation: None,
        }
    }

    #[test]
    fn the_last_kill_or_restore_is_found() {
        let kill = || EventBody::StopRequested { cause: StopCause::Person };
        let resume = || EventBody::Retried { next: Next::Resume { with_prompt: false } };
        let here = || restored(Some("cp-ssssssss"), "/w");
        let at = Timestamp(1);
        let back = Last::Restored { at, safety: "cp-ssssssss".into(), talk: false };
        let check = |bodies, expected: &Last| assert_eq!(&last(&events(bodies), "/w"), expected);
        check(vec![here(), kill(), EventBody::Completed], &Last::Killed { at });
        check(vec![kill(), here()], &back);
        // As `resume --checkpoint-id` does.
        check(vec![kill(), here(), resume()], &back);
        check(vec![here(), restored(None, "/elsewhere")], &back);
        for (bodies, why) in [
            (vec![], "it was neither killed nor restored"),
            (vec![here(), kill(), resume()], "it was killed last, and started again since"),
            (vec![restored(None, "/w")], "its files were put where nothing was before"),
        ] {
            check(bodies, &Last::Nothing(why));
        }
    }

    #[test]
    fn a_conversation_that_went_on_stays() {
        let task = TaskView { session: None, turns: 3, ..sample() };
        assert!(is_as_it_was(&task, 3));
        assert!(!is_as_it_was(&task, 2));
        assert!(!is_as_it_was(&TaskView { turns: 3, ..sample() }, 3));
    }
}

//! The commands about tasks that exist: list, cancel, retry, delete.

use crate::{
    api::{
        client::ListQuery,
        types::{Env, Losses, Retry, Stop, TaskList},
        view::TaskView,
    },
    cli::{
        args::task::{self, List, Stopped, TaskCommand},
        context::Context,
        create::{self, Missing, caller_env, environment},
        diff,
        out::{Answer, Done},
        paint::Paint,
        park, prompt, show, sync,
        view::{change_line, table, telling, word},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp},
    },
};

/// Runs a command about tasks.
pub async fn run(context: &Context, command: &TaskCommand) -> Done {
    match command {
        TaskCommand::Create(args) => create::create(context, args).await,
        TaskCommand::List(args) => list(context, args).await,
        TaskCommand::Show(args) => show::show(context, args).await,
        TaskCommand::Watch { id } => sync::watch(context, id).await,
        TaskCommand::Diff(args) => diff::diff(context, args).await,
        TaskCommand::Cancel(args) => stop(context, args, Ending::Task).await,
        TaskCommand::Retry(args) => retry(context, args).await,
        TaskCommand::Park(args) => park::park(context, args).await,
        TaskCommand::Unpark(args) => park::unpark(context, args).await,
        TaskCommand::Delete(args) => delete(context, args).await,
    }
}

/// Lists tasks.
pub async fn list(context: &Context, args: &List) -> Done {
    let status = (!args.status.is_empty()).then(|| args.status.join(","));
    // Left out, the dispatcher would choose a limit of its own. What JSON holds exactly is enough.
    let limit = if args.all { u32::MAX as usize } else { args.limit };
    let query = ListQuery { status, limit: Some(limit), before: args.before.clone() };
    let list = context.client().await?.tasks(&query).await?;
    let out = &context.out;
    if out.json {
        out.json(&list)?;
    } else {
        out.line(&render(&list, SystemClock.now(), out.table_width(), out.paint))?;
    }
    Ok(0)
}

/// Returns the table and how much of all it shows.
pub fn render(list: &TaskList, now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    if list.tasks.is_empty() {
        return match list.total {
            0 => "No tasks.".to_owned(),
            total => format!("0 of {total} shown"),
        };
    }
    let count = paint.dim(&format!("{} of {} shown", list.tasks.len(), list.total));
    format!("{}\n{count}", table(&list.tasks, now, width, paint))
}

/// What is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The task, session or not.
    Task,
    /// The session, which there must be.
    Session,
}

/// Ends a task or a session; a person is asked once, and told what would be lost.
pub async fn stop(context: &Context, args: &Stopped, ending: Ending) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let mut id = args.id.clone();
    if !args.yes && out.can_ask() {
        let task = client.task(&id).await?;
        id.clone_from(&task.id);
        if task.session.is_some() {
            out.note(&lost_by_ending(&task, &client.losses(&id).await?));
            if !out.ask("End it?", Answer::No) {
                out.note("Nothing was ended.");
                return Ok(1);
            }
        }
    }
    let session_only = ending == Ending::Session;
    let task = client.stop(&id, &Stop { session_only }).await?;
    let task = sync::session_end(context, task).await?;
    match out.json {
        true => out.json(&task)?,
        // The task's outcome stands; only its session ended.
        false if matches!(task.state.as_str(), "COMPLETED" | "FAILED") => {
            let id = one_line(&task.id, 40);
            out.line(&format!("Session of {id} ended; the task is {}", word(&task)))?;
        }
        false => out.line(&change_line(&task, out.paint))?,
    }
    if task.session.is_some() && !out.json {
        out.note("Its session is still ending; the dispatcher goes on with it.");
    }
    Ok(0)
}

/// Says what ending a task's session loses.
fn lost_by_ending(task: &TaskView, losses: &Losses) -> String {
    let mut lines = vec![format!(
        "{} ({}) has a session: {}, {}",
        one_line(&task.id, 40),
        one_line(&task.name, 60),
        word(task),
        telling(task),
    )];
    told(&mut lines, "goes", &losses.goes);
    told(&mut lines, "stays", &losses.stays);
    lines.extend(losses.unseen.as_ref().map(|it| format!("  note: {}", one_line(it, 300))));
    lines.join("\n")
}

/// Adds a line for each of `what`.
fn told(lines: &mut Vec<String>, word: &str, what: &[String]) {
    lines.extend(what.iter().map(|it| format!("  {word}: {}", one_line(it, 400))));
}

async fn retry(context: &Context, args: &task::Retry) -> Done {
    let prompt = match &args.prompt {
        Some(text) => Some(prompt::from_argument(text, std::io::stdin().lock())?),
        None => None,
    };
    context.setup.check()?;
    let request = Retry {
        resume: args.resume,
        prompt,
        env: Env(environment(&args.env, Missing::Refuse)?),
        caller_env: caller_env(&context.setup.settings)?,
    };
    let task = context.client().await?.retry(&args.id, &request).await?;
    match context.out.json {
        true => context.out.json(&task)?,
        false => context.out.line(&change_line(&task, context.out.paint))?,
    }
    if request.resume && request.prompt.is_none() {
        let id = &task.id;
        context.out.note(&format!("It waits for a prompt: parhelia session prompt {id} \"…\""));
    }
    Ok(0)
}

async fn delete(context: &Context, args: &task::Delete) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let task = client.task(&args.id).await?;
    if !args.yes && out.can_ask() {
        out.note(&lost_by_deleting(&task, &client.losses(&task.id).await?));
        if !out.ask("Delete it?", Answer::No) {
            out.note("Nothing was deleted.");
            return Ok(1);
        }
    }
    let task = match args.no_checkpoint {
        true => client.delete_unsaved(&task.id).await?,
        false => client.delete(&task.id).await?,
    };
    match out.json {
        true => out.json(&task)?,
        false => out.line(&format!("Deleted {}", one_line(&task.id, 40)))?,
    }
    Ok(0)
}

/// Says what deleting a task takes away.
fn lost_by_deleting(task: &TaskView, losses: &Losses) -> String {
    let mut lines = vec![format!(
        "{} ({}) is {}",
        one_line(&task.id, 40),
        one_line(&task.name, 60),
        word(task)
    )];
    told(&mut lines, "goes", &losses.purge_goes);
    told(&mut lines, "stays", &losses.purge_stays);
    lines.extend(losses.unseen.as_ref().map(|it| format!("  note: {}", one_line(it, 300))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::tests::sample;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn a_list_says_how_much_of_all_it_shows() {
        let list = TaskList { tasks: vec![sample()], total: 12, seq: 9 };
        insta::assert_snapshot!(render(&list, Timestamp(75_000), Some(80), PLAIN), @r"
           ID             NAME          STATE      AGE   COST  LAST
        >  task-abcd2345  fix the race  working    15s  $0.31  Bash cargo test
        1 of 12 shown
        ");
        assert_eq!(
            render(&TaskList { tasks: vec![], total: 0, seq: 0 }, Timestamp(0), None, PLAIN),
            "No tasks."
        );
    }

    #[test]
    fn the_question_says_what_goes_and_what_stays() {
        let losses = Losses {
            unseen: Some("the workspace is no git\nrepository".into()),
            stays: vec!["the workspace /w".into(), "the conversation".into()],
            goes: vec!["the turn that runs".into()],
            purge_stays: vec!["its events".into()],
            purge_goes: vec!["the task \x1b[2J".into()],
            ..Losses::default()
        };
        insta::assert_snapshot!(lost_by_ending(&sample(), &losses), @r"
        task-abcd2345 (fix the race) has a session: working, Bash cargo test
          goes: the turn that runs
          stays: the workspace /w
          stays: the conversation
          note: the workspace is no git repository
        ");
        insta::assert_snapshot!(lost_by_deleting(&sample(), &losses), @r"
        task-abcd2345 (fix the race) is working
          goes: the task �[2J
          stays: its events
          note: the workspace is no git repository
        ");
    }
}

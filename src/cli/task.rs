//! The commands about tasks that exist: list, cancel, retry, delete.

use crate::{
    api::{
        client::ListQuery,
        types::{Env, Retry, Stop, TaskList},
        view::TaskView,
    },
    cli::{
        args::task::{self, List, Stopped, TaskCommand},
        context::Context,
        create::{self, Missing, caller_env, environment},
        out::{Answer, Done},
        paint::Paint,
        prompt, show, sync,
        view::{change_line, dollars, is_final, table, telling, word},
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
        TaskCommand::Cancel(args) => stop(context, args, Ending::Task).await,
        TaskCommand::Retry(args) => retry(context, args).await,
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
        if let Some(losses) = losses(&task) {
            out.note(&losses);
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

/// Says what ending a task's session loses; nothing if it has none.
fn losses(task: &TaskView) -> Option<String> {
    task.session.as_ref()?;
    let mut text = format!(
        "{} ({}) has a session: {}, {}\n",
        one_line(&task.id, 40),
        one_line(&task.name, 60),
        word(task),
        telling(task),
    );
    if !is_final(task) {
        text.push_str("  lost: the turn that runs, and what Claude was going to do\n");
    }
    let workspace = one_line(task.workspace.as_deref().unwrap_or("its workspace"), 300);
    text.push_str(&format!(
        "  kept: {workspace} as it stands (+{} -{} lines), the conversation, {} spent\n",
        task.lines_added,
        task.lines_removed,
        dollars(task.cost_usd),
    ));
    text.push_str("  back: parhelia task retry --resume goes on with the conversation");
    Some(text)
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

async fn delete(context: &Context, args: &Stopped) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let task = client.task(&args.id).await?;
    if !args.yes && out.can_ask() {
        out.note(&deletions(&task));
        if !out.ask("Delete it?", Answer::No) {
            out.note("Nothing was deleted.");
            return Ok(1);
        }
    }
    let task = client.delete(&task.id).await?;
    match out.json {
        true => out.json(&task)?,
        false => out.line(&format!("Deleted {}", one_line(&task.id, 40)))?,
    }
    Ok(0)
}

/// Says what deleting a task takes away.
fn deletions(task: &TaskView) -> String {
    let mut text = format!(
        "{} ({}) is {}. Deleted for good:\n",
        one_line(&task.id, 40),
        one_line(&task.name, 60),
        word(task)
    );
    text.push_str("  its row, prompt, answer and events\n");
    if let Some(dir) = &task.run_dir {
        text.push_str(&format!("  its run directory {}\n", one_line(dir, 300)));
    }
    match (&task.branch, task.isolation.as_str()) {
        (Some(branch), "worktree") => {
            let branch = one_line(branch, 200);
            text.push_str(&format!(
                "  what is uncommitted in its worktree; commits on {branch} stay in the repository"
            ));
        }
        (_, "none") => text.push_str("Your directory is not touched."),
        _ => text.push_str("  its workspace, with all that was not pushed"),
    }
    text
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
    fn the_question_says_what_is_lost_and_what_is_kept() {
        insta::assert_snapshot!(losses(&sample()).unwrap(), @r"
        task-abcd2345 (fix the race) has a session: working, Bash cargo test
          lost: the turn that runs, and what Claude was going to do
          kept: /runs/task-abcd2345/workspace as it stands (+4 -2 lines), the conversation, $0.31 spent
          back: parhelia task retry --resume goes on with the conversation
        ");
        insta::assert_snapshot!(deletions(&sample()), @r"
        task-abcd2345 (fix the race) is working. Deleted for good:
          its row, prompt, answer and events
          its run directory /runs/task-abcd2345
          what is uncommitted in its worktree; commits on parhelia/task-abcd2345 stay in the repository
        ");
        assert_eq!(losses(&TaskView { session: None, ..sample() }), None);
    }
}

//! `task park` and `task unpark`.

use crate::{
    api::{
        client::Client,
        error::{ApiError, ErrorKind},
        types,
        view::TaskView,
    },
    cli::{
        args::task::{Park, Unpark},
        budget,
        context::Context,
        create::caller_env,
        out::{Done, Failure},
        prompt, sync,
        view::change_line,
    },
    stdx::text::one_line,
};

/// Parks tasks. All are told before the first is waited for.
pub async fn park(context: &Context, args: &Park) -> Done {
    let client = context.client().await?;
    let ids = whole(&client, &args.ids).await?;
    let mut told = Vec::new();
    let mut status = 0;
    for id in &ids {
        match client.park(id).await {
            Ok(task) => told.push(task),
            Err(error) => status = failed(context, &error),
        }
    }
    for task in told {
        let task = sync::session_end(context, task).await?;
        say(context, &task)?;
        if task.session.is_some() && !context.out.json {
            context.out.note("It is still being saved; the dispatcher goes on with it.");
        }
    }
    Ok(status)
}

/// Lets parked tasks go on.
pub async fn unpark(context: &Context, args: &Unpark) -> Done {
    let prompt = match &args.prompt {
        Some(text) => Some(prompt::from_argument(text, std::io::stdin().lock())?),
        None => None,
    };
    context.setup.check()?;
    let how = types::Unpark { prompt, caller_env: caller_env(&context.setup.settings)? };
    let client = context.client().await?;
    let ids = match args.all {
        true => budget::parked(&client).await?,
        false => whole(&client, &args.ids).await?,
    };
    if ids.is_empty() {
        context.out.note("No task is parked.");
    }
    let mut status = 0;
    for id in &ids {
        match client.unpark(id, &how).await {
            Ok(task) => {
                say(context, &task)?;
                // One that is queued first has more to say.
                let begins = task.state != "PENDING" && task.conversation.is_some();
                if how.prompt.is_none() && begins && !context.out.json {
                    waits_for_prompt(context, &task);
                }
            }
            Err(error) => status = failed(context, &error),
        }
    }
    Ok(status)
}

/// Says of a task that goes on where it was how it is asked for something.
pub fn waits_for_prompt(context: &Context, task: &TaskView) {
    let id = one_line(&task.id, 40);
    context.out.note(&format!("It waits for a prompt: parhelia session prompt {id} \"…\""));
}

/// Looks every task up before the first is touched, so that a slip does nothing.
async fn whole(client: &Client, ids: &[String]) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    for id in ids {
        let id = client.task(id).await?.id;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

fn say(context: &Context, task: &TaskView) -> Result<(), Failure> {
    match context.out.json {
        true => context.out.json_line(task),
        false => context.out.line(&change_line(task, context.out.paint)),
    }
}

/// Says what hinders one of several tasks; the others are gone on with.
fn failed(context: &Context, error: &ApiError) -> u8 {
    context.out.error(error);
    error.kind.exit_code()
}

/// A task was parked while somebody waited for it: says why, and how it goes on.
pub fn parked(context: &Context, task: &TaskView) -> Failure {
    let out = &context.out;
    let id = one_line(&task.id, 40);
    let reason = one_line(task.reason.as_deref().unwrap_or("no reason is known"), 500);
    let by_person = reason.starts_with("parked by");
    let message = match by_person {
        true => format!("{id} was {reason}"),
        false => format!("{id} was parked: {reason}"),
    };
    let mut hints = vec![format!("to let it go on where it was: parhelia task unpark {id}")];
    if !by_person {
        let more = "first give it more: parhelia budget set USD";
        hints.insert(0, format!("{more} (--task {id} for it alone)"));
    }
    if out.json {
        let error = ApiError::new(ErrorKind::Budget, message);
        return hints.into_iter().fold(error, ApiError::hint).into();
    }
    out.note(&out.paint_err.yellow(&message));
    for hint in hints {
        out.note(&format!("  {} {hint}", out.paint_err.dim("hint:")));
    }
    Failure::Said(ErrorKind::Budget.exit_code())
}

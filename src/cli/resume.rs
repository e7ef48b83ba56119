//! `resume`: a task whose session is over goes on.

use crate::{
    api::{checkpoints::Resume, view::TaskView},
    cli::{
        args::checkpoint as args,
        checkpoint::restore::target,
        context::Context,
        create::caller_env,
        out::{Done, Failure},
        park::waits_for_prompt,
        prompt,
        view::change_line,
    },
};

/// Goes on with a task.
pub async fn resume(context: &Context, args: &args::Resume) -> Done {
    let prompt = match &args.prompt {
        Some(text) => Some(prompt::from_argument(text, std::io::stdin().lock())?),
        None => None,
    };
    let how = Resume {
        checkpoint: args.checkpoint_id.clone(),
        target: args.target.as_deref().map(target).transpose()?,
        prompt,
        ..Resume::default()
    };
    go(context, &args.id, how).await
}

/// Asks for it and says what became of it.
pub async fn go(context: &Context, id: &str, how: Resume) -> Done {
    context.setup.check()?;
    let waits = how.prompt.is_none();
    let how = Resume { caller_env: caller_env(&context.setup.settings)?, ..how };
    let task = context.client().await?.resume(id, &how).await?;
    told(context, &task, waits)?;
    Ok(0)
}

/// Says how a task is that goes on or begins again; `waits` if it does without a prompt.
pub fn told(context: &Context, task: &TaskView, waits: bool) -> Result<(), Failure> {
    let out = &context.out;
    match out.json {
        true => out.json(task)?,
        false => out.line(&change_line(task, out.paint))?,
    }
    if waits && !out.json {
        waits_for_prompt(context, task);
    }
    Ok(())
}

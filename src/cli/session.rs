//! The commands that step into a session.

use crate::{
    api::{
        client::Feed,
        error::{ApiError, ErrorKind},
        types::{Answer, Prompt, Sent, Snapshot, TaskList},
    },
    cli::{
        args::session::SessionCommand,
        attach,
        context::Context,
        out::Done,
        prompt, recover,
        task::{self, Ending},
        view::word,
    },
    domain::event::Delivery,
    stdx::{
        text::one_line,
        time::{Clock, SystemClock},
    },
};

/// Runs a command about sessions.
pub async fn run(context: &Context, command: &SessionCommand) -> Done {
    match command {
        SessionCommand::List => list(context).await,
        SessionCommand::Attach(args) => attach::attach(context, args).await,
        SessionCommand::Shell { id } => attach::shell(context, id).await,
        SessionCommand::Kill(args) => task::stop(context, args, Ending::Session).await,
        SessionCommand::Recover(args) => recover::recover(context, args).await,
        SessionCommand::Prompt(args) => {
            let text = prompt::from_argument(&args.text, std::io::stdin().lock())?;
            let sent = context.client().await?.prompt(&args.id, &Prompt { text }).await?;
            told(context, &sent)
        }
        SessionCommand::Interrupt { id } => {
            let sent = context.client().await?.interrupt(id).await?;
            told(context, &sent)
        }
        SessionCommand::Answer(args) => {
            let request = Answer {
                ask: args.ask.clone(),
                words: args.words.clone(),
                message: args.message.clone(),
            };
            let sent = context.client().await?.answer(&args.id, &request).await?;
            told(context, &sent)
        }
    }
}

/// Lists the tasks that have a session, finished ones that are still open included.
async fn list(context: &Context) -> Done {
    // A snapshot holds just what may have a session; a list would hold every past task.
    let mut feed = context.client().await?.feed(None).await?;
    let Some(Feed::Snapshot(Snapshot { seq, mut tasks })) = feed.next().await? else {
        return Err(ApiError::new(ErrorKind::Dispatcher, "the dispatcher is ending").into());
    };
    tasks.retain(|it| it.session.is_some());
    let list = TaskList { total: tasks.len(), tasks, seq };
    let out = &context.out;
    if out.json {
        out.json(&list)?;
    } else if list.tasks.is_empty() {
        out.line("No sessions.")?;
    } else {
        out.line(&task::render(&list, SystemClock.now(), out.table_width(), out.paint))?;
    }
    Ok(0)
}

/// Says what became of something that was sent; only what Claude confirmed is a success.
fn told(context: &Context, sent: &Sent) -> Done {
    let out = &context.out;
    if out.json {
        out.json(sent)?;
    } else {
        out.line(&render(sent))?;
    }
    Ok(match sent.outcome {
        Delivery::Submitted => 0,
        Delivery::Typed | Delivery::NotDelivered => 1,
    })
}

fn render(sent: &Sent) -> String {
    let outcome = sent.outcome.as_str();
    if sent.detail.is_empty() {
        format!("{outcome} ({} is {})", one_line(&sent.task.id, 40), word(&sent.task))
    } else {
        format!("{outcome}: {}", one_line(&sent.detail, 500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::tests::sample;

    #[test]
    fn what_was_not_confirmed_says_why() {
        let sent = |outcome, detail: &str| Sent { outcome, detail: detail.into(), task: sample() };
        assert_eq!(render(&sent(Delivery::Submitted, "")), "submitted (task-abcd2345 is working)");
        assert_eq!(
            render(&sent(Delivery::NotDelivered, "a draft stands in the input box")),
            "not delivered: a draft stands in the input box"
        );
    }
}

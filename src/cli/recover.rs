//! `session recover`: what happened to a task, what there is of it, and what can be done.

use crate::{
    api::{
        checkpoints::{Recovery, Resume, Way, WayDoes},
        client::Client,
        error::{ApiError, ErrorKind},
        types::{Env, Retry},
        view::TaskView,
    },
    cli::{
        args::{checkpoint as args, session::Attach},
        attach,
        checkpoint::{card, origin},
        context::Context,
        create::caller_env,
        out::Done,
        paint::Paint,
        resume,
        view::{FIELD_MAX, pad},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp, short},
    },
};

/// Shows what can be brought back of a task, and does what is chosen.
pub async fn recover(context: &Context, args: &args::Recover) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let task = client.task(&args.id).await?;
    let found = client.recovery(&task.id).await?;
    let now = SystemClock.now();
    if args.yes {
        let way = found.ways.first().ok_or_else(|| nothing(&task))?;
        if !out.json {
            out.note(&facts(&task, &found, now, out.paint_err));
            out.note(&format!("{}: {}", word(way), one_line(&way.text, FIELD_MAX)));
        }
        return take(context, &client, &task, way).await;
    }
    if !out.can_ask() {
        match out.json {
            true => out.json(&found)?,
            false => {
                let (facts, menu) = (facts(&task, &found, now, out.paint), menu(&found, out.paint));
                out.line(&format!("{facts}\n{}", menu.join("\n")))?;
            }
        }
        let id = one_line(&task.id, 40);
        if !out.json && !found.ways.is_empty() {
            out.note(&format!("To do the first: parhelia session recover {id} --yes"));
        }
        return Ok(0);
    }
    out.note(&facts(&task, &found, now, out.paint_err));
    wizard(context, &client, &task, &found).await
}

/// Asks until something is chosen that ends it.
async fn wizard(context: &Context, client: &Client, task: &TaskView, found: &Recovery) -> Done {
    let out = &context.out;
    loop {
        for line in menu(found, out.paint_err) {
            out.note(&line);
        }
        out.note("  v) view the checkpoint");
        out.note("  c) cancel");
        let default = if found.ways.is_empty() { "c" } else { "1" };
        let answer = out.question(&format!("What now? [{default}]")).unwrap_or("c".to_owned());
        let answer = if answer.is_empty() { default } else { &answer };
        match choice(answer, &found.ways) {
            Some(Choice::Way(way)) => return take(context, client, task, way).await,
            Some(Choice::View) => match &found.last {
                Some(last) => {
                    let detail = client.checkpoint_detail(&last.id).await?;
                    out.note(&card(&detail, SystemClock.now(), out.paint_err));
                }
                None => out.note("There is no whole checkpoint of it."),
            },
            Some(Choice::Cancel) => {
                out.note("Nothing was changed.");
                return Ok(1);
            }
            None => out.note(&format!("`{}` is none of these.", one_line(answer, 40))),
        }
    }
}

/// What a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice<'a> {
    Way(&'a Way),
    View,
    Cancel,
}

/// Reads a number, or the beginning of a word.
fn choice<'a>(answer: &str, ways: &'a [Way]) -> Option<Choice<'a>> {
    let answer = answer.trim().to_ascii_lowercase();
    if let Ok(number) = answer.parse::<usize>() {
        return ways.get(number.checked_sub(1)?).map(Choice::Way);
    }
    let is = |word: &str| !answer.is_empty() && word.starts_with(&answer);
    if let Some(way) = ways.iter().find(|it| is(word(it))) {
        return Some(Choice::Way(way));
    }
    match () {
        () if is("view") => Some(Choice::View),
        () if is("cancel") || is("quit") => Some(Choice::Cancel),
        () => None,
    }
}

/// Does what was chosen.
async fn take(context: &Context, client: &Client, task: &TaskView, way: &Way) -> Done {
    let out = &context.out;
    let id = one_line(&task.id, 40);
    match way.does {
        WayDoes::Attach if out.tty && out.tty_in && !out.json => {
            let args =
                Attach { id: task.id.clone(), read_only: false, verbose: false, detach_key: None };
            attach::attach(context, &args).await
        }
        WayDoes::Attach => {
            match out.json {
                true => out.json(task)?,
                false => out.line(&format!("The session lives: parhelia attach {id}"))?,
            }
            Ok(0)
        }
        WayDoes::Wait => {
            let message = format!("there is nothing to do yet: {}", one_line(&way.text, FIELD_MAX));
            Err(ApiError::new(ErrorKind::Host, message)
                .hint(format!("try it again: parhelia session recover {id}"))
                .into())
        }
        // Without a checkpoint only what is missing is put back; what is there stays.
        WayDoes::Resume | WayDoes::RestoreResume => {
            let how = Resume { checkpoint: way.checkpoint.clone(), ..Resume::default() };
            resume::go(context, &task.id, how).await
        }
        WayDoes::Fresh => {
            context.setup.check()?;
            let request = Retry {
                resume: false,
                prompt: None,
                env: Env::default(),
                caller_env: caller_env(&context.setup.settings)?,
            };
            let task = client.retry(&task.id, &request).await?;
            resume::told(context, &task, false)?;
            Ok(0)
        }
    }
}

fn nothing(task: &TaskView) -> ApiError {
    ApiError::new(
        ErrorKind::Conflict,
        format!("nothing can be done for {}", one_line(&task.id, 40)),
    )
    .hint(format!("parhelia task show {} --why", one_line(&task.id, 40)))
}

/// Returns what happened, and what there is.
fn facts(task: &TaskView, found: &Recovery, now: Timestamp, paint: Paint) -> String {
    let head = format!("{} ({})", one_line(&task.id, 40), one_line(&task.name, 60));
    let mut lines = vec![format!("{}: {}", paint.bold(&head), one_line(&found.reason, FIELD_MAX))];
    lines.push(match &found.last {
        None => "  last checkpoint  none that is whole".to_owned(),
        Some(it) => {
            let (id, ago) = (one_line(&it.id, 40), short(now.since(it.at)));
            format!("  last checkpoint  {id}, {ago} ago ({})", origin(it, now))
        }
    });
    for it in &found.pieces {
        let state = one_line(&it.state, FIELD_MAX);
        let state = if it.ok { state } else { paint.red(&state) };
        lines.push(format!("  {}  {state}", pad(&one_line(&it.name, 20), 15)));
    }
    lines.join("\n")
}

/// Returns a line for each way, the recommended one first.
fn menu(found: &Recovery, paint: Paint) -> Vec<String> {
    let line = |(at, way): (usize, &Way)| {
        let text = one_line(&way.text, FIELD_MAX);
        let best = if at == 0 { paint.green(" (recommended)") } else { String::new() };
        format!("  {}) {}{best}: {text}", at + 1, word(way))
    };
    found.ways.iter().enumerate().map(line).collect()
}

/// Returns the word for what a way does.
fn word(way: &Way) -> &'static str {
    match way.does {
        WayDoes::Attach => "attach",
        WayDoes::Wait => "wait",
        WayDoes::RestoreResume if way.checkpoint.is_some() => "go back",
        WayDoes::Resume | WayDoes::RestoreResume => "resume",
        WayDoes::Fresh => "start fresh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::checkpoints::Piece,
        cli::{
            checkpoint::tests::{NOON, no_clock, sample as checkpoint},
            view::tests::sample,
        },
    };

    fn found() -> Recovery {
        let way = |does, text: &str| Way { does, text: text.into(), checkpoint: None };
        let piece =
            |name: &str, state: &str, ok| Piece { name: name.into(), state: state.into(), ok };
        Recovery {
            task: "task-abcd2345".into(),
            reason: "the session was lost: no \x1b[2J server".into(),
            last: Some(checkpoint()),
            pieces: vec![
                piece("session", "gone", true),
                piece("workspace", "gone, in cp-abcd2345 of 14:31", true),
                piece("conversation", "gone", false),
            ],
            ways: vec![
                way(WayDoes::RestoreResume, "puts the workspace back and goes on"),
                way(WayDoes::Fresh, "begins again with the task's prompt"),
            ],
        }
    }

    #[test]
    fn a_recovery_says_what_happened_and_what_can_be_done() {
        let plain = Paint { on: false };
        let shown = format!(
            "{}\n{}",
            facts(&sample(), &found(), NOON, plain),
            menu(&found(), plain).join("\n")
        );
        insta::assert_snapshot!(no_clock(&shown), @r"
        task-abcd2345 (fix the race): the session was lost: no �[2J server
          last checkpoint  cp-abcd2345, 5m ago (hh:mm:ss, turn)
          session          gone
          workspace        gone, in cp-abcd2345 of 14:31
          conversation     gone
          1) resume (recommended): puts the workspace back and goes on
          2) start fresh: begins again with the task's prompt
        ");
        let nothing = Recovery { last: None, ..found() };
        assert!(facts(&sample(), &nothing, NOON, plain).contains("none that is whole"));
    }

    #[test]
    fn a_choice_is_a_number_or_the_beginning_of_a_word() {
        let found = found();
        let is = |answer: &str| choice(answer, &found.ways);
        assert_eq!(is("1"), Some(Choice::Way(&found.ways[0])));
        assert_eq!(is(" Re "), Some(Choice::Way(&found.ways[0])));
        assert_eq!(is("start"), Some(Choice::Way(&found.ways[1])));
        assert_eq!(
            (is("v"), is("c"), is("q")),
            (Some(Choice::View), Some(Choice::Cancel), Some(Choice::Cancel))
        );
        for none in ["0", "3", "", "x", "99999999999999999999999"] {
            assert_eq!(is(none), None, "{none}");
        }
    }
}

//! `logs`: what a task did, line by line.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    api::{
        client::LogQuery,
        error::{ApiError, ErrorKind},
        types::LogLine,
    },
    cli::{
        args::Logs,
        context::Context,
        out::{Done, Failure},
        paint::Paint,
        sync::INTERRUPTED,
        view::pad,
        when::{clock, parse_since},
    },
    stdx::{
        backoff::Backoff,
        text::{one_line, printable},
        time::{Clock, SystemClock},
    },
};

/// Lines shown where neither a number nor a time was given: a few screens.
const USUAL_TAIL: usize = 200;

/// How a lost dispatcher is looked for again while following.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// Failures in a row after which following is given up: about 30 s.
const FAILURES_MAX: u32 = 11;

/// Shows a task's log.
pub async fn logs(context: &Context, args: &Logs) -> Done {
    let since = match &args.since {
        Some(text) => Some(parse_since(text, SystemClock.now())?.0),
        None => None,
    };
    let view = match (args.events, args.raw) {
        (true, _) => "events",
        (_, true) => "raw",
        _ => "activity",
    };
    let tail = args.tail.or(since.is_none().then_some(USUAL_TAIL));
    let query =
        LogQuery { view: view.into(), tail, since, follow: args.follow, before: args.before };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let result = tokio::select! {
        it = read(context, args, query) => it,
        _ = interrupt.recv() => Ok(INTERRUPTED),
    };
    if args.raw && context.out.tty {
        // What was shown may have left colours behind.
        context.out.bytes(b"\x1b[0m\n")?;
    }
    result
}

/// Prints the log; while following, goes on behind the last line when the dispatcher restarts.
async fn read(context: &Context, args: &Logs, mut query: LogQuery) -> Done {
    let mut failures = 0;
    let mut seen = Seen::default();
    loop {
        let mut broken = match stream(context, args, &query, (&mut seen, &mut failures)).await {
            Ok(()) if !args.follow => return Ok(0),
            Ok(()) => None,
            Err(Failure::Api(it)) if args.follow && it.kind == ErrorKind::Dispatcher => Some(it),
            Err(it) => return Err(it),
        };
        failures += 1;
        if FAILURES_MAX < failures {
            let gone = || ApiError::new(ErrorKind::Dispatcher, "the dispatcher went away");
            return Err(broken.take().unwrap_or_else(gone).into());
        }
        sleep(AGAIN.after(failures)).await;
        query.since = seen.newest.or(query.since);
        // Lines without a time cannot be told apart from those shown, so only new ones follow.
        query.tail = seen.newest.is_none().then_some(0);
        seen.again();
    }
}

/// What was shown of the newest moment, since a stream taken up again begins with that moment.
#[derive(Debug, Default)]
struct Seen {
    newest: Option<i64>,
    then: Vec<LogLine>,
    repeated: Vec<LogLine>,
}

impl Seen {
    /// Takes a line in; tells whether it is new.
    fn is_new(&mut self, line: &LogLine) -> bool {
        if let Some(at) = self.repeated.iter().position(|it| it == line) {
            self.repeated.swap_remove(at);
            return false;
        }
        let at = line.at.map(|it| it.0);
        if self.newest < at {
            self.newest = at;
            self.then.clear();
        }
        if at.is_some() && at == self.newest {
            self.then.push(line.clone());
        }
        true
    }

    /// Expects the lines of the newest moment once more.
    fn again(&mut self) {
        self.repeated.clone_from(&self.then);
    }
}

async fn stream(
    context: &Context,
    args: &Logs,
    query: &LogQuery,
    (seen, failures): (&mut Seen, &mut u32),
) -> Result<(), Failure> {
    let out = &context.out;
    let mut lines = context.client().await?.log(&args.id, query).await?;
    while let Some(line) = lines.next().await? {
        *failures = 0;
        if !seen.is_new(&line) {
            continue;
        }
        if out.json {
            out.json_line(&line)?;
        } else if args.raw {
            out.line(line.text.trim_end_matches('\n'))?;
        } else {
            out.line(&render(&line, out.paint))?;
        }
    }
    Ok(())
}

/// Returns a log line: time, kind, text; further lines of the text stand under its first.
fn render(line: &LogLine, paint: Paint) -> String {
    let at = line.at.map_or_else(|| " ".repeat(8), clock);
    let kind = pad(&one_line(&line.kind, 8), 5);
    let kind = match line.kind.as_str() {
        "you" => paint.green(&kind),
        "tool" => paint.cyan(&kind),
        "fail" => paint.red(&kind),
        "text" => kind,
        _ => paint.dim(&kind),
    };
    let text = printable(line.text.trim_end());
    let mut lines = text.lines();
    let mut shown = format!("{} {kind} {}", paint.dim(&at), lines.next().unwrap_or_default());
    for more in lines {
        shown.push('\n');
        shown.push_str(&" ".repeat(15));
        shown.push_str(more);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stdx::time::Timestamp;

    fn shown(kind: &str, text: &str) -> String {
        render(
            &LogLine { at: None, kind: kind.into(), text: text.into(), pos: None },
            Paint { on: false },
        )
    }

    #[test]
    fn a_stream_taken_up_again_repeats_nothing() {
        let line = |at, text: &str| LogLine {
            at: Some(Timestamp(at)),
            kind: "out".into(),
            text: text.into(),
            pos: None,
        };
        let mut seen = Seen::default();
        let first = [line(1, "a"), line(2, "b"), line(2, "b")];
        assert!(first.iter().all(|it| seen.is_new(it)));
        seen.again();
        let second = [line(2, "b"), line(2, "b"), line(2, "b"), line(3, "c")];
        assert_eq!(second.map(|it| seen.is_new(&it)), [false, false, true, true]);
        assert_eq!(seen.newest, Some(3));
    }

    #[test]
    fn further_lines_stand_under_the_first() {
        assert_eq!(
            shown("out", "one\ntwo\x1b[2J\n\n"),
            "         out   one\n               two\u{fffd}[2J"
        );
    }

    proptest! {
        #[test]
        fn a_log_line_never_steers_the_terminal(kind in ".{0,9}", text in "[\\x00-\\x7f]{0,60}") {
            let line = LogLine { at: Some(Timestamp(0)), kind, text, pos: None };
            let it = render(&line, Paint { on: false });
            let bad = it.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            prop_assert_eq!(bad, None, "{:?}", it);
        }
    }
}

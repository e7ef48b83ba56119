//! `attach`: this terminal becomes the session's.
//!
//! Bytes pass both ways as they are. Four workers share nothing but queues: a thread that reads
//! keys, a task that sends frames, a task that receives them, and a thread that writes the
//! screen. So a terminal that reads slowly never holds up a key, and a slow link never holds up
//! a signal.

mod wire;

use std::{io::IsTerminal, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    api::{
        client::AttachQuery,
        error::{ApiError, ErrorKind},
        frames::PtyFrame,
    },
    cli::{
        args::session::Attach,
        attach::wire::{Ended, Wire},
        context::Context,
        out::{Done, Failure},
        paint::Paint,
        sync,
        view::{change_line, word},
    },
    stdx::text::one_line,
    tui::outer::{Raw, size},
};

/// The first word of the dispatcher's last frame when a person left and the session goes on.
pub const DETACHED: &str = "detached";

/// The first word of that frame when tmux could not attach; what it said follows.
pub const FAILED: &str = "failed: ";

/// Longest wait for the last bytes to reach a terminal that may have stopped reading.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// What a command exits with that was ended by a signal, past the signal's number.
const SIGNALLED: u8 = 128;

/// Puts this terminal into a session until it is left or ends.
pub async fn attach(context: &Context, args: &Attach) -> Done {
    if !is_terminal() {
        return Err(ApiError::new(
            ErrorKind::Invalid,
            "attach needs a terminal on stdin and stdout",
        )
        .hint(format!("parhelia logs {} --follow works in a pipe", one_line(&args.id, 40)))
        .into());
    }
    let steps = Steps::new(context, args.verbose);
    let client = context.client().await?;
    steps.say("connected to the dispatcher");
    let task = client.task(&args.id).await?;
    let id = one_line(&task.id, 40);
    steps.say(&format!("{id} is {}", word(&task)));
    if std::env::var_os("TMUX").is_some_and(|it| !it.is_empty()) {
        context.out.note("Inside tmux: leave with Ctrl-Q or F12; your own prefix stays yours.");
    }
    let query = AttachQuery { read_only: args.read_only, ..this_terminal() };
    let (cols, rows, term) = (query.cols, query.rows, one_line(&query.term, 60));
    steps.say(&format!("this terminal: {cols} columns, {rows} rows, {term}"));
    let stream = client.attach(&task.id, &query).await?;
    steps.say("attached; the session appears now");

    let raw = Raw::enter()?;
    let wire = Wire::start(stream, args.detach_key);
    let result = pass(wire, &raw).await;
    drop(raw);
    let left = result?;
    if let Left::Over(_) = left {
        // Best told by the task itself, which is not there any more if it was deleted.
        if let Ok(task) = client.task(&task.id).await
            && let Ok(task) = sync::session_end(context, task).await
        {
            context
                .out
                .note(&format!("[session ended: {}]", change_line(&task, Paint { on: false })));
            return Ok(0);
        }
    }
    Ok(tell(context, &id, left))
}

/// Puts this terminal into a login shell in a task's workspace until the shell ends.
pub async fn shell(context: &Context, id: &str) -> Done {
    if !is_terminal() {
        return Err(ApiError::new(
            ErrorKind::Invalid,
            "a shell needs a terminal on stdin and stdout",
        )
        .hint(format!("parhelia task show {} says where its workspace is", one_line(id, 40)))
        .into());
    }
    let client = context.client().await?;
    let task = client.task(id).await?;
    let stream = client.shell(&task.id, &this_terminal()).await?;
    let workspace = one_line(task.workspace.as_deref().unwrap_or("its workspace"), 300);
    let id = one_line(&task.id, 40);
    context.out.note(&format!("[shell in {workspace} of {id}; exit or Ctrl-D leaves]"));
    let raw = Raw::enter()?;
    let result = pass(Wire::start(stream, None), &raw).await;
    drop(raw);
    let out = &context.out;
    Ok(match result? {
        Left::Over(_) | Left::Detached => {
            out.note("[shell ended]");
            0
        }
        Left::Lost(why) => {
            out.note(&format!("[connection lost: {}; the shell has ended]", one_line(&why, 300)));
            ErrorKind::Dispatcher.exit_code()
        }
        Left::Signalled(number) => SIGNALLED.saturating_add(number),
    })
}

fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Returns what the dispatcher must know of this terminal.
fn this_terminal() -> AttachQuery {
    let (cols, rows) = size();
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm-256color".to_owned());
    AttachQuery { cols, rows, term, read_only: false, pane: false }
}

/// Refuses to go on without a terminal.
pub fn need_terminal() -> Result<(), ApiError> {
    if is_terminal() {
        return Ok(());
    }
    Err(ApiError::new(ErrorKind::Invalid, "attaching needs a terminal on stdin and stdout")
        .hint("in a pipe, parhelia logs ID --follow shows what a task does"))
}

/// Why the passing ended.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// The session goes on.
    Detached,
    /// It does not, for this reason.
    Over(String),
    /// The connection broke; how the session is is not known.
    Lost(String),
    /// This process was told to end, with this signal.
    Signalled(u8),
}

/// What the loop wakes for.
enum Turn {
    Ended(Ended),
    Resized,
    Continued,
    LeftByKey,
    Signalled(i32),
}

async fn pass(mut wire: Wire, raw: &Raw) -> Result<Left, Failure> {
    let mut signals = Signals::new()?;
    loop {
        let turn = tokio::select! {
            it = &mut wire.receiver => Turn::Ended(Ended::of(it)),
            it = signals.next() => it,
            Some(()) = wire.leave.recv() => Turn::LeftByKey,
        };
        match turn {
            Turn::Ended(ended) => {
                // Everything received is shown before the terminal is given back.
                let _ = timeout(DRAIN_LIMIT, wire.drain()).await;
                return Ok(match ended {
                    Ended::Said(why) if why.starts_with(DETACHED) => Left::Detached,
                    Ended::Said(why) if why.starts_with(FAILED) => {
                        let why = why.trim_start_matches(FAILED);
                        let message = format!("tmux cannot show the session here: {why}");
                        return Err(ApiError::new(ErrorKind::Host, message)
                            .hint("try it with another TERM, such as TERM=xterm-256color")
                            .into());
                    }
                    Ended::Said(why) => Left::Over(why),
                    Ended::Broken(why) => Left::Lost(why),
                });
            }
            Turn::Resized => resize(&wire.frames),
            Turn::Continued => {
                // Whoever stopped us had the terminal meanwhile.
                raw.again()?;
                resize(&wire.frames);
            }
            Turn::LeftByKey => {
                stop(&mut wire).await;
                return Ok(Left::Detached);
            }
            Turn::Signalled(number) => {
                stop(&mut wire).await;
                return Ok(Left::Signalled(u8::try_from(number).unwrap_or(0)));
            }
        }
    }
}

/// Ends the output, so that nothing is written to a terminal that was given back.
async fn stop(wire: &mut Wire) {
    wire.receiver.abort();
    let _ = timeout(DRAIN_LIMIT, wire.drain()).await;
}

/// Sends the present size. If the queue is full the next change carries it.
fn resize(frames: &mpsc::Sender<PtyFrame>) {
    let (cols, rows) = size();
    let _ = frames.try_send(PtyFrame::Resize { cols, rows });
}

/// Says how it ended and returns the status.
fn tell(context: &Context, id: &str, left: Left) -> u8 {
    let out = &context.out;
    match left {
        Left::Detached => {
            out.note(&format!("[detached from {id}; it keeps running]"));
            0
        }
        Left::Over(why) => {
            out.note(&format!("[session ended: {}]", one_line(&why, 300)));
            0
        }
        Left::Lost(why) => {
            out.note(&format!("[connection lost: {}; {id} keeps running]", one_line(&why, 300)));
            out.note(&format!("  hint: parhelia attach {id}"));
            ErrorKind::Dispatcher.exit_code()
        }
        Left::Signalled(number) => {
            out.note(&format!("[detached from {id}; it keeps running]"));
            SIGNALLED.saturating_add(number)
        }
    }
}

/// Signals that matter while the terminal is raw.
struct Signals {
    resized: Signal,
    continued: Signal,
    ending: [(Signal, i32); 3],
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use rustix::process::Signal as Number;
        let on = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
        let ending = |number: Number| on(number).map(|it| (it, number.as_raw()));
        Ok(Signals {
            resized: on(Number::WINCH)?,
            continued: on(Number::CONT)?,
            ending: [ending(Number::TERM)?, ending(Number::HUP)?, ending(Number::INT)?],
        })
    }

    async fn next(&mut self) -> Turn {
        let [(term, t), (hangup, h), (interrupt, i)] = &mut self.ending;
        tokio::select! {
            _ = self.resized.recv() => Turn::Resized,
            _ = self.continued.recv() => Turn::Continued,
            _ = term.recv() => Turn::Signalled(*t),
            _ = hangup.recv() => Turn::Signalled(*h),
            _ = interrupt.recv() => Turn::Signalled(*i),
        }
    }
}

/// Tells each step with its time, if that was asked for.
struct Steps<'a> {
    context: &'a Context,
    begun: Option<Instant>,
}

impl Steps<'_> {
    fn new(context: &Context, verbose: bool) -> Steps<'_> {
        Steps { context, begun: verbose.then(Instant::now) }
    }

    fn say(&self, what: &str) {
        if let Some(begun) = self.begun {
            let millis = begun.elapsed().as_secs_f64() * 1e3;
            self.context.out.note(&format!("{millis:8.1} ms  {what}"));
        }
    }
}

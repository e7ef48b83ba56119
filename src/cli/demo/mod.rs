//! `demo`: Parhelia at work on a machine that has neither Claude, nor a key, nor a network.
//!
//! Dispatcher, tmux and git are the real ones; only Claude is played, by a script. It happens in
//! two steps. The first makes a directory and becomes this program again inside of it: same
//! process, but home, state and sockets are the demo's, so that nothing the demo does can reach
//! what belongs to the person. The second fills it with tasks, opens the dashboard, and takes
//! everything away at its end.

mod env;
mod ground;
mod install;
mod process;
mod tasks;

use std::{path::Path, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use crate::cli::{
    args::Demo,
    context::Context,
    dashboard::{self, Show},
    demo::{env::Places, ground::Ground, install::Consent},
    out::{Done, Failure, Out},
    start,
    sync::INTERRUPTED,
};

/// How long the dashboard may take to give the terminal back after a signal.
const CLOSING: Duration = Duration::from_secs(2);

/// The first step: looks for what is needed, clears what a crashed demo left, makes the directory
/// and goes on inside of it. Returns only if that fails.
pub fn begin(out: &Out, args: &Demo) -> Done {
    let consent = if args.install { Consent::Given } else { Consent::NotGiven };
    install::need(out, consent)?;
    for dir in ground::sweep() {
        out.note(&format!("Removed what a demo left that did not end: {}", dir.display()));
    }
    let ground = Ground::make()?;
    Err(ground.enter(out, args).into())
}

/// The second step, inside of the directory.
pub async fn run(context: &Context, args: &Demo) -> Done {
    let Some(dir) = &args.inside else { return begin(&context.out, args) };
    // From here on a signal ends the demo and not just the process.
    let mut signals = Signals::new()?;
    // Dropping it takes everything away, also when this panics.
    let mut ground = Ground::inside(dir)?;
    let played = {
        let mut playing = std::pin::pin!(play(context, args));
        tokio::select! {
            played = &mut playing => played,
            // The dashboard sees the signal too, and closes by itself.
            status = signals.next() => timeout(CLOSING, playing).await.unwrap_or(Ok(status)),
        }
    };
    if args.keep && played.is_ok() {
        ground.keep()?;
        tell(context, "The demo goes on. To look at it:")?;
        context.out.note(&format!("To end it: parhelia demo --end {}", dir.display()));
    }
    played
}

/// Ends a demo that was kept.
pub fn end(out: &Out, dir: &Path) -> Done {
    drop(Ground::left(dir)?);
    out.line(&format!("The demo in {} has ended", dir.display()))?;
    Ok(0)
}

async fn play(context: &Context, args: &Demo) -> Done {
    context.setup.check()?;
    let client = start::connect(&context.setup, &context.out).await?;
    let victim = tasks::submit(context, &client).await?;
    let killing = tokio::spawn(tasks::kill_once_it_works(client.clone(), victim));
    let opened = if args.headless { headless(context).await } else { open(context).await };
    killing.abort();
    opened
}

/// Opens the dashboard, and returns when it was closed; without a terminal, says where to look.
async fn open(context: &Context) -> Done {
    if context.out.tty && context.out.tty_in {
        return dashboard::open(context, Show::Demo).await;
    }
    tell(context, "The demo runs until Ctrl-C. To look at it from another terminal:")?;
    let mut signals = Signals::new()?;
    Ok(signals.next().await)
}

/// Says where everything is, and waits until it is told to end.
async fn headless(context: &Context) -> Done {
    let places = Places::of(&context.setup);
    match context.out.json {
        true => context.out.json_line(&places.to_json())?,
        false => context.out.line(&places.assignments().join("\n"))?,
    }
    let mut signals = Signals::new()?;
    signals.next().await;
    Ok(0)
}

/// Says how the demo is looked at.
fn tell(context: &Context, head: &str) -> Result<(), Failure> {
    let launcher = context.setup.dirs.state.with_file_name("parhelia");
    context.out.note(head);
    context.out.line(&format!("  {} list", launcher.display()))
}

/// The signals that end a demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one; returns the status it makes the program end with.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}

//! The loop, and what of the effects is its own to do.

use std::{io, path::PathBuf, time::Duration};

use ratatui::layout::Rect;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    api::error::ApiError,
    stdx::time::{Clock, SystemClock, Timestamp},
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect, HandOver},
        model::{Model, look::LookSource},
        msg::{Configured, Input, Msg, Reply, RequestId, Returned},
        outer::{
            self, Outer,
            keys::Keys,
            say,
            signals::{Asked, Signals},
            writer::Writer,
        },
        paint::paint,
        perform::{Performer, handover, term::Chunk},
        recorder,
        run::{Outcome, Reloaded, gone},
        update::update,
        view::view,
    },
};

/// Longest the loop takes news in before it lets a frame out.
const DRAIN_BUDGET: Duration = Duration::from_millis(4);

/// Usual time between two frames that nobody typed for: 30 a second. More are seen by nobody, and
/// a session that floods needs the processor itself.
const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);

/// Frames that may come sooner, if there was a pause before: what a key or the start brings comes
/// in two or three pieces.
const FRAMES_AHEAD: u32 = 2;

/// The same after a key, which waits for no beat of the news: 250 a second, so that a mouse that
/// is moved does not draw without end.
const TYPED_INTERVAL: Duration = Duration::from_millis(4);

/// Longest wait for files that are being written when the dashboard is left.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// Where things are.
pub struct Places {
    pub dir: PathBuf,
    pub program: PathBuf,
    /// Whether Mosh carries the terminal.
    pub mosh: bool,
}

/// What the loop listens to besides the keys.
pub struct Queues {
    pub news: mpsc::Receiver<Msg>,
    pub output: mpsc::Receiver<Chunk>,
    pub reloads: mpsc::Receiver<Reloaded>,
    pub signals: Signals,
}

/// Everything that wakes the loop.
#[expect(clippy::large_enum_variant, reason = "one at a time, and most are news")]
enum Turn {
    Signal(Asked),
    /// A panic somewhere gave the terminal back.
    Defect,
    Typed(io::Result<Vec<Input>>),
    /// The frame under way is out.
    Written(io::Result<()>),
    /// A frame is due.
    Draw,
    News(Msg),
    Reloaded(Box<Reloaded>),
    Wake,
    /// The program that had the terminal has ended.
    Returned(Returned),
}

/// The dashboard as it runs.
pub struct Live {
    model: Model,
    /// The terminal and its keys; nothing while another program has them.
    held: Option<Held>,
    performer: Performer,
    queues: Queues,
    places: Places,
    writer: Writer,
    clock: SystemClock,
    /// What the terminal shows; nothing if that is not known.
    shown: Option<Canvas>,
    canvas: Canvas,
    /// What goes in front of the next frame.
    ahead: Vec<u8>,
    dirty: bool,
    /// The title, to be said again after another program had the terminal.
    title: String,
    /// Who is to have the terminal next.
    asked_for: Option<HandOver>,
    /// When the last frame was made.
    drawn: Instant,
    next_frame: Instant,
    /// The earliest time a wake-up was asked for.
    wake: Option<Timestamp>,
    returned: (mpsc::Sender<Returned>, mpsc::Receiver<Returned>),
    over: Option<Outcome>,
}

struct Held {
    outer: Outer,
    keys: Keys,
}

impl Live {
    /// Takes everything together.
    pub fn new(
        mut model: Model,
        outer: Outer,
        performer: Performer,
        queues: Queues,
        places: Places,
    ) -> Result<Live, ApiError> {
        let clock = SystemClock;
        let (cols, rows) = outer::size();
        model.shared.size = (cols, rows);
        recorder::begin(&model, &places.dir);
        let ahead = outer.greeting();
        let keys = Keys::new().map_err(gone)?;
        let mut live = Live {
            model,
            held: Some(Held { outer, keys }),
            performer,
            queues,
            places,
            writer: Writer::start(),
            clock,
            shown: None,
            canvas: Canvas::new(Rect::new(0, 0, cols, rows)),
            ahead,
            dirty: true,
            title: String::new(),
            asked_for: None,
            drawn: Instant::now(),
            next_frame: earliest(Instant::now()),
            wake: None,
            returned: mpsc::channel(1),
            over: None,
        };
        live.take(Msg::Input(Input::Resize { cols, rows }));
        Ok(live)
    }

    /// Runs until the dashboard is left, and gives the terminal back.
    pub async fn run(mut self) -> Result<Outcome, ApiError> {
        let result = loop {
            let turn = self.turn().await;
            if let Err(error) = self.handle(turn).await {
                break Err(error);
            }
            if let Some(outcome) = self.over.take() {
                break Ok(outcome);
            }
        };
        // What is under way reaches the terminal before what gives it back.
        if self.writer.busy() {
            let _ = timeout(outer::DRAIN_LIMIT, self.writer.done()).await;
        }
        drop(self.held.take());
        recorder::end();
        self.queues.news.close();
        let _ = timeout(FINISH_LIMIT, self.performer.finish()).await;
        result
    }

    /// Waits for what happens next, and only names it.
    async fn turn(&mut self) -> Turn {
        let due = self.dirty && !self.writer.busy() && self.held.is_some();
        let wake = self.wake.map(|at| Instant::now() + at.since(self.clock.now()));
        let keys = self.held.as_mut().map(|it| &mut it.keys);
        tokio::select! {
            biased;
            it = self.queues.signals.next() => Turn::Signal(it),
            () = outer::lost() => Turn::Defect,
            it = typed(keys) => Turn::Typed(it),
            it = self.writer.done(), if self.writer.busy() => Turn::Written(it),
            () = sleep_until(self.next_frame), if due => Turn::Draw,
            Some(it) = self.returned.1.recv() => Turn::Returned(it),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Turn::Wake,
            Some(it) = self.queues.output.recv() => Turn::News(it.msg),
            Some(it) = self.queues.news.recv() => Turn::News(it),
            Some(it) = self.queues.reloads.recv() => Turn::Reloaded(Box::new(it)),
        }
    }

    async fn handle(&mut self, turn: Turn) -> Result<(), ApiError> {
        match turn {
            Turn::Signal(it) => self.signalled(it)?,
            Turn::Defect => self.over = Some(Outcome::Defect),
            // Nobody can be told: the terminal is gone.
            Turn::Typed(Err(error)) | Turn::Written(Err(error)) => return Err(gone(error)),
            Turn::Typed(Ok(typed)) => {
                typed.into_iter().for_each(|it| self.take(Msg::Input(it)));
                self.next_frame = self.next_frame.min(self.drawn + TYPED_INTERVAL);
                // News wait for the frame that a person waits for.
                if Instant::now() < self.next_frame {
                    self.drain();
                }
            }
            Turn::Written(Ok(())) => (),
            Turn::Draw => self.draw(),
            Turn::News(msg) => {
                self.take(msg);
                self.drain();
            }
            Turn::Reloaded(it) => self.reloaded(*it),
            Turn::Wake => {
                self.wake = None;
                self.take(Msg::Wake);
            }
            Turn::Returned(what) => self.come_back(what)?,
        }
        self.hand_over_if_asked().await
    }

    /// Takes in what has come meanwhile, for as long as a frame can wait.
    fn drain(&mut self) {
        let until = Instant::now() + DRAIN_BUDGET;
        while Instant::now() < until && self.over.is_none() {
            let output = self.queues.output.try_recv().map(|it| it.msg);
            // One of each, so that neither waits for the other's flood.
            let news = self.queues.news.try_recv();
            if output.is_err() && news.is_err() {
                return;
            }
            output.into_iter().chain(news).for_each(|it| self.take(it));
        }
    }

    /// Takes a message in.
    fn take(&mut self, msg: Msg) {
        let now = self.clock.now();
        recorder::take(&self.model, now, &msg);
        self.dirty = true;
        for effect in update(&mut self.model, msg, now) {
            self.does(effect);
        }
    }

    fn does(&mut self, effect: Effect) {
        match effect {
            Effect::Quit => self.over = Some(Outcome::Quit { running: running(&self.model) }),
            Effect::WakeAt(at) => self.wake = Some(self.wake.map_or(at, |it| it.min(at))),
            Effect::HandOver(to) => self.asked_for = Some(to),
            Effect::Redraw => self.shown = None,
            Effect::Ask { id, ask: Ask::DumpRecording } => self.dump(id),
            Effect::SetTitle(title) if title != self.title => {
                self.say(say::title(&title));
                self.title = title;
            }
            Effect::SetTitle(_) => (),
            Effect::Copy(text) => self.say(say::copy(&text)),
            Effect::Bell => self.say(vec![0x07]),
            Effect::CaptureMouse(on) => {
                if let Some(held) = &mut self.held {
                    self.ahead.extend_from_slice(held.outer.capture_mouse(on));
                }
            }
            Effect::Notify { title, body } => {
                self.say(say::notification(&title, &body, self.model.shared.facts.in_tmux));
                self.performer.perform(Effect::Notify { title, body });
            }
            other => self.performer.perform(other),
        }
    }

    /// Says something to the terminal with the next frame; to another program's, nothing.
    fn say(&mut self, bytes: Vec<u8>) {
        if self.held.is_some() {
            self.ahead.extend(bytes);
        }
    }

    fn draw(&mut self) {
        self.dirty = false;
        let (cols, rows) = self.model.shared.size;
        self.canvas.reset(Rect::new(0, 0, cols, rows));
        view(&self.model, &mut self.canvas);
        let mut bytes = std::mem::take(&mut self.ahead);
        bytes.extend_from_slice(paint(self.shown.as_ref(), &self.canvas).as_bytes());
        match &mut self.shown {
            Some(shown) => std::mem::swap(shown, &mut self.canvas),
            None => self.shown = Some(self.canvas.clone()),
        }
        if !bytes.is_empty() {
            self.writer.send(bytes);
        }
        self.drawn = Instant::now();
        self.next_frame = self.next_frame.max(earliest(self.drawn)) + FRAME_INTERVAL;
    }

    fn signalled(&mut self, asked: Asked) -> Result<(), ApiError> {
        let held = self.held.as_ref();
        match asked {
            Asked::Resized => self.measure(),
            // Ctrl-C in an editor reaches us too, and is not meant for us.
            Asked::End(number) if held.is_none() && !ends_always(number) => (),
            Asked::End(number) => self.over = Some(Outcome::Signalled(number)),
            Asked::Stop if held.is_some() => self.asked_for = Some(HandOver::Suspend),
            Asked::Stop => drop(handover::suspend()),
            Asked::Continued => {
                if let Some(held) = held {
                    // Whoever stopped us had the terminal meanwhile.
                    self.ahead.extend(held.outer.again().map_err(gone)?);
                    self.shown = None;
                    self.measure();
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self) {
        let (cols, rows) = outer::size();
        self.take(Msg::Input(Input::Resize { cols, rows }));
    }

    /// Gives the terminal to the program that is to have it.
    async fn hand_over_if_asked(&mut self) -> Result<(), ApiError> {
        let Some(to) = self.asked_for.take() else { return Ok(()) };
        let Some(held) = self.held.take() else { return Ok(()) };
        if self.writer.busy() {
            let _ = timeout(outer::DRAIN_LIMIT, self.writer.done()).await;
        }
        drop(held);
        if to == HandOver::Suspend {
            let what = handover::suspend().unwrap_or_else(Returned::Failed);
            return self.come_back(what);
        }
        let (program, dir) = (self.places.program.clone(), self.places.dir.clone());
        let returned = self.returned.0.clone();
        tokio::spawn(async move {
            let what = handover::run(to, &program, &dir).await;
            let _ = returned.send(what).await;
        });
        Ok(())
    }

    /// Takes the terminal again.
    fn come_back(&mut self, what: Returned) -> Result<(), ApiError> {
        let mouse = self.model.shared.look.source.mouse;
        let outer = Outer::enter(mouse).map_err(gone)?;
        self.ahead = outer.greeting();
        self.ahead.extend(say::title(&self.title));
        self.held = Some(Held { outer, keys: Keys::new().map_err(gone)? });
        self.shown = None;
        self.measure();
        self.take(Msg::Returned { what });
        Ok(())
    }

    fn reloaded(&mut self, it: Reloaded) {
        if it.problems.is_empty() {
            self.performer.configure(it.caller_env, it.settings.notifications.command.clone());
        }
        let mut look = LookSource::of(&it.settings);
        look.mouse &= !self.places.mosh;
        self.take(Msg::Configured(Configured { look, problems: it.problems }));
    }

    fn dump(&mut self, id: RequestId) {
        let result = recorder::dump(self.clock.now()).map(Reply::Written);
        self.take(Msg::Answered { id, result });
    }
}

/// Returns from when on frames would have to be due so that some may come now.
fn earliest(now: Instant) -> Instant {
    now.checked_sub(FRAME_INTERVAL * FRAMES_AHEAD).unwrap_or(now)
}

/// Tells whether a signal ends the dashboard also while another program has the terminal.
fn ends_always(number: i32) -> bool {
    use rustix::process::Signal;
    number != Signal::INT.as_raw() && number != Signal::QUIT.as_raw()
}

/// Returns what was typed next; waits for ever while the keys are another's.
async fn typed(keys: Option<&mut Keys>) -> io::Result<Vec<Input>> {
    match keys {
        Some(it) => it.next().await,
        None => std::future::pending().await,
    }
}

/// Returns how many tasks have a session that goes on.
fn running(model: &Model) -> usize {
    model.shared.replica.tasks.values().filter(|it| it.session.is_some()).count()
}

//! A recording, looked at again: the same screens from the same messages, without a dispatcher.

use ratatui::{layout::Rect, style::Modifier, style::Style};
use unicode_width::UnicodeWidthStr;

use crate::{
    api::error::{ApiError, ErrorKind},
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        model::{Model, look::Look},
        msg::{Input, Msg},
        outer::{
            self, Outer,
            keys::Keys,
            signals::{Asked, Signals},
            writer::Writer,
        },
        paint::paint,
        recorder::{Keyframe, Line},
        update::update,
        view::view,
    },
    vt::input::{Code, Mods},
};

/// A recording, stopped after one of its messages.
pub struct Replay {
    key: Keyframe,
    msgs: Vec<(Timestamp, Msg)>,
    /// Messages taken in.
    at: usize,
    model: Model,
}

impl Replay {
    /// Reads a recording. What a crash cut off at its end is left out.
    ///
    /// # Errors
    ///
    /// If it is none, or one of another version.
    pub fn read(text: &str) -> Result<Replay, ApiError> {
        let invalid = |line: usize, what: String| {
            ApiError::new(
                ErrorKind::Invalid,
                format!("line {line} is no line of a recording: {what}"),
            )
            .hint("recordings are read by the version that wrote them")
        };
        let mut lines = text.lines().zip(1..).peekable();
        let first = lines.next().ok_or_else(|| invalid(1, "it is empty".to_owned()))?;
        let key = match serde_json::from_str(first.0) {
            Ok(Line::Key(it)) => *it,
            Ok(Line::Msg(..)) => return Err(invalid(1, "it says not how things stood".to_owned())),
            Err(it) => return Err(invalid(1, it.to_string())),
        };
        let mut msgs = Vec::new();
        while let Some((line, number)) = lines.next() {
            match serde_json::from_str(line) {
                Ok(Line::Msg(at, msg)) => msgs.push((at, msg)),
                Ok(Line::Key(_)) => (),
                Err(_) if lines.peek().is_none() => (),
                Err(it) => return Err(invalid(number, it.to_string())),
            }
        }
        let model = begin(&key);
        Ok(Replay { key, msgs, at: 0, model })
    }

    /// Returns how many messages there are.
    pub fn len(&self) -> usize {
        self.msgs.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.msgs.is_empty()
    }

    /// Goes to where so many messages were taken in.
    pub fn go(&mut self, to: usize) {
        let to = to.min(self.msgs.len());
        if to < self.at {
            self.model = begin(&self.key);
            self.at = 0;
        }
        for (at, msg) in &self.msgs[self.at..to] {
            // Nothing outside is done again.
            drop(update(&mut self.model, msg.clone(), *at));
        }
        self.at = to;
    }

    /// Goes behind the next message that is a key, or to the end.
    pub fn go_to_key(&mut self) {
        let is_key = |it: &(Timestamp, Msg)| matches!(it.1, Msg::Input(Input::Key(_)));
        let next = self.msgs[self.at..].iter().position(is_key);
        self.go(next.map_or(self.msgs.len(), |it| self.at + it + 1));
    }

    /// Returns the screen as it was.
    pub fn canvas(&self) -> Canvas {
        let (cols, rows) = self.model.shared.size;
        let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
        view(&self.model, &mut canvas);
        canvas
    }

    /// Returns the screen as text, one line a row, without trailing spaces.
    pub fn text(&self) -> String {
        text(&self.canvas())
    }

    /// Returns a line about the message that was taken in last.
    pub fn about(&self) -> String {
        let what = match self.at.checked_sub(1).and_then(|it| self.msgs.get(it)) {
            Some((at, msg)) => format!("{at} {}", one_line(&format!("{msg:?}"), 200)),
            None => format!("{} how things stood", self.key.at),
        };
        format!("{}/{} {what}", self.at, self.msgs.len())
    }
}

fn begin(key: &Keyframe) -> Model {
    let look = Look::new(key.look.clone(), &key.facts);
    let mut model = Model::new(key.facts.clone(), look, key.at);
    model.shared.size = key.size;
    model.shared.replica.seq = key.seq;
    for task in &key.tasks {
        model.shared.replica.put((**task).clone());
    }
    model.shared.selected.clone_from(&key.selected);
    model.place.focus = key.focus;
    model
}

/// Returns a frame as text.
pub fn text(canvas: &Canvas) -> String {
    let area = canvas.area();
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut hidden = 0;
        for x in area.left()..area.right() {
            if 0 < hidden {
                hidden -= 1;
                continue;
            }
            let symbol = canvas.buf[(x, y)].symbol();
            hidden = symbol.width().saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lets a person step through a recording on this terminal.
///
/// # Errors
///
/// If stdin or stdout is no terminal, or is gone.
pub async fn run(mut replay: Replay) -> Result<(), ApiError> {
    let gone = |it: std::io::Error| {
        ApiError::new(ErrorKind::Host, format!("cannot use this terminal: {it}"))
    };
    let mut signals = Signals::new().map_err(gone)?;
    let outer = Outer::enter(false).map_err(gone)?;
    let mut keys = Keys::new().map_err(gone)?;
    let mut writer = Writer::start();
    let mut ahead = outer.greeting();
    let mut shown: Option<Canvas> = None;
    let mut count = String::new();
    loop {
        let now = framed(&replay, &count);
        let mut bytes = std::mem::take(&mut ahead);
        bytes.extend_from_slice(paint(shown.as_ref(), &now).as_bytes());
        writer.send(bytes);
        writer.done().await.map_err(gone)?;
        shown = Some(now);
        let typed = tokio::select! {
            () = outer::lost() => return Ok(()),
            it = signals.next() => match it {
                Asked::Resized => continue,
                Asked::Continued => {
                    ahead = outer.again().map_err(gone)?;
                    shown = None;
                    continue;
                }
                Asked::End(_) | Asked::Stop => return Ok(()),
            },
            it = keys.next() => it.map_err(gone)?,
        };
        for input in typed {
            let Input::Key(key) = input else { continue };
            match (key.mods, key.code) {
                (Mods::CTRL, Code::Char('c')) | (Mods::NONE, Code::Char('q')) => return Ok(()),
                (Mods::NONE, code) => step(&mut replay, &mut count, code),
                _ => (),
            }
        }
    }
}

/// Does what a key says: a number before `G` goes there, before others it repeats.
fn step(replay: &mut Replay, count: &mut String, code: Code) {
    if let Code::Char(digit @ '0'..='9') = code {
        count.push(digit);
        return;
    }
    let number = std::mem::take(count).parse::<usize>().ok();
    let by = number.unwrap_or(1);
    match code {
        Code::Char(' ') | Code::Right => replay.go(replay.at.saturating_add(by)),
        Code::Left | Code::Backspace => replay.go(replay.at.saturating_sub(by)),
        Code::Char('g') | Code::Home => replay.go(0),
        Code::Char('G') | Code::End => replay.go(number.unwrap_or(replay.len())),
        Code::Char('n') => replay.go_to_key(),
        _ => (),
    }
}

/// Returns the recorded screen on this terminal's, with a line about it below.
fn framed(replay: &Replay, count: &str) -> Canvas {
    let (cols, rows) = outer::size();
    let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
    let old = replay.canvas();
    let area = old.area().intersection(Rect::new(0, 0, cols, rows.saturating_sub(1)));
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            canvas.buf[(x, y)] = old.buf[(x, y)].clone();
        }
    }
    let line = area.bottom().min(rows.saturating_sub(1));
    let style = Style::new().add_modifier(Modifier::REVERSED);
    canvas.fill(Rect::new(0, line, cols, 1), style);
    let keys = "space next, left back, n next key, g G ends, q quits";
    let text = format!(" {count} {}  [{keys}]", replay.about());
    canvas.fit(0, line, cols, &text, style);
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::{
        fixture::{self, fleet},
        keymap,
        msg::Feed,
        recorder::Recorder,
    };

    /// Plays messages to a dashboard while they are recorded; returns its screens, and the text of
    /// the recording.
    fn record(msgs: Vec<Msg>) -> (Vec<String>, String) {
        let mut model = fixture::sized(100, 30);
        let mut recorder = Recorder::new(&model);
        let mut screens = vec![fixture::screen(&model)];
        for (i, msg) in msgs.into_iter().enumerate() {
            let at = Timestamp(fixture::NOW.0 + i64::try_from(i).unwrap() * 60_000);
            recorder.take(&model, at, &msg);
            drop(update(&mut model, msg, at));
            screens.push(fixture::screen(&model));
        }
        (screens, recorder.text())
    }

    fn key(name: &str) -> Msg {
        Msg::Input(Input::Key(keymap::parse(name).unwrap()))
    }

    fn some() -> Vec<Msg> {
        let snapshot = crate::api::types::Snapshot { seq: 7, tasks: fleet() };
        let mut msgs = vec![Msg::Feed(Feed::Snapshot(snapshot))];
        msgs.extend(["j", "j", "space", "3", "?", "esc", "tab", "f", "z"].map(key));
        msgs.push(Msg::Input(Input::Resize { cols: 120, rows: 36 }));
        msgs.push(Msg::Feed(Feed::Lost {
            why: "killed".into(),
            hint: None,
            again: Timestamp(fixture::NOW.0 + 3_600_000),
        }));
        msgs.push(Msg::Wake);
        msgs
    }

    #[test]
    fn a_recording_shows_the_same_screens() {
        let (screens, recording) = record(some());
        let mut replay = Replay::read(&recording).unwrap();
        assert_eq!(replay.len(), screens.len() - 1);
        for (i, screen) in screens.iter().enumerate() {
            replay.go(i);
            assert_eq!(replay.text(), *screen, "after message {i}");
        }
        for i in [0, 5, 2, screens.len() - 1] {
            replay.go(i);
            assert_eq!(replay.text(), screens[i], "after message {i}");
        }
        replay.go(0);
        replay.go_to_key();
        assert!(replay.about().contains("2/13"), "{}", replay.about());
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_up_to_there() {
        let (_, recording) = record(some());
        let cut = &recording[..recording.len() - 9];
        assert_eq!(Replay::read(cut).unwrap().len(), some().len() - 1);
        assert!(Replay::read("").is_err());
        assert!(Replay::read("{}\n{}\n").is_err());
    }

    #[test]
    fn a_long_run_keeps_its_last_part() {
        let mut model = fixture::with_tasks(80, 24, fleet());
        let mut recorder = Recorder::new(&model);
        let chunk: std::sync::Arc<[u8]> = vec![b'x'; 64 * 1024].into();
        for i in 0..200 {
            let at = Timestamp(fixture::NOW.0 + i);
            let what = crate::tui::msg::TermMsg::Output(chunk.clone());
            let msg = Msg::Term { slot: crate::tui::msg::Slot(1), what };
            recorder.take(&model, at, &msg);
            drop(update(&mut model, msg, at));
        }
        let text = recorder.text();
        assert!((2_000_000..6_000_000).contains(&text.len()), "{}", text.len());
        let mut replay = Replay::read(&text).unwrap();
        replay.go(usize::MAX);
        // The tasks that were there before the oldest message kept are there.
        assert_eq!(replay.model.shared.replica.tasks.len(), fleet().len());
    }
}

//! Bytes of a terminal's input, as keys, mouse, pastes and focus. Pure.
//!
//! Understands what xterm, its descendants and the kitty protocol send. What is not understood is
//! dropped whole, never taken for keys.

mod csi;

use std::time::Duration;

use crate::{
    tui::msg::Input,
    vt::input::{Code, Key, Mods, Phase},
};

/// How long a lone Escape is taken for the beginning of something.
const ESCAPE_PATIENCE: Duration = Duration::from_millis(25);

/// How long anything else that has begun may take to end, over a slow line.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a paste may pause.
const PASTE_PATIENCE: Duration = Duration::from_secs(2);

/// A paste is passed on in parts of so many bytes.
const PASTE_MAX: usize = 4 * 1024 * 1024;

/// The longest sequence that is waited for. A longer one is garbage.
const SEQUENCE_MAX: usize = 4096;

const PASTE_END: &[u8] = b"\x1b[201~";

/// Puts together what a person did from bytes as they arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    /// The text so far, inside a paste.
    paste: Option<Vec<u8>>,
}

/// What stands at the beginning of some bytes.
enum Step {
    /// So many bytes are this, if it means anything.
    Took(usize, Option<Input>),
    /// So many bytes begin a paste.
    Paste(usize),
    /// More bytes are needed.
    More,
}

impl Decoder {
    /// Takes bytes in and returns what they make.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.pending.extend_from_slice(bytes);
        let mut out = Vec::new();
        self.take(&mut out);
        out
    }

    /// Returns how long to wait for the rest of what has begun, if anything has.
    pub fn patience(&self) -> Option<Duration> {
        match (&self.paste, self.pending.as_slice()) {
            (Some(_), _) => Some(PASTE_PATIENCE),
            (None, []) => None,
            (None, [0x1b]) => Some(ESCAPE_PATIENCE),
            (None, _) => Some(PATIENCE),
        }
    }

    /// Takes what has begun for what it is without its end: Escape is the key, the rest typed.
    pub fn give_up(&mut self) -> Vec<Input> {
        let mut out = Vec::new();
        if let Some(mut text) = self.paste.take() {
            text.append(&mut self.pending);
            out.extend(pasted(&text));
            return out;
        }
        while !self.pending.is_empty() {
            let taken = match self.pending.as_slice() {
                [0x1b] | [0x1b, 0x1b, ..] => {
                    out.push(Input::Key(Key::plain(Code::Esc)));
                    1
                }
                [0x1b, second, ..] => {
                    out.extend(single(*second).map(|it| Input::Key(alt(it))));
                    2
                }
                // The beginning of a character that never came.
                _ => 1,
            };
            self.pending.drain(..taken);
            self.take(&mut out);
        }
        out
    }

    fn take(&mut self, out: &mut Vec<Input>) {
        loop {
            if self.paste.is_some() {
                if !self.take_paste(out) {
                    return;
                }
                continue;
            }
            match step(&self.pending) {
                Step::Took(n, input) => {
                    self.pending.drain(..n);
                    out.extend(input);
                }
                Step::Paste(n) => {
                    self.pending.drain(..n);
                    self.paste = Some(Vec::new());
                }
                Step::More if SEQUENCE_MAX < self.pending.len() => self.pending.clear(),
                Step::More => return,
            }
        }
    }

    /// Takes pasted bytes; tells whether the paste ended.
    fn take_paste(&mut self, out: &mut Vec<Input>) -> bool {
        let Some(text) = &mut self.paste else { return true };
        if let Some(at) = find(&self.pending, PASTE_END) {
            text.extend(self.pending.drain(..at));
            self.pending.drain(..PASTE_END.len());
            let text = self.paste.take().unwrap_or_default();
            out.extend(pasted(&text));
            return true;
        }
        // The end may have begun.
        let sure = self.pending.len().saturating_sub(PASTE_END.len() - 1);
        text.extend(self.pending.drain(..sure));
        if PASTE_MAX < text.len() {
            let whole = whole_characters(text);
            let rest = text.split_off(whole);
            out.extend(pasted(&std::mem::replace(text, rest)));
        }
        false
    }
}

/// Returns how many of the bytes are whole characters.
fn whole_characters(bytes: &[u8]) -> usize {
    let cut = bytes.iter().rev().take(4).position(|it| it & 0xc0 != 0x80).map_or(0, |it| it + 1);
    match std::str::from_utf8(&bytes[bytes.len() - cut..]) {
        Ok(_) => bytes.len(),
        Err(_) => bytes.len() - cut,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

/// Terminals send a carriage return where a pasted text has the end of a line.
fn pasted(bytes: &[u8]) -> Option<Input> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    (!text.is_empty()).then_some(Input::Paste(text))
}

fn step(bytes: &[u8]) -> Step {
    match bytes {
        [] | [0x1b] | [0x1b, 0x1b] => Step::More,
        [0x1b, b'[', ..] => sequence(bytes),
        [0x1b, b'O', ..] => single_shift(bytes),
        // Alt with a key that is a sequence itself; else Escape, and what follows by itself.
        [0x1b, 0x1b, b'[' | b'O', ..] => match step(&bytes[1..]) {
            Step::Took(n, Some(Input::Key(key))) => Step::Took(n + 1, Some(Input::Key(alt(key)))),
            Step::Took(n, input) => Step::Took(n + 1, input),
            Step::Paste(n) => Step::Paste(n + 1),
            Step::More => Step::More,
        },
        [0x1b, 0x1b, ..] => Step::Took(1, Some(Input::Key(Key::plain(Code::Esc)))),
        [0x1b, b'P' | b']' | b'_' | b'^' | b'X', ..] => answer(bytes),
        [0x1b, ..] => match character(&bytes[1..]) {
            Step::Took(n, Some(Input::Key(key))) => Step::Took(n + 1, Some(Input::Key(alt(key)))),
            Step::Took(n, input) => Step::Took(n + 1, input),
            other => other,
        },
        _ => character(bytes),
    }
}

fn alt(key: Key) -> Key {
    Key { mods: Mods { alt: true, ..key.mods }, ..key }
}

/// A string that a terminal answers with. Nothing here asks, but a program before us may have.
fn answer(bytes: &[u8]) -> Step {
    let end = find(bytes, b"\x1b\\").map(|it| it + 2);
    let bell = bytes.iter().position(|it| *it == 0x07).map(|it| it + 1);
    match [end, bell].into_iter().flatten().min() {
        Some(n) => Step::Took(n, None),
        None => Step::More,
    }
}

/// `ESC O`: keys of the application's modes.
fn single_shift(bytes: &[u8]) -> Step {
    let Some(last) = bytes.get(2) else { return Step::More };
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'M' => Code::Enter,
        b'P'..=b'S' => Code::F(last - b'P' + 1),
        // The keypad's digits and signs.
        b'j'..=b'y' => Code::Char(char::from(last - 0x40)),
        _ => return Step::Took(3, None),
    };
    Step::Took(3, Some(Input::Key(Key::plain(code))))
}

/// `ESC [`: everything else.
fn sequence(bytes: &[u8]) -> Step {
    // The keys F1 to F5 of Linux' own console.
    if let [_, _, b'[', rest @ ..] = bytes {
        return match rest.first() {
            Some(it @ b'A'..=b'E') => {
                Step::Took(4, Some(Input::Key(Key::plain(Code::F(it - b'A' + 1)))))
            }
            Some(_) => Step::Took(4, None),
            None => Step::More,
        };
    }
    let body = &bytes[2..];
    let Some(end) = body.iter().position(|it| !(0x20..=0x3f).contains(it)) else {
        return Step::More;
    };
    let (parameters, last) = (&body[..end], body[end]);
    if !(0x40..=0x7e).contains(&last) {
        // Broken off: what breaks it is looked at by itself.
        return Step::Took(2 + end, None);
    }
    match (parameters, last) {
        (b"200", b'~') => Step::Paste(3 + end),
        // A mouse report of the oldest form has three bytes after it.
        (b"", b'M') if bytes.len() < 6 => Step::More,
        (b"", b'M') => Step::Took(6, None),
        _ => Step::Took(3 + end, csi::meaning(parameters, last)),
    }
}

/// A character, or what Ctrl made of one.
fn character(bytes: &[u8]) -> Step {
    let Some(first) = bytes.first() else { return Step::More };
    if let Some(key) = single(*first) {
        return Step::Took(1, Some(Input::Key(key)));
    }
    let len = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Step::Took(1, None),
    };
    let Some(whole) = bytes.get(..len) else {
        let valid = bytes[1..].iter().all(|it| it & 0xc0 == 0x80);
        return if valid { Step::More } else { Step::Took(1, None) };
    };
    match std::str::from_utf8(whole).ok().and_then(|it| it.chars().next()) {
        Some(c) => Step::Took(len, Some(Input::Key(Key::char(c)))),
        None => Step::Took(1, None),
    }
}

/// Returns the key that one byte is.
fn single(byte: u8) -> Option<Key> {
    let ctrl = |c: u8| Key::ctrl(char::from(c));
    Some(match byte {
        0x00 => Key::ctrl(' '),
        b'\t' => Key::plain(Code::Tab),
        b'\r' => Key::plain(Code::Enter),
        0x1b => Key::plain(Code::Esc),
        0x7f => Key::plain(Code::Backspace),
        0x01..=0x1a => ctrl(byte - 1 + b'a'),
        0x1c..=0x1f => ctrl(byte + 0x40),
        0x20..=0x7e => Key::char(char::from(byte)),
        _ => return None,
    })
}

/// Returns a character with what was held down, Shift only where it did not change it.
fn shifted(c: char, mods: Mods, phase: Phase) -> Key {
    let upper = c.to_uppercase().next().filter(|_| c.to_uppercase().count() == 1);
    match upper {
        Some(upper) if mods.shift && upper != c => {
            Key { code: Code::Char(upper), mods: Mods { shift: false, ..mods }, phase }
        }
        _ if mods.shift && c.is_uppercase() => {
            Key { code: Code::Char(c), mods: Mods { shift: false, ..mods }, phase }
        }
        _ => Key { code: Code::Char(c), mods, phase },
    }
}

#[cfg(test)]
mod tests;

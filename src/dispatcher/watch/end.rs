//! The end of a session, as its files tell it.

use super::{COMMAND_LIMIT, READ_CHUNK, Watcher};
use crate::{
    agent::lease,
    dispatcher::read::Read,
    domain::{event::EventBody, evidence::Observation, ids::TaskId, state::StopCause},
    shell::{Command, run},
    stdx::text::one_line,
};

impl Watcher {
    /// Reads the files of a session that ended to their end, then reports the end.
    pub(super) async fn finish(&mut self, id: &TaskId, exit: Option<&[u8]>) {
        self.read_rest(id).await;
        let Some(session) = self.sessions.get(id) else { return };
        let files = session.watched.files.clone();
        let runs = session.runs;
        let (code, ended_at) = exit.and_then(lease::exit).unzip();
        // What was seen to end ends now, by a clock that is surely ours.
        let ended_at = ended_at.flatten().filter(|_| !runs);
        let over = self.shell.get(&files.lease_over(), 0, 200).await.ok().flatten();
        let why = over.as_deref().and_then(lease::over);
        let tail = match self.shell.get(&files.screen(), 0, READ_CHUNK).await {
            Ok(Some(bytes)) => last_line(&bytes),
            _ => String::new(),
        };
        let mut read = Read::default();
        let parked = why.map(|why| StopCause::Parked { why });
        read.bodies.extend(parked.map(|cause| EventBody::StopRequested { cause }));
        let detail = match code {
            Some(code) => {
                let observation = Observation::Exited { code, tail: tail.clone() };
                read.bodies.push(EventBody::Observed { observation });
                tail
            }
            None => self.why_gone(id).await,
        };
        read.bodies.push(EventBody::SessionEnded { code, detail, ended_at });
        self.report(id, read).await;
        self.remove(id).await;
    }

    async fn read_rest(&mut self, id: &TaskId) {
        loop {
            let Some(session) = self.sessions.get(id) else { return };
            let mut grown = false;
            for (file, path, from) in session.reader.growing() {
                let Ok(Some(bytes)) = self.shell.get(&path, from, READ_CHUNK).await else {
                    continue;
                };
                if bytes.is_empty() {
                    continue;
                }
                grown = true;
                let Some(session) = self.sessions.get_mut(id) else { return };
                let read = session.reader.bytes(&file, from, &bytes);
                self.take(id, read).await;
            }
            if !grown {
                return;
            }
        }
    }

    /// Says what is known of a session that is gone without a word.
    async fn why_gone(&self, id: &TaskId) -> String {
        let Some(session) = self.sessions.get(id) else { return String::new() };
        let check = Command::new(["test", "-e", session.watched.files.started().as_str()]);
        match run(&*self.shell, &check, COMMAND_LIMIT).await {
            Ok(output) if output.code == 0 => {
                "its tmux server was killed or the machine restarted".to_owned()
            }
            Ok(_) if session.heard => "its files there were removed".to_owned(),
            _ => "it never started".to_owned(),
        }
    }
}

/// What Claude 2.1.329 says when it ends, whatever the reason: no answer to why it did.
const FAREWELL: [&str; 2] = ["Resume this session with:", "claude --resume "];

/// Returns the last line that says something, of a screen with escape sequences.
fn last_line(screen: &[u8]) -> String {
    let text = String::from_utf8_lossy(screen);
    let (mut last, mut farewell) = (String::new(), String::new());
    for line in text.lines() {
        let line = one_line(&without_escapes(line), 300);
        if FAREWELL.iter().any(|it| line.trim().starts_with(it)) {
            farewell = line;
        } else if line.chars().any(char::is_alphanumeric) {
            last = line;
        }
    }
    if last.is_empty() { farewell } else { last }
}

fn without_escapes(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
        } else if chars.next() == Some('[') {
            chars.by_ref().find(|it| ('@'..='~').contains(it));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_was_said_before_the_farewell() {
        let screen = b"\x1b[38;5;211mNo conversation found with session ID: 6d21\x1b[0m\r\n\r\n\
            \x1b[2mResume this session with:\r\nclaude --resume 6d21\r\n\r\n";
        assert_eq!(last_line(screen), "No conversation found with session ID: 6d21");
        assert_eq!(last_line(b"claude --resume 6d21\n\n"), "claude --resume 6d21");
        assert_eq!(last_line(b"one\ntwo\n---\n"), "two");
    }
}

//! The one place that prints.
//!
//! Results go to stdout, everything about how it went to stderr, so that a pipe gets results only.
//! A reader that goes away early (`| head`) ends a command quietly.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::paint::Paint,
    stdx::text::{one_line, printable},
};

/// Columns assumed where the terminal does not say.
const USUAL_WIDTH: usize = 80;

/// How a command ended: the process's status.
pub type Done = Result<u8, Failure>;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// Something to tell.
    Api(ApiError),
    /// Whoever read the output has enough.
    Closed,
    /// All is said already; the status is what is left.
    Said(u8),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Api(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Api(ApiError::new(ErrorKind::Host, format!("cannot write: {error}"))),
        }
    }
}

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Print JSON.
    pub json: bool,
    /// Colours for stdout.
    pub paint: Paint,
    /// Colours for stderr.
    pub paint_err: Paint,
    /// Whether stdout is a terminal.
    pub tty: bool,
    /// Whether stderr is a terminal.
    pub tty_err: bool,
    /// Whether stdin is a terminal.
    pub tty_in: bool,
}

impl Out {
    /// Looks at what stdin, stdout and stderr are.
    pub fn new(json: bool, no_color: bool) -> Out {
        let no_color = no_color
            || std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
            || std::env::var_os("TERM").is_some_and(|it| it == "dumb");
        let tty = io::stdout().is_terminal();
        let tty_err = io::stderr().is_terminal();
        Out {
            json,
            paint: Paint { on: tty && !no_color },
            paint_err: Paint { on: tty_err && !no_color },
            tty,
            tty_err,
            tty_in: io::stdin().is_terminal(),
        }
    }

    /// Returns how many columns a table may take; nothing where it is not cut.
    pub fn table_width(&self) -> Option<usize> {
        self.tty.then(|| columns(io::stdout()))
    }

    /// Returns how many columns a line on stderr may take.
    pub fn line_width(&self) -> usize {
        columns(io::stderr())
    }

    /// Tells whether a person can be asked.
    pub fn can_ask(&self) -> bool {
        !self.json && self.tty_in && self.tty_err
    }

    /// Prints text and the end of a line on stdout.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints bytes on stdout as they are.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Prints text from outside: whole and unchanged into a pipe, made safe on a terminal.
    pub fn foreign(&self, text: &str) -> Result<(), Failure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        if self.tty {
            return self.bytes(format!("{}{end}", printable(text)).as_bytes());
        }
        self.bytes(format!("{text}{end}").as_bytes())
    }

    /// Prints a value as JSON: laid out on a terminal, one line elsewhere.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if self.tty {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(&text.map_err(io::Error::from)?)
    }

    /// Prints a value as one line of JSON.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(&serde_json::to_string(value).map_err(io::Error::from)?)
    }

    /// Prints a line on stderr. That nobody reads it is no reason to stop.
    pub fn note(&self, text: &str) {
        self.note_bytes(format!("{text}\n").as_bytes());
    }

    /// Prints bytes on stderr.
    pub fn note_bytes(&self, bytes: &[u8]) {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(bytes).and_then(|()| stderr.flush());
    }

    /// Asks a person who can say yes or no; an empty answer is `default`.
    pub fn ask(&self, question: &str, default: Answer) -> bool {
        let choice = match default {
            Answer::Yes => "[Y/n]",
            Answer::No => "[y/N]",
        };
        self.note_bytes(format!("{question} {choice} ").as_bytes());
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_err() || line.is_empty() {
            // The end of input is not a yes.
            self.note("");
            return false;
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "" => default == Answer::Yes,
            word => word == "y" || word == "yes",
        }
    }

    /// Asks for a line, without the space around it; nothing where the input ends.
    pub fn question(&self, question: &str) -> Option<String> {
        self.note_bytes(format!("{question} ").as_bytes());
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_err() || line.is_empty() {
            self.note("");
            return None;
        }
        Some(line.trim().to_owned())
    }

    /// Says how a command ended and returns the process's status.
    pub fn finish(&self, done: Done) -> ExitCode {
        match done {
            Ok(status) | Err(Failure::Said(status)) => ExitCode::from(status),
            Err(Failure::Closed) => ExitCode::SUCCESS,
            Err(Failure::Api(error)) => {
                self.error(&error);
                ExitCode::from(error.kind.exit_code())
            }
        }
    }

    /// Prints an error on stderr.
    pub fn error(&self, error: &ApiError) {
        if self.json {
            if let Ok(text) = serde_json::to_string(error) {
                self.note(&text);
            }
        } else {
            self.note(&render_error(error, self.paint_err));
        }
    }
}

/// What an empty answer to a question means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

/// Returns an error as a person reads it: what happened, then why, then what to do next.
pub fn render_error(error: &ApiError, paint: Paint) -> String {
    let message = printable(&error.message);
    let mut lines = message.lines();
    let mut text = format!("{} {}", paint.red("Error:"), lines.next().unwrap_or_default());
    for line in lines {
        text.push_str(&format!("\n  {line}"));
    }
    for hint in &error.hints {
        text.push_str(&format!("\n  {} {}", paint.dim("hint:"), one_line(hint, 500)));
    }
    text
}

fn columns(of: impl std::os::fd::AsFd) -> usize {
    match rustix::termios::tcgetwinsize(of) {
        Ok(size) if size.ws_col != 0 => usize::from(size.ws_col),
        _ => USUAL_WIDTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let error = ApiError::new(ErrorKind::NotFound, "Task not found: task-xyz\nno \x1b[2J such")
            .hint("did you mean task-xya? parhelia task list");
        insta::assert_snapshot!(render_error(&error, Paint { on: false }), @r"
        Error: Task not found: task-xyz
          no �[2J such
          hint: did you mean task-xya? parhelia task list
        ");
    }
}
